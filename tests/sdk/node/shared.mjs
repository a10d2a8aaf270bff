// What the four Node clients share: the prompt, the type of structured answers, and how a failure is told.
import { z } from "zod";

export const SYSTEM = "You are terse.";
export const Trip = z.object({ city: z.string(), days: z.number().int(), tags: z.array(z.string()) });
export const FINISH_OPENAI = { stop: "stop", tool_calls: "tools", length: "length", content_filter: "filter" };

export function failed(error, partial) {
  if (error?.failed) return error;
  let retry = error?.headers?.get?.("retry-after") ?? null;
  if (retry === null) retry = /"retryDelay":\s*"([\d.]+)s"/.exec(String(error?.message))?.[1] ?? null;
  return {
    failed: { kind: error?.constructor?.name ?? "Error", status: error?.status ?? null, retry_after: retry, message: String(error?.message ?? error), partial },
  };
}
