// The openai package for Node, `client.chat.completions`.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { FINISH_OPENAI, SYSTEM, Trip, failed } from "./shared.mjs";

export class ChatTalk {
  constructor({ url, key, model }) {
    this.client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0, timeout: 30000 });
    this.model = model;
    this.history = [{ role: "system", content: SYSTEM }];
    this.wish = {};
  }

  send(text, wish, images) {
    let content = text;
    if (images.length) {
      const urls = images.map((image) => (image.url ? image.url : `data:image/png;base64,${image.base64}`));
      content = [{ type: "text", text }, ...urls.map((url) => ({ type: "image_url", image_url: { url } }))];
    }
    this.history.push({ role: "user", content });
    this.wish = wish;
    return this.turn();
  }

  give(results) {
    for (const [id, value] of results) this.history.push({ role: "tool", tool_call_id: id, content: value });
    return this.turn();
  }

  async count() {
    return null;
  }

  settings() {
    const { tools, forced, structured, think } = this.wish;
    const found = { model: this.model, messages: this.history };
    if (tools.length) {
      found.tools = tools.map(({ name, description, schema, strict }) => ({
        type: "function",
        function: { name, description, parameters: schema, strict },
      }));
      if (forced !== null) found.tool_choice = forced ? { type: "function", function: { name: forced } } : "required";
    }
    if (structured) found.response_format = zodResponseFormat(Trip, "Trip");
    if (think) found.reasoning_effort = "low";
    if (this.wish.tuned) Object.assign(found, { temperature: 0.3, top_p: 0.9, max_tokens: 500, stop: ["END"] });
    return found;
  }

  async turn() {
    let pieces = 0;
    let partial = "";
    let answer;
    try {
      if (this.wish.stream) {
        const stream = this.client.chat.completions.stream({ ...this.settings(), stream_options: { include_usage: true } });
        stream.on("content.delta", ({ delta }) => {
          pieces += 1;
          partial += delta;
        });
        answer = await stream.finalChatCompletion();
      } else if (this.wish.structured) {
        answer = await this.client.chat.completions.parse(this.settings());
      } else {
        answer = await this.client.chat.completions.create(this.settings());
      }
    } catch (error) {
      if (error.constructor.name === "ContentFilterFinishReasonError") return { text: partial, finish: "filter", pieces };
      if (error.constructor.name === "LengthFinishReasonError") return { text: partial, finish: "length", pieces };
      throw failed(error, partial);
    }
    const { message, finish_reason } = answer.choices[0];
    this.history.push(message);
    return {
      text: message.content ?? "",
      finish: message.refusal ? "refusal" : FINISH_OPENAI[finish_reason],
      calls: (message.tool_calls ?? []).map((call) => ({
        id: call.id,
        name: call.function.name,
        arguments: JSON.parse(call.function.arguments || "{}"),
      })),
      thoughts: message.reasoning_content ?? "",
      refusal: message.refusal ?? "",
      trip: message.parsed ?? null,
      pieces,
      input: answer.usage.prompt_tokens,
      cached: answer.usage.prompt_tokens_details?.cached_tokens ?? 0,
      output: answer.usage.completion_tokens,
      model: answer.model,
    };
  }
}
