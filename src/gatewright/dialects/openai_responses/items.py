"""Input items, wire -> messages.

One rule: an item of a kind that no other dialect knows (hosted calls, references, compaction, whatever comes tomorrow) is a
Native, whole.
https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
"""

import msgspec

from gatewright.dialects.openai_responses.names import ATTACHED_KIND, NAME, SEAL_KIND
from gatewright.dialects.openai_responses.parts import Role, parse_part
from gatewright.errors import Malformed
from gatewright.ir.blocks import Block, Message, Native, Reasoning, Text, ToolCall, ToolResult
from gatewright.ir.seal import Seal, open_seal, unpack
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields

replace = msgspec.structs.replace

ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_USER_ITEMS = ("_output", "_response", "item_reference")
"""How the types of items end that the client, not the model, says."""


class Items:
    """Reads a list of input items. `names` gives flat names: (namespace, name) → flat."""

    def __init__(self, names: dict[tuple[str, str], str]) -> None:
        self._names = names

    def parse(self, items: list[JsonValue]) -> list[Message]:
        """One message an item, save those that told the request's tools and those that carried another block's seal."""
        messages: list[Message] = []
        attached: dict[str, Seal] = {}
        for i, item in enumerate(items):
            at = f"input[{i}]"
            fields = Fields(item, at)
            whole: JsonObject = dict(item) if isinstance(item, dict) else {}
            seal = _attached(whole)
            if seal is None:
                message = self._item(fields, whole)
                if message is not None:
                    messages.append(message)
            elif seal[0]:
                attached[seal[0]] = seal[1]
            else:
                _seal_last_text(messages, seal[1])
        if not attached:
            return messages
        return [replace(m, blocks=tuple(_sealed(block, attached) for block in m.blocks)) for m in messages]

    def _item(self, fields: Fields, whole: JsonObject) -> Message | None:
        kind = fields.text("type")
        match kind:
            case None if "role" not in fields and isinstance(fields.peek("id"), str):
                return _native(whole, fields.at)  # a reference to an item needs no type
            case None | "message":
                return _message(fields, whole, typed=kind is not None)
            case "function_call" | "custom_tool_call":
                return Message(role="assistant", blocks=(self._call(fields, custom=kind[0] == "c"),), at=fields.at)
            case "function_call_output" | "custom_tool_call_output":
                return Message(role="user", blocks=(_result(fields, whole, custom=kind[0] == "c"),), at=fields.at)
            case "reasoning":
                return Message(role="assistant", blocks=(parse_reasoning(fields, whole),), at=fields.at)
            case "additional_tools" if isinstance(whole.get("tools"), list) and whole["tools"]:
                return None
            case _:
                return _native(whole, fields.at)

    def _call(self, fields: Fields, *, custom: bool) -> ToolCall:
        name = fields.need_text("name")
        form: tuple[str, ...] = ()
        namespace = fields.peek("namespace")
        if isinstance(namespace, str) and (namespace, name) in self._names:
            fields.take("namespace")
            form = (f"namespace={namespace}", f"name={name}")
            name = self._names[namespace, name]
        return ToolCall(
            id=fields.need_text("call_id"),
            name=name,
            arguments=fields.need_text("input" if custom else "arguments"),
            kind="custom" if custom else "function",
            item_id=fields.text("id") or "",
            extras=fields.rest(),
            form=form,
            at=fields.at,
        )


def _message(fields: Fields, whole: JsonObject, *, typed: bool) -> Message:
    word = fields.need_text("role")
    role = ROLES.get(word)
    if role is None:
        return _native(whole, fields.at)
    blocks: tuple[Block, ...]
    if isinstance(fields.peek("content"), str):
        blocks = (Text(text=fields.need_text("content"), bare=True, at=fields.path("content")),)
    elif "content" not in fields:
        raise Malformed(fields.path("content"), "a string or an array", "nothing")
    else:
        at = fields.path("content")
        blocks = tuple(parse_part(part, f"{at}[{i}]", role) for i, part in enumerate(fields.array("content")))
    form = ("message" if typed else "easy", word)
    return Message(role=role, blocks=blocks, extras=fields.rest(), form=form, at=fields.at)


