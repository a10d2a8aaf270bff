// The @anthropic-ai/sdk package, `client.messages`.
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { SYSTEM, Trip, failed } from "./shared.mjs";

const FINISH = { end_turn: "stop", tool_use: "tools", max_tokens: "length", refusal: "refusal", stop_sequence: "stop" };

export class MessagesTalk {
  constructor({ url, key, model }) {
    this.client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 30000 });
    this.model = model;
    this.history = [];
    this.wish = {};
  }

  send(text, wish, images) {
    const sources = images.map((image) =>
      image.url ? { type: "url", url: image.url } : { type: "base64", media_type: "image/png", data: image.base64 },
    );
    const content = images.length ? [...sources.map((source) => ({ type: "image", source })), { type: "text", text }] : text;
    this.history.push({ role: "user", content });
    this.wish = wish;
    return this.turn();
  }

  give(results) {
    this.history.push({ role: "user", content: results.map(([id, content]) => ({ type: "tool_result", tool_use_id: id, content })) });
    return this.turn();
  }

  async count(text) {
    try {
      return (await this.client.messages.countTokens({ model: this.model, messages: [{ role: "user", content: text }] })).input_tokens;
    } catch (error) {
      throw failed(error, "");
    }
  }

  settings() {
    const { tools, forced, structured, think } = this.wish;
    const found = { model: this.model, messages: this.history, max_tokens: 4096, system: SYSTEM };
    if (tools.length) {
      found.tools = tools.map(({ name, description, schema }) => ({ name, description, input_schema: schema }));
      if (forced !== null) found.tool_choice = forced ? { type: "tool", name: forced } : { type: "any" };
    }
    if (structured) found.output_config = { format: zodOutputFormat(Trip) };
    if (think) found.thinking = { type: "enabled", budget_tokens: 2048 };
    if (this.wish.tuned) Object.assign(found, { temperature: 0.3, max_tokens: 500, stop_sequences: ["END"] });
    return found;
  }

  async turn() {
    let pieces = 0;
    let partial = "";
    let answer;
    try {
      if (this.wish.stream) {
        const stream = this.client.messages.stream(this.settings());
        stream.on("text", (delta) => {
          pieces += 1;
          partial += delta;
        });
        answer = await stream.finalMessage();
      } else if (this.wish.structured) {
        answer = await this.client.messages.parse(this.settings());
      } else {
        answer = await this.client.messages.create(this.settings());
      }
    } catch (error) {
      throw failed(error, partial);
    }
    this.history.push({ role: "assistant", content: answer.content });
    const text = answer.content.filter((block) => block.type === "text").map((block) => block.text).join("");
    const { usage } = answer;
    const cached = usage.cache_read_input_tokens ?? 0;
    return {
      text,
      finish: FINISH[answer.stop_reason],
      calls: answer.content.filter((block) => block.type === "tool_use").map(({ id, name, input }) => ({ id, name, arguments: input })),
      thoughts: answer.content.filter((block) => block.type === "thinking").map((block) => block.thinking).join(""),
      refusal: answer.stop_reason === "refusal" ? text : "",
      trip: this.wish.structured ? (answer.parsed_output ?? null) : null,
      pieces,
      input: usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0),
      cached,
      output: usage.output_tokens,
      model: answer.model,
    };
  }
}
