// What the Node SDKs do by themselves: run tools until there is an answer.
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import OpenAI from "openai";
import { z } from "zod";

const sun = ({ city }) => `sun over ${city}`;

export const RUNNERS = {
  async anthropic({ url, key, model, stream }) {
    const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 });
    const tool = betaZodTool({ name: "get_weather", description: "Weather of a city", inputSchema: z.object({ city: z.string() }), run: sun });
    const messages = [{ role: "user", content: "[[call]] weather?" }];
    const runner = client.beta.messages.toolRunner({ model, max_tokens: 1000, tools: [tool], messages, stream });
    let last;
    for await (const turn of runner) last = stream ? await turn.finalMessage() : turn;
    return last.content.filter((block) => block.type === "text").map((block) => block.text).join("");
  },

  async openai_chat({ url, key, model, stream }) {
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 });
    const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    const declared = { name: "get_weather", description: "Weather of a city", parameters, parse: JSON.parse, function: sun };
    const messages = [{ role: "user", content: "[[call]] weather?" }];
    const runner = client.chat.completions.runTools({ model, messages, stream, tools: [{ type: "function", function: declared }] });
    return runner.finalContent();
  },
};
