"""Every text of a request or an answer, with who said it and where; and each one put back changed, with nothing else touched.

    walk = Walk(see); walk.request(request)      see(Text) gives the text as it is to be
    Walk(see, see_adjacent)                      see_adjacent(Text…) gives all texts of blocks that stand side by side

One rule: what is not listed here as no text is one. A field that the neutral form gets tomorrow is looked at from then on.
What was not changed is the same object as before.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, TypeAlias, TypeVar, cast

import msgspec

from gatewright.guards.terms import Part, Text
from gatewright.ir import blocks, request, response
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import BadJson, decode_lenient, encode

See: TypeAlias = Callable[[Text], str]
SeeAdjacent: TypeAlias = Callable[[Sequence[Text]], Sequence[str]]
Kind = TypeVar("Kind", bound=msgspec.Struct)

_NO_TEXT: Final[Mapping[type, frozenset[str]]] = {
    request.Request: frozenset(
        ("origin", "model", "stream", "service_tier", "verbosity", "tool_choice", "thinking", "store", "answer")
    ),
    request.Tool: frozenset(("kind", "hosted", "strict", "cache")),
    request.OutputFormat: frozenset(("kind", "strict")),
    response.Response: frozenset(("origin", "id", "model", "created", "usage")),
    response.Finish: frozenset(("reason", "raw")),
    blocks.Message: frozenset(("role",)),
    blocks.Citation: frozenset(("kind", "origin", "start", "end")),
    blocks.Text: frozenset(("bare", "cache", "logprobs", "seal")),
    blocks.Media: frozenset(("kind", "detail", "cache", "seal")),
    blocks.FileRef: frozenset(("id", "origin", "media_type")),
    blocks.Url: frozenset(("media_type",)),
    blocks.Reasoning: frozenset(("seal", "redacted", "id")),
    blocks.ToolCall: frozenset(("id", "kind", "seal", "item_id", "cache")),
    blocks.ToolResult: frozenset(("call_id", "is_error", "kind", "item_id", "cache")),
    blocks.Native: frozenset(("origin",)),
}
"""Names, ids, words of the API itself, figures; and seals, which nobody but their provider can read."""
_NEVER: Final = frozenset(("form", "at"))
_SEALED: Final = frozenset(("signature", "thoughtSignature", "thought_signature", "encrypted_content", "encrypted_index"))
"""Keys of native blocks and extras under which such seals stand."""
_PARTS: Final[Mapping[type, Part]] = {
    blocks.Reasoning: "reasoning",
    blocks.ToolCall: "tool_call",
    blocks.ToolResult: "tool_result",
    request.Tool: "tool",
    request.Sampling: "other",
    request.OutputFormat: "other",
    response.Finish: "other",
    blocks.Citation: "other",
    blocks.Native: "other",
}
_ROLES: Final[Mapping[str, Part]] = {"system": "system", "user": "user", "assistant": "assistant"}
_OTHER: Final = frozenset(("extras", "metadata", "user", "cache_key", "client"))
"""Fields whose texts nobody in particular says."""

_USUAL_KEY: Final = re.compile(r"[A-Za-z0-9_$.:/ -]{1,32}")
_LONG: Final = 10**6
"""Whole numbers from here on are looked at as texts: a card's need not stand in quotes."""
_DEEP: Final = 64
"""Levels of JSON; what is deeper is looked at as one text."""


class _Place(msgspec.Struct, frozen=True, gc=False):
    """Where a text stands, and whose it is."""

    part: Part
    path: str = ""
    tool: str = ""
    deep: int = _DEEP
    sealed: bool = False
    """It may hold seals, under their own names."""

    def below(self, more: str) -> "_Place":
        return _Place(self.part, self.path + more, self.tool, self.deep - 1, self.sealed)