def _native(whole: JsonObject, at: str) -> Message:
    role = str(whole.get("role") or "")
    kind = str(whole.get("type") or "")
    said = "user" if role or kind.endswith(_USER_ITEMS) else "assistant"
    return Message(role="user" if said == "user" else "assistant", blocks=(Native(origin=NAME, data=whole, at=at),), at=at)


def _result(fields: Fields, whole: JsonObject, *, custom: bool) -> Block:
    if fields.peek("call_id") is None:  # the API's type has it optional; no other API takes a result of nothing
        return Native(origin=NAME, data=whole, at=fields.at)
    output = fields.peek("output")
    content: tuple[Block, ...]
    if isinstance(output, str):
        content = (Text(text=fields.need_text("output"), bare=True, at=fields.path("output")),)
    elif isinstance(output, list):
        at = fields.path("output")
        content = tuple(parse_part(part, f"{at}[{i}]", "user") for i, part in enumerate(fields.array("output")))
    elif output is None:
        raise Malformed(fields.path("output"), "a string or an array", "null" if "output" in fields else "nothing")
    else:
        return Native(origin=NAME, data=whole, at=fields.at)
    return ToolResult(
        call_id=fields.need_text("call_id"),
        content=content,
        kind="custom" if custom else "function",
        item_id=fields.text("id") or "",
        extras=fields.rest(),
        at=fields.at,
    )


def parse_reasoning(fields: Fields, whole: JsonObject, *, issuer: str = "") -> Reasoning | Native:
    """A reasoning item whose `type` has been taken. `issuer`: the endpoint, where an upstream says it.

    A foreign seal was shown with its text as summary (clients drop other text); the text goes back to be the text.
    """
    summary = _texts(fields, "summary", "summary_text")
    content = _texts(fields, "content", "reasoning_text")
    if summary is None or content is None:
        return Native(origin=NAME, data=whole, at=fields.at)
    ref = fields.text("id") or ""
    word = fields.text("encrypted_content")
    seal = None
    if word is not None:
        seal = open_seal(word, NAME, ref=ref, kind=SEAL_KIND)
        if issuer and seal.dialect == NAME:
            seal = replace(seal, issuer=issuer)
    form = tuple(f"cut={end}" for end in _ends(content)[:-1])
    text = "".join(content)
    if content and not text:
        form = ("content", *form)
    if seal is not None and seal.dialect != NAME and summary and not content:
        text, summary, form = "\n\n".join(summary), (), ("shown",)
    redacted = seal is not None and seal.kind == "redacted_thinking"
    return Reasoning(
        text=text,
        summary=summary,
        seal=seal,
        redacted=redacted,
        id=ref,
        extras=fields.rest(),
        form=form,
        at=fields.at,
    )


def _ends(texts: tuple[str, ...]) -> list[int]:
    """Where each of several texts ends once they are one."""
    total = 0
    ends: list[int] = []
    for text in texts:
        total += len(text)
        ends.append(total)
    return ends


def _texts(fields: Fields, key: str, kind: str) -> tuple[str, ...] | None:
    """The texts of the parts under `key`; None when a part is more than a text of that kind."""
    found: list[str] = []
    for part in fields.each(key):
        text = part.text("text")
        if part.text("type") != kind or text is None or part.rest():
            return None
        found.append(text)
    return tuple(found)


def _attached(item: JsonObject) -> tuple[str, Seal] | None:
    """A seal that this item carries for another block: (its call id, or empty for the text before; the seal)."""
    word = item.get("encrypted_content")
    if item.get("type") != "reasoning" or not isinstance(word, str):
        return None
    wrapper = unpack(word)
    if wrapper is None or wrapper.kind != ATTACHED_KIND:
        return None
    inner = unpack(wrapper.data)
    return None if inner is None else (wrapper.ref, inner)


def _sealed(block: Block, seals: dict[str, Seal]) -> Block:
    if isinstance(block, ToolCall) and block.id in seals:
        return replace(block, seal=seals[block.id])
    return block


def _seal_last_text(messages: list[Message], seal: Seal) -> None:
    for i in range(len(messages) - 1, -1, -1):
        last = messages[i].blocks[-1] if messages[i].blocks else None
        if messages[i].role == "assistant" and isinstance(last, Text):
            messages[i] = replace(messages[i], blocks=(*messages[i].blocks[:-1], replace(last, seal=seal)))
            return
