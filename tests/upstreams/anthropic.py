"""Messages as Anthropic serves them, whole and streamed, and the counting of tokens.

One rule: events have the real order, pings and padding; thinking carries a signature that only this upstream can have made.
https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from collections.abc import Iterator

from tests.upstreams import seals
from tests.upstreams.answers import Answer, Ids, Received, dump, stream, whole
from tests.upstreams.anthropic_blocks import SEAL, refuse
from tests.upstreams.anthropic_rules import ADAPTIVE_ONLY, document, fault, understand
from tests.upstreams.script import Decline, Plan, Say, Thought, Tokens, Use, plan, slices

STOP = {"stop": "end_turn", "tools": "tool_use", "length": "max_tokens", "filter": "refusal", "refusal": "refusal"}


def count(request: Received, ids: Ids) -> Answer:
    body = document(request)
    understand(body, dict(request.headers), counting=True)
    return whole({"input_tokens": 10 + len(dump(body)) // 8}, headers=headers(ids))


def create(request: Received, ids: Ids) -> Answer:
    body = document(request)
    answer = plan(understand(body, dict(request.headers)))
    fault(answer.fault)
    if body.get("stream"):
        cut = answer.fault is not None and answer.fault.kind == "cut"
        return stream(list(events(body, answer, ids)), headers(ids), cut=cut)
    if answer.fault is not None:
        if answer.fault.kind == "cut":
            return Answer(chunks=(b'{"id":"msg_',), cut=True)
        raise refuse("Overloaded", "overloaded_error", 529)
    message = start(body, answer.tokens, ids)
    message["content"] = blocks(body, answer, ids)
    message["stop_reason"] = STOP[answer.end]
    message["usage"] = usage(answer.tokens, answer.tokens.output + answer.tokens.reasoning)
    return whole(message, headers=headers(ids))


def headers(ids: Ids) -> dict[str, str]:
    return {
        "request-id": ids.alnum("req_011", 21),
        "anthropic-organization-id": "5b1c8a1e-0000-4000-8000-000000000000",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-11-21T10:00:01Z",
    }


def usage(tokens: Tokens, output: int) -> dict:
    return {
        "input_tokens": tokens.fresh,
        "cache_creation_input_tokens": tokens.written,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": tokens.written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
        "inference_geo": "global",
    }


def start(body: dict, tokens: Tokens, ids: Ids) -> dict:
    return {
        "model": body["model"],
        "id": ids.alnum("msg_01", 22),
        "type": "message",
        "role": "assistant",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        "usage": usage(tokens, 1),
    }


def blocks(body: dict, answer: Plan, ids: Ids) -> list[dict]:
    given = body.get("thinking") or {}
    hidden = given.get("display") == "omitted" or (given.get("display") is None and ADAPTIVE_ONLY.match(body["model"]))
    found: list[dict] = []
    for piece in answer.pieces:
        match piece:
            case Thought(redacted=True):
                found.append({"type": "redacted_thinking", "data": seals.issue("anthropic redacted", "", prefix=SEAL)})
            case Thought(text=text):
                shown = "" if hidden else text
                found.append({"type": "thinking", "thinking": shown, "signature": seals.issue("anthropic", shown, prefix=SEAL)})
            case Say(text=text) | Decline(text=text):
                found.append({"type": "text", "text": text})
            case Use(name=called, arguments=arguments):
                found.append({"type": "tool_use", "id": ids.alnum("toolu_01", 22), "name": called, "input": arguments})
    return found


def event(document: dict) -> bytes:
    text = dump(document)
    return f"event: {document['type']}\ndata: {text}{' ' * (len(text) % 9)}\n\n".encode()


def events(body: dict, answer: Plan, ids: Ids) -> Iterator[bytes]:
    yield event({"type": "message_start", "message": start(body, answer.tokens, ids)})
    for index, block in enumerate(blocks(body, answer, ids)):
        at = {"type": "content_block_delta", "index": index}
        match block["type"]:
            case "thinking":
                yield event(
                    {"type": "content_block_start", "index": index, "content_block": block | {"thinking": "", "signature": ""}}
                )
                deltas = [{"type": "thinking_delta", "thinking": part} for part in slices(block["thinking"])]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case "text":
                yield event({"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}})
                deltas = [{"type": "text_delta", "text": part} for part in slices(block["text"])]
            case "tool_use":
                yield event({"type": "content_block_start", "index": index, "content_block": block | {"input": {}}})
                deltas = [{"type": "input_json_delta", "partial_json": part} for part in ["", *slices(dump(block["input"]))]]
            case _:
                yield event({"type": "content_block_start", "index": index, "content_block": block})
                deltas = []
        if index == 0:
            yield event({"type": "ping"})
        for delta in deltas:
            yield event(at | {"delta": delta})
        if answer.fault is not None:
            if answer.fault.kind == "inside":
                yield event(
                    {
                        "type": "error",
                        "error": {"type": "overloaded_error", "message": "Overloaded"},
                        "request_id": ids.alnum("req_011", 21),
                    }
                )
            return
        yield event({"type": "content_block_stop", "index": index})
    details = {"type": "refusal", "category": None, "explanation": None} if STOP[answer.end] == "refusal" else None
    told = usage(answer.tokens, answer.tokens.output + answer.tokens.reasoning)
    told = {key: told[key] for key in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")}
    yield event(
        {
            "type": "message_delta",
            "delta": {"stop_reason": STOP[answer.end], "stop_sequence": None, "stop_details": details},
            "usage": told,
        }
    )
    yield event({"type": "message_stop"})
