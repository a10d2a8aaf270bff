"""Converse and ConverseStream as Bedrock serves them.

One rule: frames have the real order, headers and filler; reasoning carries a signature that only this upstream can have made.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from collections.abc import Iterator

from gatewright.wire.eventstream import CONTENT_TYPE, encode
from tests.upstreams import seals
from tests.upstreams.answers import Answer, Ids, Received, dump, stream, whole
from tests.upstreams.bedrock_rules import SEAL, fault, read, refuse, understand
from tests.upstreams.script import Decline, Plan, Say, Thought, Tokens, Use, plan, slices

STOP = {"stop": "end_turn", "tools": "tool_use", "length": "max_tokens", "filter": "guardrail_intervened", "refusal": "end_turn"}
FILLER = "abcdefghijklmnopqrstuvwxyz"


def converse(request: Received, ids: Ids) -> Answer:
    body, model, streams = read(request)
    answer = plan(understand(body, model))
    fault(answer.fault)
    told = {"x-amzn-requestid": ids.hex("", 32)}
    if streams:
        cut = answer.fault is not None and answer.fault.kind == "cut"
        return stream(list(frames(answer, ids)), told | {"content-type": CONTENT_TYPE}, cut=cut)
    if answer.fault is not None:
        if answer.fault.kind == "cut":
            return Answer(chunks=(b'{"metrics":',), cut=True)
        raise refuse("Bedrock is unable to process your request.", "ServiceUnavailableException", 503)
    document = {
        "metrics": {"latencyMs": 321},
        "output": {"message": {"content": blocks(answer, ids), "role": "assistant"}},
        "stopReason": STOP[answer.end],
        "usage": usage(answer.tokens),
    }
    return whole(document, headers=told)


def usage(tokens: Tokens) -> dict:
    output = tokens.output + tokens.reasoning
    told = {
        "inputTokens": tokens.fresh,
        "outputTokens": output,
        "totalTokens": tokens.fresh + tokens.cached + tokens.written + output,
    }
    if tokens.cached or tokens.written:
        told |= {"cacheReadInputTokens": tokens.cached, "cacheWriteInputTokens": tokens.written}
    return told


def blocks(answer: Plan, ids: Ids) -> list[dict]:
    found: list[dict] = []
    for piece in answer.pieces:
        match piece:
            case Thought(redacted=True):
                found.append({"reasoningContent": {"redactedContent": seals.issue("bedrock redacted", "", prefix=SEAL)}})
            case Thought(text=text):
                told = {"text": text, "signature": seals.issue("bedrock", text, prefix=SEAL)}
                found.append({"reasoningContent": {"reasoningText": told}})
            case Say(text=text) | Decline(text=text):
                found.append({"text": text})
            case Use(name=called, arguments=arguments):
                found.append({"toolUse": {"toolUseId": ids.alnum("tooluse_", 22), "name": called, "input": arguments}})
    return found


def frame(name: str, document: dict) -> bytes:
    kind = "exception" if name.endswith("Exception") else "event"
    filler = {} if kind == "exception" else {"p": FILLER[: len(dump(document)) % 26]}
    headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    return encode(headers, dump(document | filler).encode())


def frames(answer: Plan, ids: Ids) -> Iterator[bytes]:
    yield frame("messageStart", {"role": "assistant"})
    for index, block in enumerate(blocks(answer, ids)):
        at = {"contentBlockIndex": index}
        deltas: list[dict] = []
        match block:
            case {"text": text}:
                deltas = [{"text": part} for part in slices(text)]
            case {"toolUse": call}:
                given = {"toolUseId": call["toolUseId"], "name": call["name"]}
                yield frame("contentBlockStart", at | {"start": {"toolUse": given}})
                deltas = [{"toolUse": {"input": part}} for part in ["", *slices(dump(call["input"]))]]
            case {"reasoningContent": {"redactedContent": word}}:
                deltas = [{"reasoningContent": {"redactedContent": word}}]
            case {"reasoningContent": {"reasoningText": told}}:
                deltas = [{"reasoningContent": {"text": part}} for part in slices(told["text"])]
                deltas.append({"reasoningContent": {"signature": told["signature"]}})
        for delta in deltas:
            yield frame("contentBlockDelta", at | {"delta": delta})
        if answer.fault is not None:
            if answer.fault.kind == "inside":
                yield frame("serviceUnavailableException", {"message": "Bedrock is unable to process your request."})
            return
        yield frame("contentBlockStop", at)
    yield frame("messageStop", {"stopReason": STOP[answer.end]})
    yield frame("metadata", {"metrics": {"latencyMs": 321}, "usage": usage(answer.tokens)})
