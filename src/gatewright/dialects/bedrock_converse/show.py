"""Blocks of an answer, written for a client of this dialect, whole or as a streamed block's parts.

One rule: a foreign seal travels packed, in the signature of its reasoning or in a redacted block of its own before the block that
it signs; a client replays both untouched.
"""

import hashlib
from typing import assert_never

from gatewright.dialects.bedrock_converse.content import input_of
from gatewright.dialects.bedrock_converse.media import media_wire, plain
from gatewright.dialects.bedrock_converse.models import ModelFacts
from gatewright.dialects.bedrock_converse.render_content import BlockWriter, citation_wire, cited_wire, deep
from gatewright.dialects.bedrock_converse.seals import NAME, NEXT, redacted, signature
from gatewright.ir.blocks import Block, Citation, Media, Native, Node, Reasoning, Refusal, Text, ToolCall, ToolResult
from gatewright.ir.loss import Losses, join
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject
from gatewright.wire.json import encode

_HOME = ModelFacts(family="other")


def client_call_id(call_id: str, message_id: str, index: int) -> str:
    """The id a client will answer with; made up, but always the same, where the origin gives none."""
    return call_id or "tooluse_" + hashlib.sha256(f"{message_id}/{index}".encode()).hexdigest()[:22]


def carrier(seal: Seal, side: str = NEXT) -> JsonObject:
    """A block that brings the seal of its neighbour back."""
    return {"reasoningContent": {"redactedContent": redacted(seal, side)}}


def show(block: Block, message_id: str, index: int, origin: str, losses: Losses) -> list[JsonObject]:
    """The block on the wire, behind the carrier of its seal where it needs one; [] when it could not be said."""
    match block:
        case Text(text="", citations=(), seal=None) if origin != NAME and not block.extras:
            losses.hint(block.at, "an empty text is not told: sent back, the API would refuse it", "")
            return []
        case Text():
            return _behind(block.seal, *_show_text(block, origin, losses))
        case Reasoning():
            return [show_reasoning(block, origin, losses)]
        case ToolCall():
            return _behind(block.seal, show_call(block, message_id, index, origin, losses))
        case Refusal():
            losses.approximated(block.at, "a refusal is told as text", block.text)
            losses.extras(block, origin=origin)
            return [{"text": block.text}]
        case Native():
            if block.origin == NAME:
                return [block.data]
            losses.dropped(block.at, f"only {block.origin} knows this block", block.data)
            return []
        case Media():
            return _show_media(block, origin, losses)
        case ToolResult():
            if origin == NAME:
                return BlockWriter(NAME, "", _HOME, losses).blocks(block)
            drop(block, "a converse message cannot answer with this", losses)
            return []
        case _:
            assert_never(block)


def _behind(seal: Seal | None, *wires: JsonObject) -> list[JsonObject]:
    return list(wires) if seal is None else [carrier(seal), *wires]


def drop(block: Node, why: str, losses: Losses) -> None:
    losses.dropped(block.at, why, plain(block))


def _show_text(block: Text, origin: str, losses: Losses) -> list[JsonObject]:
    if block.logprobs:
        losses.dropped(join(block.at, "logprobs"), "not in converse", plain(block.logprobs))
    writer = BlockWriter(NAME, "", _HOME, losses)
    after = writer.cache_point(block.cache) if origin == NAME else []
    if origin == NAME and not block.citations and "cited" not in block.form:
        if not block.text and block.seal is not None:
            return []
        return [*writer.blocks(_bare(block)), *after]
    if block.citations or "cited" in block.form:
        cited = [show_citation(item, origin, block.at, losses) for item in block.citations]
        return [deep(cited_wire(block, cited), losses.extras(block, origin=origin)), *after]
    if not block.text:  # nothing but the carrier of its seal
        losses.extras(block, origin=origin)
        return []
    return [deep({"text": block.text}, losses.extras(block, origin=origin)), *after]


def _bare(block: Text) -> Text:
    """The text without what stands beside it."""
    return Text(text=block.text, form=block.form, at=block.at, extras=block.extras)


def show_citation(citation: Citation, origin: str, at: str, losses: Losses) -> JsonObject:
    """The source; from abroad with its title, its words and its URL, for its place has other words here."""
    if citation.origin != NAME:
        path = citation.at or join(at, "citations")
        why = "told as a web page" if citation.url is not None else "told without its place"
        losses.approximated(path, why, plain(citation))
        return citation_wire(citation)
    return deep(citation_wire(citation), losses.extras(citation, origin=origin))


def show_reasoning(block: Reasoning, origin: str, losses: Losses) -> JsonObject:
    """A reasoningText or redactedContent, whole."""
    extras = losses.extras(block, origin=origin)
    if block.redacted and block.seal is not None:
        return deep({"reasoningContent": {"redactedContent": redacted(block.seal)}}, extras)
    if block.id:
        losses.hint(join(block.at, "id"), "reasoning has no id here", block.id)
    told: JsonObject = {"text": block.text or "\n\n".join(block.summary)}
    if block.text and block.summary:
        losses.hint(join(block.at, "summary"), "reasoning is told once: in full", list(block.summary))
    if block.seal is not None:
        told["signature"] = signature(block.seal)
    return deep({"reasoningContent": {"reasoningText": told}}, extras)


def show_call(block: ToolCall, message_id: str, index: int, origin: str, losses: Losses) -> JsonObject:
    """The call with its whole input."""
    arguments = block.arguments
    if block.kind == "custom":
        losses.approximated(block.at, "free-form input is told as an object with one string", arguments)
        arguments = encode({"input": arguments}).decode()
    value, wrapped = input_of(arguments)
    if wrapped:
        losses.approximated(join(block.at, "arguments"), "arguments that are no JSON object are wrapped", arguments)
    elif not block.arguments and origin != NAME:
        losses.hint(join(block.at, "arguments"), "no arguments are told as an empty object", block.arguments)
    inner = call_start(block, message_id, index, losses)
    if not ("no_input" in block.form and origin == NAME):
        inner["input"] = value
    return deep({"toolUse": inner}, losses.extras(block, origin=origin))


def call_start(block: ToolCall, message_id: str, index: int, losses: Losses) -> JsonObject:
    """The call's id and name, as its stream begins."""
    if block.item_id:
        losses.hint(join(block.at, "id"), "calls have one id here", block.item_id)
    return {"toolUseId": client_call_id(block.id, message_id, index), "name": block.name}


def _show_media(block: Media, origin: str, losses: Losses) -> list[JsonObject]:
    if origin == NAME:
        return BlockWriter(NAME, "", _HOME, losses).blocks(block)
    if block.kind == "image":
        wire = media_wire(block, losses)
        if wire is not None:
            return _behind(block.seal, deep(wire, losses.extras(block, origin=origin)))
    else:
        drop(block, "a converse message cannot answer with this", losses)
    # without its block the seal travels as reasoning, so that it can still be replayed
    return [] if block.seal is None else [{"reasoningContent": {"redactedContent": redacted(block.seal, NEXT)}}]


def extras_of(extras: JsonObject, origin: str, losses: Losses) -> JsonObject:
    """Extras of the message at home; losses abroad."""
    if origin == NAME:
        return extras
    for key, value in extras.items():
        if value not in (None, {}, []):
            losses.dropped(key, f"{NAME} has no word for it", value)
    return {}
