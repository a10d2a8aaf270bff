"""Responses as OpenAI serves them, whole and streamed, with stored conversations.

One rule: the stream says everything thrice (delta, done, completed) and the three agree.
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Iterator

from tests.upstreams import seals
from tests.upstreams.answers import Answer, Ids, Received, dump, stream, whole
from tests.upstreams.openai_responses_rules import SEAL, understand
from tests.upstreams.openai_rules import document, fault, headers, reading
from tests.upstreams.script import Decline, Plan, Say, Thought, Tokens, Use, plan, slices

STORED: dict[str, list[dict]] = {}
"""Response id -> its whole conversation, of requests that did not forbid it."""
KNOWN: set[str] = set()
"""Ids of stored items."""
ECHOED = {
    "instructions": None, "max_output_tokens": None, "max_tool_calls": None, "metadata": {}, "parallel_tool_calls": True, "previous_response_id": None,
    "prompt_cache_key": None, "safety_identifier": None, "service_tier": "default", "store": True, "temperature": 1.0, "tool_choice": "auto", "tools": [],
    "top_logprobs": 0, "top_p": 1.0, "truncation": "disabled", "user": None, "background": False,
}  # fmt: skip


def count(request: Received, ids: Ids) -> Answer:
    body = document(request)
    understand(body, STORED, KNOWN, counting=True)
    return whole({"object": "response.input_tokens", "input_tokens": 10 + len(dump(body)) // 8}, headers=headers(ids))


def create(request: Received, ids: Ids) -> Answer:
    body = document(request)
    ask = understand(body, STORED, KNOWN)
    answer = plan(ask)
    fault(answer.fault)
    output = items(body, answer, ids)
    frame = envelope(body, ids)
    if body.get("store") is not False and answer.fault is None:
        given = [{"role": "user", "content": body["input"]}] if isinstance(body["input"], str) else body["input"]
        STORED[frame["id"]] = [*STORED.get(body.get("previous_response_id") or "", []), *given, *output]
        KNOWN.update(item["id"] for item in output)
    if body.get("stream"):
        return stream(
            list(events(frame, answer, output)), headers(ids), cut=answer.fault is not None and answer.fault.kind == "cut"
        )
    if answer.fault is not None:
        if answer.fault.kind == "cut":
            return Answer(chunks=(b'{"id": "resp_',), cut=True)
        return whole(
            {
                "error": {
                    "message": "The server had an error while processing your request. Sorry about that!",
                    "type": "server_error",
                    "param": None,
                    "code": "server_error",
                }
            },
            500,
        )
    return whole(frame | finished(answer, output), headers=headers(ids))


def envelope(body: dict, ids: Ids) -> dict:
    text = body.get("text") or {}
    return {
        "id": ids.hex("resp_", 48),
        "object": "response",
        "created_at": 1795255200,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": body["model"],
        "output": [],
        "usage": None,
        **{key: default if body.get(key) is None else body[key] for key, default in ECHOED.items()},
        "reasoning": {"effort": None, "summary": None} | (body.get("reasoning") or {}),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
    }


def usage(tokens: Tokens) -> dict:
    read, written = reading(tokens)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": tokens.cached},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": read + written,
    }


def finished(answer: Plan, output: list[dict]) -> dict:
    reason = {"length": "max_output_tokens", "filter": "content_filter"}.get(answer.end)
    return {
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output,
        "usage": usage(answer.tokens),
    }


def items(body: dict, answer: Plan, ids: Ids) -> list[dict]:
    """The output items. Reasoning is sealed when asked for, or when nothing is stored (as of 2026 it is then given unasked)."""
    sealed = "reasoning.encrypted_content" in (body.get("include") or ()) or body.get("store") is False
    told = (body.get("reasoning") or {}).get("summary") is not None
    status = "incomplete" if answer.end in {"length", "filter"} else "completed"
    found: list[dict] = []
    for piece in answer.pieces:
        match piece:
            case Thought(text=text, redacted=redacted):
                summary = [{"type": "summary_text", "text": text}] if told and not redacted else []
                item: dict = {"id": ids.hex("rs_", 48), "type": "reasoning", "summary": summary}
                found.append(item | ({"encrypted_content": seals.issue("openai", "", prefix=SEAL)} if sealed else {}))
            case Say(text=text):
                part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
                found.append(
                    {"id": ids.hex("msg_", 48), "type": "message", "status": status, "content": [part], "role": "assistant"}
                )
            case Decline(text=text):
                part = {"type": "refusal", "refusal": text}
                found.append(
                    {"id": ids.hex("msg_", 48), "type": "message", "status": status, "content": [part], "role": "assistant"}
                )
            case Use(name=called, arguments=arguments):
                found.append(
                    {
                        "id": ids.hex("fc_", 48),
                        "type": "function_call",
                        "status": status,
                        "arguments": dump(arguments),
                        "call_id": ids.alnum("call_", 24),
                        "name": called,
                    }
                )
    return found


def events(frame: dict, answer: Plan, output: list[dict]) -> Iterator[bytes]:
    number = 0

    def event(kind: str, **fields: object) -> bytes:
        nonlocal number
        document = {"type": kind} | fields | {"sequence_number": number}
        number += 1
        return f"event: {kind}\ndata: {dump(document)}\n\n".encode()

    yield event("response.created", response=frame)
    yield event("response.in_progress", response=frame)
    for index, item in enumerate(output):
        at = {"item_id": item["id"], "output_index": index}
        match item["type"]:
            case "reasoning":
                yield event("response.output_item.added", item=item | {"summary": []}, output_index=index)
                for position, part in enumerate(item["summary"]):
                    here = at | {"summary_index": position}
                    yield event("response.reasoning_summary_part.added", **here, part={"type": "summary_text", "text": ""})
                    for piece in slices(part["text"]):
                        yield event(
                            "response.reasoning_summary_text.delta", **here, delta=piece, obfuscation="x" * (len(piece) % 5)
                        )
                    yield event("response.reasoning_summary_text.done", **here, text=part["text"])
                    yield event("response.reasoning_summary_part.done", **here, part=part)
            case "message":
                yield event(
                    "response.output_item.added", item=item | {"status": "in_progress", "content": []}, output_index=index
                )
                (part,) = item["content"]
                key, word = ("text", "output_text") if part["type"] == "output_text" else ("refusal", "refusal")
                here = at | {"content_index": 0}
                extra = {"logprobs": []} if word == "output_text" else {}
                yield event("response.content_part.added", **here, part=part | {key: ""})
                for piece in slices(part[key]):
                    yield event(f"response.{word}.delta", **here, delta=piece, **extra, obfuscation="x" * (len(piece) % 5))
                if answer.fault is not None:
                    if answer.fault.kind == "inside":
                        problem = {"code": "server_error", "message": "The server had an error processing your request."}
                        yield event("error", **problem, param=None)
                        yield event("response.failed", response=frame | {"status": "failed", "error": problem})
                    return
                yield event(f"response.{word}.done", **here, **{key: part[key]}, **extra)
                yield event("response.content_part.done", **here, part=part)
            case _:
                yield event(
                    "response.output_item.added", item=item | {"status": "in_progress", "arguments": ""}, output_index=index
                )
                for piece in slices(item["arguments"]):
                    yield event("response.function_call_arguments.delta", **at, delta=piece, obfuscation="x" * (len(piece) % 5))
                yield event("response.function_call_arguments.done", **at, arguments=item["arguments"])
        yield event("response.output_item.done", item=item, output_index=index)
    last = frame | finished(answer, output)
    yield event("response.incomplete" if last["status"] == "incomplete" else "response.completed", response=last)
