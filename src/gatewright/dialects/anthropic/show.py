"""Blocks of an answer, written for a client of this dialect, whole or as the start of a streamed block.

One rule: a foreign seal travels packed, in the signature of its thinking or in a redacted_thinking block of its own before the
block that it signs; a client replays both untouched.
"""

import hashlib

from gatewright.dialects.anthropic.content import NAME, NEXT, input_of
from gatewright.dialects.anthropic.render_content import deep, plain
from gatewright.ir.blocks import Citation, Native, Node, Reasoning, ToolCall
from gatewright.ir.loss import Losses, join
from gatewright.ir.seal import Seal, carry, pack
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode


def client_call_id(call_id: str, message_id: str, index: int) -> str:
    """The id a client will answer with; made up, but always the same, where the origin gives none."""
    return call_id or "toolu_" + hashlib.sha256(f"{message_id}/{index}".encode()).hexdigest()[:24]


def carrier(seal: Seal, side: str = NEXT) -> JsonObject:
    """A block that brings the seal of its neighbour back."""
    return {"type": "redacted_thinking", "data": pack(seal) + side}


def show_citation(citation: Citation, origin: str, at: str, losses: Losses) -> JsonObject | None:
    """The citation; from abroad as a web search result where it has a URL, else None (and reported)."""
    if citation.origin == NAME:
        named: list[tuple[str, JsonValue]] = [
            ("type", citation.kind or None),
            ("url", citation.url),
            ("title", citation.title),
            ("cited_text", citation.cited),
        ]
        return deep({key: value for key, value in named if value is not None}, losses.extras(citation, origin=origin))
    path = citation.at or join(at, "citations")
    if citation.url is None:
        losses.dropped(path, "anthropic cites no such source", plain(citation))
        return None
    losses.approximated(path, "told as a web search result", plain(citation))
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.cited or "",
        "encrypted_index": "",
    }


def show_reasoning(block: Reasoning, origin: str, losses: Losses) -> JsonObject:
    """The thinking or redacted_thinking block, whole."""
    extras = losses.extras(block, origin=origin)
    if block.redacted and block.seal is not None:
        return deep({"type": "redacted_thinking", "data": carry(block.seal, NAME)}, extras)
    text = block.text or "\n\n".join(block.summary)
    if block.text and block.summary:
        losses.hint(join(block.at, "summary"), "thinking is told once: in full", list(block.summary))
    if block.id and block.seal is None:
        losses.hint(join(block.at, "id"), "thinking blocks have no id", block.id)
    elif block.id:
        losses.hint(join(block.at, "id"), "the id travels in the seal, if there", block.id)
    wire: JsonObject = {"type": "thinking", "thinking": text}
    if block.seal is not None:
        wire["signature"] = carry(block.seal, NAME)
    elif origin != NAME:
        wire["signature"] = ""
    return deep(wire, extras)


def show_call(block: ToolCall, message_id: str, index: int, origin: str, losses: Losses) -> JsonObject:
    """tool_use with its whole input."""
    arguments = block.arguments
    if block.kind == "custom":
        losses.approximated(block.at, "free-form input is told as an object with one string", arguments)
        arguments = encode({"input": arguments}).decode()
    value, wrapped = input_of(arguments)
    if wrapped:
        losses.approximated(join(block.at, "arguments"), "arguments that are no JSON object are wrapped", arguments)
    elif not block.arguments and origin != NAME:
        losses.hint(join(block.at, "arguments"), "no arguments are told as an empty object", block.arguments)
    wire = call_start(block, message_id, index, origin, losses)
    if "no_input" in block.form and origin == NAME:
        del wire["input"]
    else:
        wire["input"] = value
    return wire


def call_start(block: ToolCall, message_id: str, index: int, origin: str, losses: Losses) -> JsonObject:
    """tool_use as its stream begins, with an empty input."""
    if block.item_id:
        losses.hint(join(block.at, "id"), "calls have one id here", block.item_id)
    wire: JsonObject = {
        "type": "tool_use",
        "id": client_call_id(block.id, message_id, index),
        "name": block.name,
        "input": {},
    }
    return deep(wire, losses.extras(block, origin=origin))


def show_native(block: Native, losses: Losses) -> JsonObject | None:
    if block.origin == NAME:
        return block.data
    losses.dropped(block.at, f"only {block.origin} knows this block", block.data)
    return None


def drop(block: Node, why: str, losses: Losses) -> None:
    losses.dropped(block.at, why, plain(block))
