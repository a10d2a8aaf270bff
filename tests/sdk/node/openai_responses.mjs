// The openai package for Node, `client.responses`, stateless.
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { SYSTEM, Trip, failed } from "./shared.mjs";

export class ResponsesTalk {
  constructor({ url, key, model }) {
    this.client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 30000 });
    this.model = model;
    this.history = [];
    this.wish = {};
  }

  send(text, wish, images) {
    let content = text;
    if (images.length) {
      const urls = images.map((image) => (image.url ? image.url : `data:image/png;base64,${image.base64}`));
      content = [{ type: "input_text", text }, ...urls.map((image_url) => ({ type: "input_image", image_url, detail: "auto" }))];
    }
    this.history.push({ role: "user", content });
    this.wish = wish;
    return this.turn();
  }

  give(results) {
    for (const [id, output] of results) this.history.push({ type: "function_call_output", call_id: id, output });
    return this.turn();
  }

  async count(text) {
    try {
      return (await this.client.responses.inputTokens.count({ model: this.model, input: text })).input_tokens;
    } catch (error) {
      throw failed(error, "");
    }
  }

  settings() {
    const { tools, forced, structured, think } = this.wish;
    const found = { model: this.model, input: this.history, instructions: SYSTEM, store: false };
    if (tools.length) {
      found.tools = tools.map(({ name, description, schema, strict }) => ({ type: "function", name, description, parameters: schema, strict }));
      if (forced !== null) found.tool_choice = forced ? { type: "function", name: forced } : "required";
    }
    if (structured) found.text = { format: zodTextFormat(Trip, "Trip") };
    if (think) {
      found.reasoning = { effort: "low", summary: "auto" };
      found.include = ["reasoning.encrypted_content"];
    }
    if (this.wish.tuned) Object.assign(found, { temperature: 0.3, top_p: 0.9, max_output_tokens: 500 });
    return found;
  }

  async turn() {
    let pieces = 0;
    let partial = "";
    let answer;
    try {
      if (this.wish.stream) {
        const stream = await this.client.responses.create({ ...this.settings(), stream: true });
        for await (const event of stream) {
          if (event.type === "response.output_text.delta") {
            pieces += 1;
            partial += event.delta;
          } else if (event.type === "error" || event.type === "response.failed") {
            const told = event.type === "error" ? event : event.response.error;
            throw { failed: { kind: event.type, status: null, retry_after: null, message: `${told.code}: ${told.message}`, partial } };
          } else if (event.type === "response.completed" || event.type === "response.incomplete") {
            answer = event.response;
          }
        }
        if (!answer) throw new Error("the stream ended without an end");
      } else if (this.wish.structured) {
        answer = await this.client.responses.parse(this.settings());
      } else {
        answer = await this.client.responses.create(this.settings());
      }
    } catch (error) {
      throw failed(error, partial);
    }
    this.history.push(...answer.output);
    const parts = answer.output.filter((item) => item.type === "message").flatMap((item) => item.content);
    const calls = answer.output.filter((item) => item.type === "function_call");
    const refusal = parts.filter((part) => part.type === "refusal").map((part) => part.refusal).join("");
    const text = parts.filter((part) => part.type === "output_text").map((part) => part.text).join("");
    let finish = calls.length ? "tools" : refusal ? "refusal" : "stop";
    if (answer.status === "incomplete") {
      finish = { max_output_tokens: "length", content_filter: "filter" }[answer.incomplete_details.reason];
    }
    return {
      text,
      finish,
      calls: calls.map((item) => ({ id: item.call_id, name: item.name, arguments: JSON.parse(item.arguments || "{}") })),
      thoughts: answer.output.filter((item) => item.type === "reasoning").flatMap((item) => item.summary).map((part) => part.text).join(""),
      refusal,
      trip: this.wish.structured ? (answer.output_parsed ?? Trip.parse(JSON.parse(text))) : null,
      pieces,
      input: answer.usage.input_tokens,
      cached: answer.usage.input_tokens_details.cached_tokens,
      output: answer.usage.output_tokens,
      model: answer.model,
    };
  }
}
