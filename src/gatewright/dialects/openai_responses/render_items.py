"""Messages -> input items.

One rule: what the origin had in one message may become several items, in the same order; nothing is merged.
https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
"""

from itertools import pairwise
from typing import Literal, assert_never

from gatewright.dialects.openai_responses.names import NAME, PART, as_object, digest, fit_call_id, flags, plain
from gatewright.dialects.openai_responses.render_parts import media_part, native_part, refusal_part, text_part
from gatewright.ir.blocks import Block, Media, Message, Native, Reasoning, Refusal, Text, ToolCall, ToolResult
from gatewright.ir.loss import Losses, join
from gatewright.ir.request import Request
from gatewright.ir.seal import readable
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode

Role = Literal["system", "user", "assistant"]


class CallIds:
    """Call ids that the API takes: short enough, and made up (in order) for origins that pair calls and results by place."""

    def __init__(self) -> None:
        self._made = 0
        self._waiting: list[tuple[str, str]] = []

    def call(self, call: ToolCall) -> str:
        if call.id:
            return fit_call_id(call.id)
        self._made += 1
        made = f"call_{digest(f'{self._made}:{call.name}', 24)}"
        self._waiting.append((call.name, made))
        return made

    def result(self, result: ToolResult) -> str:
        """The id of the call that this answers: its own, else the first unanswered call of that name, else the first."""
        if result.call_id:
            return fit_call_id(result.call_id)
        same = [i for i, (name, _) in enumerate(self._waiting) if name == result.name]
        if same or self._waiting:
            return self._waiting.pop(same[0] if same else 0)[1]
        return "call_unknown"