class Walk:
    """Goes over all texts in their order and gives back the whole with what `see` made of them."""

    __slots__ = ("_adjacent", "_calls", "_see")

    def __init__(self, see: See, adjacent: SeeAdjacent | None = None) -> None:
        """`adjacent`: sees the texts of two and more blocks of text without anything between them. None: each is seen alone."""
        self._see = see
        self._adjacent = adjacent
        self._calls: dict[str, str] = {}
        """Call id → the tool's name, for results that do not say it."""

    def request(self, asked: request.Request) -> request.Request:
        return self._node(asked, _Place("other"))

    def response(self, answer: response.Response) -> response.Response:
        return self._node(answer, _Place("assistant"))

    def node(self, node: Kind, part: Part, path: str) -> Kind:
        """One block, one citation, …"""
        return self._node(node, _Place(part, path))

    def json(self, value: JsonValue, part: Part, path: str, *, tool: str = "", sealed: bool = False) -> JsonValue:
        """A document of which nothing is known but that it is JSON. `sealed`: it may hold seals, under their own names."""
        return self._json(value, _Place(part, path, tool, sealed=sealed))

    def arguments(self, call: blocks.ToolCall, path: str) -> str:
        """Of a call: each string in them, so that nobody need deal with escapes, and then all of it as it is written."""
        text, place = call.arguments, _Place("tool_call", path, call.name)
        document: JsonValue = None
        if call.kind == "function" and text:
            try:
                document = decode_lenient(text.encode())
            except (BadJson, UnicodeEncodeError):
                document = None
            seen = self._json(document, place)
            if seen is not document:
                text = encode(seen).decode()
        written = self._text(text, place)
        if written == text or document is None or _is_json(written):
            return written
        return '{"redacted":true}'  # a match across the document's own signs: the call would be none any more

    def _node(self, node: Kind, place: _Place, told: str | None = None) -> Kind:
        """`told`: its text as it is to be, where it was seen already."""
        place = _placed(node, place, self._calls)
        if isinstance(node, blocks.Inline):
            data = self._inline(node, place.below(".data"))
            return node if data is node.data else msgspec.structs.replace(node, data=data)
        skipped = _NO_TEXT.get(type(node), _NEVER)
        changes: dict[str, object] = {}
        for field in node.__struct_fields__:
            if field in skipped or field in _NEVER:
                continue
            value = getattr(node, field)
            if not value:
                continue
            seen = self._field(node, field, value, place) if told is None or field != "text" else told
            if seen is not value:
                changes[field] = seen
        return msgspec.structs.replace(node, **changes, **_unsealed(node, changes)) if changes else node

    def _field(self, node: msgspec.Struct, field: str, value: object, place: _Place) -> object:
        path = _path(node, field, place.path)
        sealed = field == "extras" or isinstance(node, blocks.Native)
        place = _Place("other" if field in _OTHER else place.part, path, place.tool, sealed=sealed)
        if isinstance(value, str):
            if isinstance(node, blocks.ToolCall) and field == "arguments":
                return self.arguments(node, path)
            return self._text(value, place)
        if isinstance(value, msgspec.Struct):
            return self._node(value, place)
        if isinstance(value, tuple):
            if self._adjacent is not None and len(value) > 1:
                seen = tuple(self._runs(value, place))
            else:
                seen = tuple(self._item(item, place.below(f"[{i}]")) for i, item in enumerate(value))
            return seen if any(new is not old for new, old in zip(seen, value, strict=True)) else value
        return self._json(cast("JsonValue", value), place) if isinstance(value, dict | list) else value

    def _runs(self, items: tuple[object, ...], place: _Place) -> Iterator[object]:
        """Items in their order; blocks of text that stand side by side are seen as such."""
        at = 0
        for is_text, group in groupby(items, key=lambda item: isinstance(item, blocks.Text | blocks.Refusal)):
            run = list(group)
            places = [place.below(f"[{i}]") for i in range(at, at + len(run))]
            at += len(run)
            told = self._side_by_side(cast("list[blocks.Text | blocks.Refusal]", run), places) if is_text and len(run) > 1 else ()
            for i, item in enumerate(run):
                yield self._item(item, places[i], told[i] if told else None)

    def _side_by_side(self, run: Sequence[blocks.Text | blocks.Refusal], places: Sequence[_Place]) -> list[str]:
        """Their texts as they are to be."""
        assert self._adjacent is not None
        said: list[Text] = []
        for block, place in zip(run, places, strict=True):
            at = _placed(block, place, self._calls)
            said.append(Text(at.part, _path(block, "text", at.path), block.text, at.tool))
        return [block.text if seen == block.text else seen for block, seen in zip(run, self._adjacent(said), strict=True)]

    def _item(self, item: object, place: _Place, told: str | None = None) -> object:
        if isinstance(item, msgspec.Struct):
            return self._node(item, place, told)
        if isinstance(item, str | dict):
            return self._json(item, place)
        return item

    def _inline(self, media: blocks.Inline, place: _Place) -> str:
        """Documents that are text, in base64 too; the bytes of pictures and sound are no text."""
        if media.text:
            return self._text(media.data, place)
        if not media.media_type.startswith(("text/", "application/json", "application/xml")):
            return media.data
        try:
            text = base64.b64decode(media.data, validate=False).decode()
        except (binascii.Error, ValueError):
            return media.data
        seen = self._text(text, place)
        return media.data if seen is text else base64.b64encode(seen.encode()).decode()

    def _json(self, value: JsonValue, place: _Place) -> JsonValue:
        if isinstance(value, str):
            return self._text(value, place) if value else value
        if value is None or isinstance(value, bool | float) or (isinstance(value, int) and -_LONG < value < _LONG):
            return value
        if isinstance(value, int) or not place.deep:
            text = encode(value).decode()
            seen = self._text(text, place)
            return value if seen is text else seen
        if isinstance(value, list):
            items = [self._json(item, place.below(f"[{i}]")) for i, item in enumerate(value)]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        done: JsonObject = {}
        changed = False
        for key, item in value.items():
            below = place.below(f".{key[:40]}" if place.path else key[:40])
            name = key if _USUAL_KEY.fullmatch(key) else self._text(key, below)
            seen_item = item if place.sealed and key in _SEALED else self._json(item, below)
            changed = changed or name is not key or seen_item is not item
            done[name] = seen_item
        return done if changed else value

    def _text(self, text: str, place: _Place) -> str:
        seen = self._see(Text(place.part, place.path, text, place.tool))
        return text if seen == text else seen


