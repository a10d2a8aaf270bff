// The @google/genai package, `ai.models.generateContent`.
import { FunctionCallingConfigMode, GoogleGenAI, Type } from "@google/genai";
import { SYSTEM, Trip, failed } from "./shared.mjs";

const FINISH = { STOP: "stop", MAX_TOKENS: "length", SAFETY: "filter", PROHIBITED_CONTENT: "refusal" };
const TRIP = {
  type: Type.OBJECT,
  properties: { city: { type: Type.STRING }, days: { type: Type.INTEGER }, tags: { type: Type.ARRAY, items: { type: Type.STRING } } },
  required: ["city", "days", "tags"],
};

export class GeminiTalk {
  constructor({ url, key, model }) {
    this.client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: url, timeout: 30000, retryOptions: { attempts: 1 } } });
    this.model = model;
    this.history = [];
    this.names = {};
    this.wish = {};
  }

  send(text, wish, images) {
    const parts = images.map((image) =>
      image.url ? { fileData: { fileUri: image.url, mimeType: "image/png" } } : { inlineData: { mimeType: "image/png", data: image.base64 } },
    );
    this.history.push({ role: "user", parts: [...parts, { text }] });
    this.wish = wish;
    return this.turn();
  }

  give(results) {
    const parts = results.map(([id, result]) => ({
      functionResponse: { ...(id.includes("#") ? {} : { id }), name: this.names[id], response: { result } },
    }));
    this.history.push({ role: "user", parts });
    return this.turn();
  }

  async count(text) {
    try {
      return (await this.client.models.countTokens({ model: this.model, contents: text })).totalTokens;
    } catch (error) {
      throw failed(error, "");
    }
  }

  settings() {
    const { tools, forced, structured, think } = this.wish;
    const config = { systemInstruction: SYSTEM };
    if (tools.length) {
      config.tools = [
        { functionDeclarations: tools.map(({ name, description, schema }) => ({ name, description, parametersJsonSchema: schema })) },
      ];
      if (forced !== null) {
        config.toolConfig = {
          functionCallingConfig: { mode: FunctionCallingConfigMode.ANY, ...(forced ? { allowedFunctionNames: [forced] } : {}) },
        };
      }
    }
    if (structured) Object.assign(config, { responseMimeType: "application/json", responseSchema: TRIP });
    if (think) config.thinkingConfig = { includeThoughts: true, thinkingBudget: 2048 };
    if (this.wish.tuned) Object.assign(config, { temperature: 0.3, topP: 0.9, topK: 40, maxOutputTokens: 500, stopSequences: ["END"] });
    return { model: this.model, contents: this.history, config };
  }

  async turn() {
    const chunks = [];
    const parts = [];
    const said = (thought) => parts.filter((part) => part.text && Boolean(part.thought) === thought).map((part) => part.text).join("");
    try {
      if (this.wish.stream) {
        for await (const chunk of await this.client.models.generateContentStream(this.settings())) {
          chunks.push(chunk);
          parts.push(...(chunk.candidates?.[0]?.content?.parts ?? []));
        }
      } else {
        const answer = await this.client.models.generateContent(this.settings());
        chunks.push(answer);
        parts.push(...(answer.candidates?.[0]?.content?.parts ?? []));
      }
      const blocked = chunks.at(-1)?.promptFeedback?.blockReason;
      const reason = chunks.findLast((chunk) => chunk.candidates?.[0]?.finishReason)?.candidates[0].finishReason;
      if (!reason && !blocked) throw new Error("the stream ended without a finish reason");
      if (parts.length) this.history.push({ role: "model", parts });
      this.names = {};
      const calls = parts.filter((part) => part.functionCall).map(({ functionCall }, position) => {
        const id = functionCall.id ?? `${functionCall.name}#${position}`;
        this.names[id] = functionCall.name;
        return { id, name: functionCall.name, arguments: functionCall.args ?? {} };
      });
      const usage = chunks.at(-1).usageMetadata;
      return {
        text: said(false),
        finish: blocked ? "refusal" : calls.length ? "tools" : FINISH[reason],
        calls,
        thoughts: said(true),
        refusal: "",
        trip: this.wish.structured && !calls.length ? Trip.parse(JSON.parse(said(false))) : null,
        pieces: this.wish.stream ? parts.filter((part) => part.text && !part.thought).length : 0,
        input: usage.promptTokenCount ?? 0,
        cached: usage.cachedContentTokenCount ?? 0,
        output: (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0),
        model: chunks.at(-1).modelVersion ?? "",
      };
    } catch (error) {
      throw failed(error, said(false));
    }
  }
}