class ItemsOf:
    """Renders messages for the endpoint `issuer`."""

    def __init__(self, request: Request, issuer: str, losses: Losses) -> None:
        self._origin = request.origin
        self._home = request.origin == NAME
        self._issuer = issuer
        self._losses = losses
        self._ids = CallIds()

    def message(self, message: Message) -> list[JsonValue]:
        losses = self._losses
        if self._home and message.form and message.form[0] in ("message", "easy"):
            return [self._home_message(message)]
        if message.name is not None:
            losses.dropped(join(message.at, "name"), "messages have no name", message.name)
        losses.extras(message, origin=self._origin)
        items: list[JsonValue] = []
        parts: list[JsonValue] = []
        for block in message.blocks:
            if isinstance(block, Text | Refusal | Media) or (isinstance(block, Native) and PART in block.form):
                part = self._part(block, message.role)
                if part is not None:
                    parts.append(part)
                continue
            items += self._said(message.role, parts)
            parts = []
            item = self._item(block)
            if item is not None:
                items.append(item)
        items += self._said(message.role, parts)
        return items

    def _said(self, role: Role, parts: list[JsonValue]) -> list[JsonValue]:
        """Messages of these parts. An assistant's texts go as strings: parts would need an item's id and status."""
        if role != "assistant":
            return [{"role": role, "content": parts}] if parts else []
        said: list[JsonValue] = []
        for part in parts:
            text = as_object(part).get("text")
            if isinstance(text, str) and as_object(part).get("type") == "output_text":
                said.append({"role": role, "content": text})
                continue
            ref = f"msg_{digest(repr(part))}"
            said.append({"type": "message", "id": ref, "role": role, "status": "completed", "content": [part]})
        return said

    def _home_message(self, message: Message) -> JsonObject:
        item: JsonObject = {"role": message.form[1]}
        if message.form[0] == "message":
            item["type"] = "message"
        first = message.blocks[0] if message.blocks else None
        if isinstance(first, Text) and first.bare and len(message.blocks) == 1:
            item["content"] = first.text
        elif message.blocks:
            parts = [self._part(block, message.role) for block in message.blocks]
            item["content"] = [part for part in parts if part is not None]
        return item | self._losses.extras(message, origin=self._origin)

    def _part(self, block: Block, role: Role) -> JsonObject | None:
        """A content part; None when it cannot be one, which is then a loss."""
        losses, origin = self._losses, self._origin
        match block:
            case Text():
                default = "output_text" if role == "assistant" else "input_text"
                kind = block.form[0] if self._home and block.form else default
                return text_part(block, kind, origin=origin, losses=losses)
            case Refusal():
                return refusal_part(block, origin=origin, losses=losses)
            case Media() if role == "user" or self._home:
                return media_part(block, origin=origin, losses=losses)
            case Native() if block.origin == NAME:
                return native_part(block)
            case Native():
                losses.dropped(block.at, f"only {block.origin} knows it", block.data)
                losses.extras(block, origin=origin)
            case _:
                losses.dropped(block.at, f"the Responses API has no such part in a message of the {role}", plain(block))
        return None

    def _item(self, block: Block) -> JsonObject | None:
        match block:
            case ToolCall():
                return self._call(block)
            case ToolResult():
                return self._result(block)
            case Reasoning():
                return self._reasoning(block)
            case Native() if block.origin == NAME:
                return native_part(block)
            case Native():
                self._losses.dropped(block.at, f"only {block.origin} knows it", block.data)
                self._losses.extras(block, origin=self._origin)
                return None
            case Text() | Refusal() | Media():
                return None
            case _:
                assert_never(block)

    def _call(self, call: ToolCall) -> JsonObject:
        extras = self._losses.extras(call, origin=self._origin)
        self._lost_with(call)
        words = flags(call.form) if self._home else {}
        name = words.get("name", call.name)
        custom = call.kind == "custom" and self._home
        if call.kind == "custom" and not custom:
            self._losses.approximated(call.at, "a freeform call, told as a function call", name)
        kind = "custom_tool_call" if custom else "function_call"
        item: JsonObject = {"type": kind, "call_id": self._ids.call(call), "name": name}
        if "namespace" in words:
            item["namespace"] = words["namespace"]
        if custom:
            item["input"] = call.arguments
        elif call.kind == "custom":
            item["arguments"] = encode({"input": call.arguments}).decode()
        else:
            item["arguments"] = call.arguments
        if call.item_id and self._home:
            item["id"] = call.item_id
        return item | extras

    def _lost_with(self, call: ToolCall) -> None:
        if call.cache is not None:
            self._losses.hint(call.cache.at or join(call.at, "cache_control"), "no cache points here", plain(call.cache))
        if call.seal is not None:
            self._losses.hint(join(call.at, "signature"), "only its issuer reads it", plain(call.seal))

    def _result(self, result: ToolResult) -> JsonObject:
        losses = self._losses
        extras = losses.extras(result, origin=self._origin)
        if result.cache is not None:
            losses.hint(result.cache.at or join(result.at, "cache_control"), "no cache points here", plain(result.cache))
        if result.is_error is not None:
            losses.dropped(join(result.at, "is_error"), "tool outputs have no word for failure", result.is_error)
        if result.name:
            losses.hint(join(result.at, "name"), "told by the call", result.name)
        kind = "custom_tool_call_output" if result.kind == "custom" and self._home else "function_call_output"
        item: JsonObject = {"type": kind, "call_id": self._ids.result(result)}
        if result.item_id and self._home:
            item["id"] = result.item_id
        output = self._output(result)
        if output is not None:
            item["output"] = output
        return item | extras

    def _output(self, result: ToolResult) -> JsonValue:
        first = result.content[0] if result.content else None
        if result.structured is not None:
            parts = [self._part(block, "user") for block in result.content]
            text = encode(result.structured).decode()
            return [{"type": "input_text", "text": text}, *[p for p in parts if p is not None]] if parts else text
        if isinstance(first, Text) and len(result.content) == 1 and (first.bare or not self._home):
            part = as_object(self._part(first, "user"))
            return part["text"]
        if not result.content:
            return None if self._home else ""
        found = [self._part(block, "user") for block in result.content]
        kept: list[JsonValue] = [part for part in found if part is not None]
        return kept or ""

    def _reasoning(self, block: Reasoning) -> JsonObject | None:
        losses = self._losses
        seal = block.seal
        if seal is not None and not readable(seal, NAME, self._issuer):
            losses.hint(join(block.at, "signature"), "only its issuer reads it", plain(block))
            return None
        if seal is None and not self._home:
            losses.dropped(block.at, "reasoning without its seal is refused", plain(block))
            return None
        extras = losses.extras(block, origin=self._origin)
        item: JsonObject = {"type": "reasoning"}
        ref = block.id or (seal.ref if seal is not None and not self._home else "")
        if ref:
            item["id"] = ref
        if seal is not None:
            item["encrypted_content"] = seal.data
        if self._home:
            return item | reasoning_texts(block) | extras
        texts = (block.text, *block.summary) if block.text else block.summary
        item["summary"] = [{"type": "summary_text", "text": text} for text in texts]
        return item


def reasoning_texts(block: Reasoning) -> JsonObject:
    """`summary` and `content` as the form says that they were; only what is not empty."""
    found: JsonObject = {}
    shown = "shown" in block.form
    summary = (block.text,) if shown else block.summary
    if summary:
        found["summary"] = [{"type": "summary_text", "text": text} for text in summary]
    if not shown and (block.text or "content" in block.form):
        cuts = [0, *(int(word[4:]) for word in block.form if word.startswith("cut=")), len(block.text)]
        found["content"] = [{"type": "reasoning_text", "text": block.text[start:end]} for start, end in pairwise(cuts)]
    return found
