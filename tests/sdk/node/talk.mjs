// Conversations by JSON lines: {id, op: "open" | "send" | "give" | "move" | "count" | "run_tools" | "close", …} in; {id, heard | count | failed} out.
import readline from "node:readline";
import { MessagesTalk } from "./anthropic.mjs";
import { GeminiTalk } from "./gemini.mjs";
import { ChatTalk } from "./openai_chat.mjs";
import { ResponsesTalk } from "./openai_responses.mjs";
import { RUNNERS } from "./runners.mjs";

const CLIENTS = { openai_chat: ChatTalk, openai_responses: ResponsesTalk, anthropic: MessagesTalk, gemini: GeminiTalk };
const talks = new Map();
console.warn = () => {};

async function run(order) {
  switch (order.op) {
    case "open":
      talks.set(order.talk, new CLIENTS[order.client](order));
      return {};
    case "send":
      return { heard: await talks.get(order.talk).send(order.text, order.wish, order.images) };
    case "give":
      return { heard: await talks.get(order.talk).give(order.results) };
    case "move":
      talks.get(order.talk).model = order.model;
      return {};
    case "count":
      return { count: await talks.get(order.talk).count(order.text) };
    case "run_tools":
      return { text: await RUNNERS[order.client](order) };
    case "close":
      talks.delete(order.talk);
      return {};
    default:
      throw new Error(`unknown op ${order.op}`);
  }
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = await run(JSON.parse(line));
  } catch (error) {
    answer = error?.failed ? { failed: error.failed } : { broken: String(error?.stack ?? JSON.stringify(error)) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
