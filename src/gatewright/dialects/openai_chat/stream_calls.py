"""Tool calls in a stream: `tool_calls[index]` in pieces, put into order.

One rule: one call is open at a time. Another index may begin when the open call's arguments are complete JSON.
Until then it waits.
"""

from gatewright.dialects.openai_chat.tools import parse_arguments, take_signature
from gatewright.dialects.openai_chat.words import nest
from gatewright.errors import Malformed
from gatewright.ir.blocks import ToolCall
from gatewright.ir.events import ArgumentsDelta, BlockStart, BlockStop, SealDelta, StreamEvent
from gatewright.ir.loss import is_void
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json
from gatewright.wire.fields import Fields
from gatewright.wire.json import kind

LEGACY = "legacy"


class Late(ValueError):
    """Arguments came for a call that was over."""


class _Call:
    """One call so far."""

    __slots__ = ("custom", "extras", "form", "id", "key", "late", "name", "pieces", "seal", "state")

    def __init__(self, key: object) -> None:
        self.key = key
        self.id = ""
        self.name = ""
        self.custom = False
        self.form: tuple[str, ...] = ()
        self.extras: JsonObject = {}
        self.seal: Seal | None = None
        self.pieces: list[str] = []
        """Arguments so far, all of them."""
        self.late: JsonObject = {}
        """Fields that came once it was open."""
        self.state = "waiting"
        """`waiting` → `open` → `closed`."""

    @property
    def complete(self) -> bool:
        """Whether the arguments are one JSON document."""
        try:
            wire_json.decode("".join(self.pieces).encode("utf-8", "replace"))
        except wire_json.BadJson:
            return False
        return True


class Calls:
    """The calls of one stream. Its methods give events; `index` is the next block's."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._open: _Call | None = None
        self._index = 0
        """Block index of the open call."""
        self._next = 0

    def add(self, item: JsonValue, index: int, issuer: str) -> list[StreamEvent]:
        """One `tool_calls` item of a delta. Raises Malformed or Late."""
        self._next = index
        fields = Fields(item, "choices[0].delta.tool_calls")
        word = fields.peek("type")
        if word in ("function", "custom"):
            fields.take("type")
        custom = isinstance(fields.peek("custom"), dict) and (word == "custom" or not fields.peek("function"))
        prefix, key = ("custom", "input") if custom else ("function", "arguments")
        inner_value = fields.peek(prefix)
        if inner_value is not None and not isinstance(inner_value, dict):
            raise Malformed(fields.path(prefix), "an object", kind(inner_value))
        inner = Fields(fields.take(prefix) or {}, fields.path(prefix))
        id_ = fields.text("id") or ""
        name = inner.text("name") or ""
        call = self._find(fields.take("index"), id_, name)
        call.custom = call.custom or custom or word == "custom"
        call.seal = take_signature(fields, issuer=issuer) or call.seal
        text, _ = parse_arguments(inner, key)
        if call.state == "waiting":
            call.id, call.name = call.id or id_, call.name or name
            nest(fields.rest(), prefix, inner.rest())
            call.extras |= {k: v for k, v in fields.rest().items() if v is not None}
        elif fields.rest() or inner.rest():
            nest(fields.rest(), prefix, inner.rest())
            call.late |= {k: v for k, v in fields.rest().items() if not is_void(v) and call.extras.get(k) != v}
        return self._more(call, text)

    def add_legacy(self, item: JsonValue, index: int) -> list[StreamEvent]:
        """The `function_call` of a delta."""
        self._next = index
        fields = Fields(item, "choices[0].delta.function_call")
        call = self._find(LEGACY, "", "")
        call.form = (LEGACY,)
        call.name = call.name or fields.text("name") or ""
        return self._more(call, parse_arguments(fields, "arguments")[0])

    def _find(self, key: object, id_: str, name: str) -> _Call:
        """The call a delta belongs to: by index; without one by id, else the latest. The same index with another id and a name
        is another call: some hosts send whole calls that all say 0.
        """
        if key is None:
            same = [call for call in self._calls if id_ and call.id == id_]
            if same:
                return same[-1]
            if self._calls and not (id_ or name):
                return self._calls[-1]
            return self._begin(None)
        for call in reversed(self._calls):
            if call.key == key:
                if id_ and name and call.id and call.id != id_:
                    break
                return call
        return self._begin(key)

    def _begin(self, key: object) -> _Call:
        call = _Call(key)
        self._calls.append(call)
        return call

    def _more(self, call: _Call, text: str) -> list[StreamEvent]:
        if text:
            call.pieces.append(text)
        if call.state == "closed":
            if text.strip():
                raise Late(f"the provider's stream goes on with tool call {call.name!r} after its end")
            return []
        if call.state == "open":
            return [ArgumentsDelta(self._index, text)] if text else []
        events: list[StreamEvent] = []
        if self._open is not None:
            if not self._open.complete:
                return []
            events += self._close()
        if call.name:
            events += self._start(call)
        return events

    def _start(self, call: _Call) -> list[StreamEvent]:
        call.state = "open"
        self._open = call
        self._index = self._next
        self._next += 1
        block = ToolCall(
            id=call.id,
            name=call.name,
            arguments="",
            kind="custom" if call.custom else "function",
            form=call.form,
            extras=call.extras,
        )
        start: StreamEvent = BlockStart(self._index, block)
        return [start, *(ArgumentsDelta(self._index, text) for text in call.pieces)]

    def _close(self) -> list[StreamEvent]:
        call, self._open = self._open, None
        assert call is not None
        call.state = "closed"
        sealed: list[StreamEvent] = [SealDelta(self._index, call.seal)] if call.seal is not None else []
        return [*sealed, BlockStop(self._index, call.late)]

    def note(self, text: str) -> None:
        """An ArgumentsDelta of the open call was given elsewhere."""
        assert self._open is not None
        self._open.pieces.append(text)

    def finish(self) -> list[StreamEvent]:
        """Ends the open call and tells those that wait."""
        events: list[StreamEvent] = [] if self._open is None else self._close()
        for call in self._calls:
            if call.state == "waiting":
                events += self._start(call)
                events += self._close()
        return events
