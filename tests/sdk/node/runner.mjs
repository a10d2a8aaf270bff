// The tool runner of @anthropic-ai/sdk, by itself: node runner.mjs URL KEY MODEL STREAM. Prints the last text.
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { z } from "zod";

const [url, key, model, stream] = process.argv.slice(2);
const client = new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0, timeout: 30000 });
const weather = betaZodTool({
  name: "get_weather",
  description: "Weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  run: ({ city }) => `sun over ${city}`,
});
const messages = [{ role: "user", content: "[[call]] weather?" }];
const runner = client.beta.messages.toolRunner({ model, max_tokens: 1000, messages, tools: [weather], stream: stream === "true" });
let last;
for await (const turn of runner) last = stream === "true" ? await turn.finalMessage() : turn;
console.log(last.content.map((block) => block.text ?? "").join(""));
