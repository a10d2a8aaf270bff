"""Documents as exchanges: what one type allows, put where real traffic has it.

One rule: everything around the document is the plainest there is, so that the document alone is judged.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue
from tests.laws import cases
from tests.laws.cases import Case
from tests.laws.framing import wire_of
from tests.laws.typed.samples import Sampler
from tests.laws.typed.schemas import schema_of

USER: JsonObject = {"role": "user", "content": "Hello"}
START = {"message": {"id": "msg_1", "content": [], "model": "claude-sonnet-4-5", "role": "assistant", "type": "message",
                     "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 7, "output_tokens": 1}}, "type": "message_start"}  # fmt: skip
TEXT: JsonObject = {"type": "text", "text": ""}
DELTA_OF: dict[str, JsonObject] = {
    "thinking_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "signature_delta": {"type": "thinking", "thinking": "", "signature": ""},
    "input_json_delta": {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
    "compaction_delta": {"type": "compaction", "content": None},
}
"""Anthropic's delta → the block it adds to; text for all others."""

BEGUN: dict[str, JsonObject] = {
    "toolUse": {"toolUse": {"toolUseId": "tooluse_1", "name": "look"}},
    "toolResult": {"toolResult": {"toolUseId": "tooluse_1", "type": "nova_grounding_result"}},
    "image": {"image": {"format": "png"}},
}
"""Converse's delta → how its block begins; others begin with their first delta."""


def samples(dialect: DialectName, side: str, *, full: bool) -> list[tuple[str, JsonValue]]:
    return list(Sampler(schema_of(dialect, side), full=full).documents())


def case_of(dialect: DialectName, what: str, *, request: JsonObject | None = None, document: JsonValue = None, text: bytes | None = None) -> Case:  # fmt: skip
    binary = dialect == "bedrock_converse" and text is not None
    path = cases.path_for(dialect, cases.MODEL[dialect], stream=False)
    return Case(
        id=f"typed {dialect} {what}",
        place="corpus",
        file=Path(what),
        dialect=dialect,
        provider="typed",
        stream=text is not None,
        request=request,
        call=None if request is None else cases.call_of(dialect, request, path=path),
        status=200,
        headers={},
        text=None if text is None else text.decode("latin-1" if binary else "utf-8"),
        document=document,
        binary=binary,
    )


def requests(dialect: DialectName, *, full: bool = False) -> Iterator[Case]:
    least = cases.minimal_body(dialect)
    for what, body in samples(dialect, "request", full=full):
        assert isinstance(body, dict)
        if ".thread(" in what:
            continue  # threads are kept by the provider alone: refused, aloud
        body = {**least, **body}  # noqa: PLW2901 - the sample, completed
        if ".generationConfig.response" in what and "Schema" in what:
            body["generationConfig"]["responseMimeType"] = "application/json"
        if "model" in least:
            body["model"] = least["model"]
        for key in ("messages", "contents"):
            if f".{key}[]" in what:
                body[key] = [*least[key], *body[key]]
            elif key in least and f".{key}" not in what:
                body[key] = least[key]
        yield case_of(dialect, f"request {what}", request=body)


def answers(dialect: DialectName, *, full: bool = False) -> Iterator[Case]:
    for what, body in samples(dialect, "answer", full=full):
        yield case_of(dialect, f"answer {what}", document=as_answer(dialect, body))


def as_answer(dialect: DialectName, body: JsonValue) -> JsonValue:
    """The roles of answers: types that requests share do not say them."""
    spelled = json.dumps(body)
    if dialect == "bedrock_converse":
        spelled = spelled.replace('"role": "user"', '"role": "assistant"')
    if dialect == "gemini":
        spelled = spelled.replace('"role": "user"', '"role": "model"')
    return json.loads(spelled)


def streams(dialect: DialectName, *, full: bool = False) -> Iterator[Case]:
    for what, events in SEQUENCES[dialect](full=full):
        wire = wire_of(dialect, ((name.encode(), json.dumps(event).encode()) for name, event in events))
        if dialect == "openai_chat":
            wire += b"data: [DONE]\n\n"
        yield case_of(dialect, f"stream {what}", text=wire)


Events = list[tuple[str, JsonValue]]


def _chat(*, full: bool) -> Iterator[tuple[str, Events]]:
    def chunk(delta: JsonObject, finish: str | None = None) -> JsonObject:
        return {
            "id": "some id", "object": "chat.completion.chunk", "created": 1700000000, "model": "some model",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }  # fmt: skip

    for what, variant in samples("openai_chat", "stream", full=full):
        ended = isinstance(variant, dict) and variant["choices"][0].get("finish_reason")
        events = [chunk({"role": "assistant", "content": ""}), chunk({"content": "Hello"}), variant]
        yield what, [("", event) for event in (events if ended else [*events, chunk({}, "stop")])]


