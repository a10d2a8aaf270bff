"""Streamed answers put together as a client of each API would: the whole answer that the stream told.

One rule: it reads the wire by the API's own rule and knows nothing of the neutral form; what never came to its end is `Broken`.
"""

import json
from collections.abc import Iterable

from gatewright.ir.blocks import DialectName
from tests.laws.framing import events_of


class Broken(Exception):
    """The stream told an error, or ended before its end."""


def put_together(dialect: DialectName, body: bytes) -> dict:
    """The whole answer. Raises Broken."""
    if body.lstrip().startswith(b"["):  # Gemini's stream without `alt=sse`
        named = [("", event) for event in json.loads(body)]
    else:
        named = [(name.decode(), json.loads(data)) for name, data in events_of(dialect, body) if data.lstrip().startswith(b"{")]
    for name, event in named:
        if event.get("error") or event.get("type") in ("error", "response.failed") or name.startswith("!"):
            raise Broken("the stream told an error")
    made = {
        "openai_chat": _chat,
        "openai_responses": _responses,
        "anthropic": _anthropic,
        "gemini": _gemini,
        "bedrock_converse": _converse,
    }
    return made[dialect](named)


# ---------------------------------------------------------------------------------------- chat completions


def _chat(named: Iterable[tuple[str, dict]]) -> dict:
    """What the reference takes of it: content and calls of tools. An empty text, which begins most streams, says nothing."""
    choices: dict[int, dict] = {}
    ended: set[int] = set()
    for _, event in named:
        for told in event.get("choices") or ():
            index = told.get("index") or 0
            message = choices.setdefault(index, {"role": "assistant"})
            delta = told.get("delta") or {}
            if isinstance(delta.get("content"), list):
                raise Broken("thoughts of Mistral's within the content of a stream, which the reference cannot join")
            if delta.get("content"):
                message["content"] = message.get("content", "") + delta["content"]
            for piece in delta.get("tool_calls") or ():
                _chat_call(message.setdefault("tool_calls", {}), piece)
            if told.get("finish_reason"):
                ended.add(index)
    if not ended or ended != choices.keys():
        raise Broken("the stream ended before its end")
    for message in choices.values():
        if "tool_calls" in message:
            message["tool_calls"] = [message["tool_calls"][index] for index in sorted(message["tool_calls"])]
            if not all("id" in call for call in message["tool_calls"]):
                raise Broken("a stream with a call that has no id: the gateway gives it one")
    return {"choices": [{"index": index, "message": choices[index]} for index in sorted(choices)]}


def _chat_call(calls: dict[int, dict], piece: dict) -> None:
    call = calls.setdefault(piece.get("index") or 0, {"type": "function", "function": {"name": "", "arguments": ""}})
    call |= {key: value for key, value in piece.items() if value and key not in ("index", "function")}
    for name in ("name", "arguments"):
        call["function"][name] += (piece.get("function") or {}).get(name) or ""


# ------------------------------------------------------------------------------------------------ the others


def _responses(named: Iterable[tuple[str, dict]]) -> dict:
    """The last event repeats all of it; hosts that leave its output empty have told it item by item."""
    items: dict[int, dict] = {}
    for _, event in named:
        if event.get("type") == "response.output_item.done":
            items[event["output_index"]] = event["item"]
        if event.get("type") in ("response.completed", "response.incomplete"):
            whole = event["response"]
            return whole if whole.get("output") else {**whole, "output": [items[index] for index in sorted(items)]}
    raise Broken("the stream ended before its end")


def _anthropic(named: Iterable[tuple[str, dict]]) -> dict:
    blocks: dict[int, dict] = {}
    ended = False
    for _, event in named:
        match event.get("type"):
            case "content_block_start":
                blocks[event["index"]] = {**event["content_block"], "partial": ""}
            case "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                if delta["type"] == "text_delta":
                    block["text"] += delta["text"]
                elif delta["type"] == "input_json_delta":
                    block["partial"] += delta["partial_json"]
            case "message_stop":
                ended = True
    if not ended:
        raise Broken("the stream ended before its end")
    for block in blocks.values():
        if partial := block.pop("partial"):
            block["input"] = read(partial)
    return {"role": "assistant", "content": [blocks[index] for index in sorted(blocks)]}


def _gemini(named: Iterable[tuple[str, dict]]) -> dict:
    candidates: dict[int, dict] = {}
    for _, event in named:
        for told in event.get("candidates") or ():
            made = candidates.setdefault(told.get("index") or 0, {"content": {"role": "model", "parts": []}})
            if told.get("finishReason"):
                made["finishReason"] = told["finishReason"]
            parts = made["content"]["parts"]
            for part in (told.get("content") or {}).get("parts") or ():
                last = parts[-1] if parts else {}
                if part == {"text": ""}:
                    continue  # where only the end is told
                goes_on = "text" in part and "text" in last and "thoughtSignature" not in last  # which ends a part
                if goes_on and bool(part.get("thought")) == bool(last.get("thought")):
                    parts[-1] = {**last, **part, "text": last["text"] + part["text"]}
                else:
                    parts.append(part)
    if not all("finishReason" in one for one in candidates.values()):
        raise Broken("the stream ended before its end")
    return {"candidates": [candidates[index] for index in sorted(candidates)]}


def _converse(named: Iterable[tuple[str, dict]]) -> dict:
    blocks: dict[int, dict] = {}
    ended = False
    for name, event in named:
        index = event.get("contentBlockIndex", 0)
        match name:
            case "contentBlockStart":
                blocks[index] = {key: dict(value) for key, value in (event.get("start") or {}).items()}
                if "toolUse" in blocks[index]:
                    blocks[index]["toolUse"]["input"] = ""
            case "contentBlockDelta":
                block = blocks.setdefault(index, {})
                for key, told in event["delta"].items():
                    if key == "text":
                        block["text"] = block.get("text", "") + told
                    elif key == "citation":
                        block["citationsContent"] = {}
                    elif key == "toolUse":
                        block["toolUse"]["input"] += told.get("input", "")
                    else:
                        block.setdefault(key, told)
            case "messageStop":
                ended = True
    if not ended:
        raise Broken("the stream ended before its end")
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = read(block["toolUse"]["input"])
        if "citationsContent" in block:
            block["citationsContent"] = {"content": [{"text": block.pop("text", "")}]}
    return {"output": {"message": {"role": "assistant", "content": [blocks[index] for index in sorted(blocks)]}}}


def read(arguments: str) -> object:
    """The object that a call's arguments are; what is none stays the text; nothing is the empty object."""
    if not arguments.strip():
        return {}
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