def _placed(node: msgspec.Struct, place: _Place, calls: dict[str, str]) -> _Place:
    """Who speaks in a node, and where it stands. `calls`: learns the tools' names, and tells them."""
    part, tool = place.part, place.tool
    match node:
        case blocks.Message():
            part = _ROLES[node.role]
        case blocks.ToolCall():
            calls[node.id] = tool = node.name
        case blocks.ToolResult():
            tool = node.name or calls.get(node.call_id, "")
        case request.Tool():
            tool = node.name
        case _:
            pass
    if part != "tool_result":  # whatever stands in a result is one
        part = _PARTS.get(type(node), part)
    return _Place(part, getattr(node, "at", "") or place.path, tool)


def texts(asked: request.Request, answer: response.Response | None = None) -> list[Text]:
    """All texts of a request; of its answer, where there is one."""
    found: list[Text] = []

    def see(text: Text) -> str:
        found.append(text)
        return text.text

    walk = Walk(see)
    if answer is None:
        walk.request(asked)
    else:
        walk.response(answer)
    return found


def _path(node: msgspec.Struct, field: str, path: str) -> str:
    """Where a field stands. A text given in short stands where its block does; extras are fields of their node like others."""
    if (field == "text" and getattr(node, "bare", False)) or field in ("extras", "data", "source"):
        return path
    return f"{path}.{field}" if path else field


def _unsealed(node: msgspec.Struct, changes: Mapping[str, object]) -> dict[str, object]:
    """What would betray, or belie, a text that was changed: its tokens, and the seal over it."""
    match node:
        case blocks.Text() if "text" in changes:
            return {"logprobs": (), "seal": None}
        case blocks.Reasoning() if "text" in changes or "summary" in changes:
            return {"seal": None}
        case _:
            return {}


def _is_json(text: str) -> bool:
    try:
        decode_lenient(text.encode())
    except (BadJson, UnicodeEncodeError):
        return False
    return True