def _anthropic(*, full: bool) -> Iterator[tuple[str, Events]]:
    for what, event in samples("anthropic", "stream", full=full):
        assert isinstance(event, dict)
        if what.startswith("(BetaRawMessageStartEvent).message.stop_"):
            continue  # nothing has stopped yet
        block, delta = TEXT, {"type": "text_delta", "text": "Hello"}
        start = START
        stopped: JsonObject = {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 7},
        }
        inner: list[JsonObject] = []
        match event["type"]:
            case "message_start":
                start = {**event, "message": {**event["message"], "content": []}}
            case "content_block_start":
                block, delta = event["content_block"], {}
            case "content_block_delta":
                block, delta = DELTA_OF.get(event["delta"]["type"], TEXT), event["delta"]
            case "message_delta":
                stopped = {**event, "delta": {"stop_sequence": None, **event["delta"]}}
            case _:
                continue
        inner = [{"type": "content_block_start", "index": 0, "content_block": block}]
        inner += [{"type": "content_block_delta", "index": 0, "delta": delta}] if delta else []
        all_of = [start, *inner, {"type": "content_block_stop", "index": 0}, stopped, {"type": "message_stop"}]
        yield what, [(str(one["type"]), one) for one in all_of]


def _gemini(*, full: bool) -> Iterator[tuple[str, Events]]:
    known: JsonObject = {"responseId": "r1", "modelVersion": "gemini-2.5-pro", "createTime": "2025-01-01T00:00:00Z"}
    last: JsonObject = {"candidates": [{"content": {"role": "model", "parts": [{"text": "!"}]}, "finishReason": "STOP"}]}
    first: JsonObject = {**known, "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello"}]}}]}
    for what, variant in samples("gemini", "answer", full=full):
        chunk = as_answer("gemini", variant)
        assert isinstance(chunk, dict)
        chunk |= {key: value for key, value in known.items() if key in chunk}
        if ".finishReason" not in what and ".finishMessage" not in what:
            for candidate in chunk.get("candidates") or ():
                candidate.pop("finishReason", None)
            yield what, [("", first), ("", chunk), ("", last)]
        else:
            yield what, [("", first), ("", chunk)]


def _converse(*, full: bool) -> Iterator[tuple[str, Events]]:
    for what, variant in samples("bedrock_converse", "stream", full=full):
        assert isinstance(variant, dict)
        if not variant.get("stream"):
            continue
        ((name, event),) = variant["stream"].items()
        start, stop = ("messageStart", {"role": "assistant"}), ("messageStop", {"stopReason": "end_turn"})
        opened: Events = []
        middle: Events = [("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello"}})]
        closed: Events = [("contentBlockStop", {"contentBlockIndex": 0})]
        last: Events = [
            ("metadata", {"usage": {"inputTokens": 7, "outputTokens": 7, "totalTokens": 14}, "metrics": {"latencyMs": 7}})
        ]
        match name:
            case "messageStart":
                start = (name, {**event, "role": "assistant"})
            case "contentBlockStart":
                opened, middle = [(name, event)], []
                if "image" in event["start"]:
                    middle = [
                        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"image": {"source": {"bytes": "aGVsbG8="}}}})
                    ]
            case "contentBlockDelta":
                begun = next((BEGUN[key] for key in event["delta"] if key in BEGUN), None)
                opened = [("contentBlockStart", {"contentBlockIndex": 0, "start": begun})] if begun else []
                middle = [(name, event)]
            case "contentBlockStop":
                closed = [(name, event)]
            case "messageStop":
                stop = (name, event)
            case "metadata":
                last = [(name, event)]
            case _:
                last = [(f"!{name}", {"message": "no"})]
        yield what, [start, *opened, *middle, *closed, stop, *last]


def _responses(*, full: bool) -> Iterator[tuple[str, Events]]:
    for what, answer in samples("openai_responses", "answer", full=full):
        assert isinstance(answer, dict)
        if ".output[]" in what:
            yield f"item {what}", _of_items(answer)
    message = Sampler(schema_of("openai_responses", "answer")).least(schema_of("openai_responses", "answer"))
    for what, event in samples("openai_responses", "stream", full=full):
        assert isinstance(event, dict)
        if "response" in event or "item" in event or event["type"] == "error":
            continue
        if "item_id" in event and not event["type"].startswith(
            ("response.output_text", "response.content_part", "response.refusal")
        ):
            continue  # about an item of another kind; see the items themselves
        sequence = _of_items(message)
        yield what, [*sequence[:2], (event["type"], event), *sequence[2:]]


def _of_items(answer: JsonObject) -> Events:
    events: list[JsonObject] = [{"type": "response.created", "response": {**answer, "status": "in_progress", "output": []}}]
    for i, item in enumerate(answer["output"]):
        begun = {**item, "status": "in_progress"} if "status" in item else item
        events.append({"type": "response.output_item.added", "output_index": i, "item": begun})
        events.append({"type": "response.output_item.done", "output_index": i, "item": item})
    events.append({"type": "response.completed", "response": {"status": "completed", **answer}})
    numbered = [{**event, "sequence_number": i} for i, event in enumerate(events)]
    return [(str(event["type"]), event) for event in numbered]


SEQUENCES = {
    "openai_chat": _chat,
    "openai_responses": _responses,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "bedrock_converse": _converse,
}
