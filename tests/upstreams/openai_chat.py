"""Chat Completions as OpenAI serves them, whole and streamed.

One rule: what OpenAI refuses is refused (openai_chat_rules), and what it answers has its key order and its chunk order.
https://platform.openai.com/docs/api-reference/chat
"""

import itertools

from tests.upstreams.answers import Answer, Ids, Received, dump, stream, whole
from tests.upstreams.openai_chat_rules import understand
from tests.upstreams.openai_rules import document, fault, headers, reading
from tests.upstreams.script import Decline, Plan, Say, Thought, Tokens, Use, plan, slices

FINISH = {"stop": "stop", "tools": "tool_calls", "length": "length", "filter": "content_filter", "refusal": "stop"}
COMPATIBLE = "deepseek"
"""Models of this family show their reasoning as `reasoning_content`; OpenAI's own keep it."""


def complete(request: Received, ids: Ids) -> Answer:
    body = document(request)
    ask = understand(body)
    answer = plan(ask)
    fault(answer.fault)
    return streamed(body, answer, ids) if body.get("stream") else entire(body, answer, ids)


def usage(tokens: Tokens) -> dict:
    read, written = reading(tokens)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": tokens.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def shows(body: dict) -> bool:
    return body["model"].startswith(COMPATIBLE)


def entire(body: dict, answer: Plan, ids: Ids) -> Answer:
    if answer.fault is not None:
        if answer.fault.kind == "cut":
            return Answer(headers=(("content-type", "application/json"),), chunks=(b'{"id": "chatcmpl-',), cut=True)
        return whole(
            {
                "error": {
                    "message": "The server had an error while processing your request. Sorry about that!",
                    "type": "server_error",
                    "param": None,
                    "code": None,
                }
            },
            500,
        )
    said = "".join(p.text for p in answer.pieces if isinstance(p, Say))
    declined = "".join(p.text for p in answer.pieces if isinstance(p, Decline))
    message: dict = {"role": "assistant", "content": said or None, "refusal": declined or None, "annotations": []}
    if shows(body) and (thought := "".join(p.text for p in answer.pieces if isinstance(p, Thought))):
        message["reasoning_content"] = thought
    calls = [
        {"id": ids.alnum("call_", 24), "type": "function", "function": {"name": p.name, "arguments": dump(p.arguments)}}
        for p in answer.pieces
        if isinstance(p, Use)
    ]
    if calls:
        message["tool_calls"] = calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": FINISH[answer.end]}
    return whole(
        {
            "id": ids.alnum("chatcmpl-", 29),
            "object": "chat.completion",
            "created": 1795255200,
            "model": body["model"],
            "choices": [choice | {"index": i} for i in range(body.get("n") or 1)],
            "usage": usage(answer.tokens),
            "service_tier": "default",
            "system_fingerprint": "fp_0ba0d124f1",
        },
        headers=headers(ids),
    )


def deltas(body: dict, answer: Plan, ids: Ids) -> list[dict]:
    """The deltas after the first, in order."""
    found: list[dict] = []
    index = 0
    for piece in answer.pieces:
        match piece:
            case Thought(text=text):
                if shows(body):
                    found += [{"reasoning_content": part} for part in slices(text)]
            case Say(text=text):
                found += [{"content": part} for part in slices(text)]
            case Decline(text=text):
                found += [{"refusal": part} for part in slices(text)]
            case Use(name=called, arguments=arguments):
                start = {
                    "index": index,
                    "id": ids.alnum("call_", 24),
                    "type": "function",
                    "function": {"name": called, "arguments": ""},
                }
                found.append({"tool_calls": [start]})
                found += [{"tool_calls": [{"index": index, "function": {"arguments": part}}]} for part in slices(dump(arguments))]
                index += 1
    if answer.manner == "interleaved":
        calls = [delta for delta in found if "tool_calls" in delta]
        half = len(calls) // 2
        mixed = [delta for pair in itertools.zip_longest(calls[:half], calls[half:]) for delta in pair if delta]
        return [delta for delta in found if "tool_calls" not in delta] + mixed
    if answer.manner == "at-once":
        uses = [piece for piece in answer.pieces if isinstance(piece, Use)]
        whole_calls = [
            {
                "index": i,
                "id": ids.alnum("call_", 24),
                "type": "function",
                "function": {"name": use.name, "arguments": dump(use.arguments)},
            }
            for i, use in enumerate(uses)
        ]
        return [delta for delta in found if "tool_calls" not in delta] + [{"tool_calls": whole_calls}]
    return found


def streamed(body: dict, answer: Plan, ids: Ids) -> Answer:
    counted = bool((body.get("stream_options") or {}).get("include_usage"))
    base = {
        "id": ids.alnum("chatcmpl-", 29),
        "object": "chat.completion.chunk",
        "created": 1795255200,
        "model": body["model"],
        "service_tier": "default",
        "system_fingerprint": "fp_0ba0d124f1",
    }

    def chunk(delta: dict, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        document = (
            base | {"choices": [choice]} | ({"usage": None} if counted else {}) | {"obfuscation": "x" * (len(dump(delta)) % 7)}
        )
        return f"data: {dump(document)}\n\n".encode()

    calling = isinstance(answer.pieces[-1] if answer.pieces else None, Use) and not any(isinstance(p, Say) for p in answer.pieces)
    chunks = [chunk({"role": "assistant", "content": None if calling else "", "refusal": None})]
    chunks += [chunk(delta) for delta in deltas(body, answer, ids)]
    if answer.fault is not None:
        if answer.fault.kind == "inside":
            error = {
                "error": {
                    "message": "The server had an error while processing your request. Sorry about that!",
                    "type": "server_error",
                    "param": None,
                    "code": None,
                }
            }
            chunks.append(f"data: {dump(error)}\n\n".encode())
            return stream(chunks, headers(ids))
        return stream(chunks, headers(ids), cut=True)
    chunks.append(chunk({}, FINISH[answer.end]))
    if counted:
        chunks.append(f"data: {dump(base | {'choices': [], 'usage': usage(answer.tokens)})}\n\n".encode())
    chunks.append(b"data: [DONE]\n\n")
    return stream(chunks, headers(ids))
