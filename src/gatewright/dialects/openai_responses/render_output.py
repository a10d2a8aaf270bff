"""Blocks -> output items, for whole answers and for streams alike.

One rule: an item is a function of its blocks, the answer's id and its place, so a stream's parts and its end agree.
https://platform.openai.com/docs/api-reference/responses/object#responses-object-output
"""

from collections.abc import Mapping, Sequence

from gatewright.dialects.openai_responses.names import (
    ATTACHED_KIND,
    ITEM,
    MORE,
    NAME,
    PART,
    as_object,
    item_id,
    plain,
)
from gatewright.dialects.openai_responses.render_items import reasoning_texts
from gatewright.dialects.openai_responses.render_parts import annotated, native_part, refusal_part
from gatewright.dialects.openai_responses.tools import Callable
from gatewright.ir.blocks import (
    Block,
    DialectName,
    Inline,
    Media,
    Native,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from gatewright.ir.loss import Losses, join
from gatewright.ir.seal import Seal, carry, pack
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import BadJson, decode


def is_part(block: Block) -> bool:
    """Whether it is content of a message item."""
    return isinstance(block, Text | Refusal) or (isinstance(block, Native) and PART in block.form)


def continues(block: Block, before: Block | None, origin: DialectName) -> bool:
    """Whether `block` belongs to the message item that `before` is in."""
    if before is None or not is_part(before) or not is_part(block):
        return False
    return MORE in block.form or (origin != NAME and (not isinstance(before, Text) or before.seal is None))


class Writer:
    """Writes the items of one answer. `known` gives what the client calls its tools."""

    def __init__(self, response_id: str, origin: DialectName, known: Mapping[str, Callable], losses: Losses) -> None:
        self.response_id = response_id
        self.origin = origin
        self.home = origin == NAME
        self.known = known
        self.losses = losses

    def items(self, blocks: Sequence[Block]) -> list[JsonValue]:
        found: list[JsonValue] = []
        group: list[Block] = []
        for block in blocks:
            if group and not continues(block, group[-1], self.origin):
                self.finish(group, found)
                group = []
            group.append(block)
        if group:
            self.finish(group, found)
        return found

    def finish(self, group: list[Block], output: list[JsonValue]) -> None:
        """Append the item that `group` makes, if any, and the one that carries its seal, if it needs one."""
        item = self.item(group, len(output))
        if item is not None:
            output.append(item)
        carrier = self.carrier(group[-1], len(output))
        if carrier is not None:
            output.append(carrier)

    def item(self, group: list[Block], index: int) -> JsonObject | None:
        """The item made of `group`; None when it is a loss."""
        block = group[0]
        if is_part(block):
            return self._message(group, index)
        match block:
            case Reasoning():
                return self._reasoning(block, index)
            case ToolCall():
                return self._call(block, index)
            case Media():
                return self._media(block, index)
            case Native() if block.origin == NAME:
                return native_part(block)
            case _:
                self.losses.extras(block, origin=self.origin)
                self._dropped(block)
                return None

    def _dropped(self, block: Block) -> None:
        value = block.data if isinstance(block, Native) else plain(block)
        who = block.origin if isinstance(block, Native) else self.origin
        self.losses.dropped(block.at, f"only {who} shows it", value)

    def message_head(self, block: Block, index: int) -> JsonObject:
        """A message item without its content. At home as the origin had it."""
        given = block.extras.get(ITEM)
        if self.home and isinstance(given, dict):
            return {"type": "message", **given}
        return {
            "type": "message",
            "id": item_id("msg", self.response_id, index),
            "role": "assistant",
            "status": "completed",
        }

    def _message(self, group: list[Block], index: int) -> JsonObject:
        head = self.message_head(group[0], index)
        for block in group:
            given = block.extras.get(ITEM)
            if self.home and isinstance(given, dict):
                head |= given  # a stream tells the final status with the last part
        return {**head, "content": [self.part(block) for block in group]}

    def part(self, block: Block) -> JsonObject:
        match block:
            case Text():
                extras = self.losses.extras(block, origin=self.origin, skip=(ITEM,))
                part: JsonObject = {"type": "output_text"}
                part |= {} if self.home else {"annotations": [], "logprobs": []}
                part |= {key: value for key, value in extras.items() if key != ITEM}
                part["text"] = block.text
                return part | annotated(block, origin=self.origin, losses=self.losses)
            case Refusal():
                return refusal_part(block, origin=self.origin, losses=self.losses)
            case Native() if block.origin == NAME:
                return native_part(block)
            case _:
                self._dropped(block)
                return {"type": "output_text", "text": "", "annotations": [], "logprobs": []}

    def _reasoning(self, block: Reasoning, index: int) -> JsonObject:
        extras = self.losses.extras(block, origin=self.origin)
        item: JsonObject = {"type": "reasoning"}
        if block.id or not self.home:
            item["id"] = block.id if block.id and self.home else item_id("rs", self.response_id, index)
        if block.id and not self.home:
            self.losses.hint(join(block.at, "id"), "items are named anew", block.id)
        if self.home:
            item |= reasoning_texts(block)
        else:
            texts = (block.text, *block.summary) if block.text else block.summary
            item["summary"] = [{"type": "summary_text", "text": text} for text in texts]
        if block.seal is not None:
            item["encrypted_content"] = carry(block.seal, NAME)
        # Empty lists of a stream's first sight of the item must not hide what came later.
        return {**extras, **item}

    def called(self, call: ToolCall) -> Callable | None:
        return self.known.get(call.name) if not self.home or "namespace" not in call.extras else None

    def call_head(self, call: ToolCall, index: int) -> JsonObject:
        """A call item without its arguments."""
        known = self.called(call)
        custom = call.kind == "custom" or (known is not None and known.custom)
        extras = self.losses.extras(call, origin=self.origin)
        head: JsonObject = {
            "type": "custom_tool_call" if custom else "function_call",
            "id": call.item_id or (None if self.home else item_id("ctc" if custom else "fc", self.response_id, index)),
            "call_id": call.id or (None if self.home else item_id("call", self.response_id, index)),
            "name": known.name if known is not None else call.name,
            "namespace": known.namespace if known is not None else None,
            "status": None if self.home or custom else "completed",
        }
        return {key: value for key, value in head.items() if value is not None} | extras

    def _call(self, call: ToolCall, index: int) -> JsonObject:
        head = self.call_head(call, index)
        if head["type"] == "custom_tool_call":
            return head | {"input": self.custom_input(call)}
        return head | {"arguments": call.arguments}

    def custom_input(self, call: ToolCall) -> str:
        """The text for a freeform tool, out of the arguments of the function that stood in for it."""
        if call.kind == "custom":
            return call.arguments
        try:
            value = decode(call.arguments.encode("utf-8", "replace"))
        except BadJson:
            value = None
        given = as_object(value)
        text = given.get("input")
        if len(given) == 1 and isinstance(text, str):
            return text
        self.losses.approximated(call.at, "not the one string a freeform tool takes; its arguments are shown", given)
        return call.arguments

    def _media(self, block: Media, index: int) -> JsonObject | None:
        self.losses.extras(block, origin=self.origin)
        if block.kind != "image" or not isinstance(block.source, Inline):
            self._dropped(block)
            return None
        if block.title is not None:
            self.losses.hint(join(block.at, "title"), "an image_generation_call has no title", block.title)
        self.losses.approximated(join(block.at, "media_type"), "told as an image_generation_call", block.source.media_type)
        image = item_id("ig", self.response_id, index)
        return {"type": "image_generation_call", "id": image, "status": "completed", "result": block.source.data}

    def carrier(self, block: Block, index: int) -> JsonObject | None:
        """A reasoning item that carries the seal of a block that has no opaque field here."""
        if isinstance(block, Text | ToolCall) and block.seal is not None:
            ref = (block.id or item_id("call", self.response_id, index - 1)) if isinstance(block, ToolCall) else ""
            seal = Seal(dialect=NAME, kind=ATTACHED_KIND, ref=ref, data=pack(block.seal))
            return {
                "type": "reasoning",
                "id": item_id("rs", self.response_id, index),
                "summary": [],
                "encrypted_content": pack(seal),
            }
        if isinstance(block, Media) and block.seal is not None:
            found: JsonObject = {"type": "reasoning", "id": item_id("rs", self.response_id, index), "summary": []}
            return found | {"encrypted_content": pack(block.seal)}
        return None
