"""Events of which only their own dialect knows more: further choices, server tools, whatever a forwarded endpoint streams.

One rule: what may be a piece of a longer text (`delta`, `text`, …) is looked at together with the pieces of the same name and
indices before it; an event leaves whole, when all its pieces are decided. Every other string is looked at by itself.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from gatewright.guards.check import Checker
from gatewright.guards.redact import Redactor, restored
from gatewright.guards.rules import Rule
from gatewright.guards.terms import Text
from gatewright.guards.window import Hit, Window
from gatewright.ir.events import NativeEvent
from gatewright.jsontypes import JsonObject, JsonValue

_PIECES: Final = frozenset(
    (
        "delta",
        "text",
        "content",
        "arguments",
        "partial_json",
        "reasoning",
        "reasoning_content",
        "thinking",
        "refusal",
        "transcript",
        "input",
        "code",
    )
)
_INDICES: Final = ("index", "output_index", "content_index", "summary_index", "item_id", "contentBlockIndex")
_DEEP: Final = 64

_Key: TypeAlias = tuple[object, ...]


class _Piece(msgspec.Struct, frozen=True):
    """A text of an event, and where it is to be put back."""

    within: JsonObject | list[JsonValue]
    at: str | int
    window: Window
    start: int
    end: int


class Pieces:
    """One event and its texts."""

    __slots__ = ("_data", "_originals", "event", "pieces")

    def __init__(self, event: NativeEvent, data: JsonObject, pieces: list[_Piece], originals: dict[str, str]) -> None:
        self.event = event
        self._data = data
        self._originals = originals
        self.pieces = pieces

    @property
    def decided(self) -> bool:
        return all(piece.end <= piece.window.decided for piece in self.pieces)

    @property
    def violation(self) -> Hit | None:
        """What ends the stream within this event, if anything does."""
        for piece in self.pieces:
            hit = piece.window.violation
            if hit is not None and hit.start < piece.end:
                return hit
        return None

    def edited(self) -> NativeEvent:
        """The event as it leaves. Once."""
        changed = self._data is not self.event.data and self._data != self.event.data
        for piece in self.pieces:
            told = restored(piece.window.cut(piece.start, piece.end), self._originals)
            container = piece.within
            if isinstance(container, list):
                assert isinstance(piece.at, int)
                changed = changed or container[piece.at] != told
                container[piece.at] = told
            else:
                assert isinstance(piece.at, str)
                changed = changed or container[piece.at] != told
                container[piece.at] = told
        return msgspec.structs.replace(self.event, data=self._data) if changed else self.event


class NativeTexts:
    """The texts of one stream's native events."""

    __slots__ = ("_checker", "_redactor", "_rules", "_window", "_windows")

    def __init__(self, rules: Sequence[Rule], checker: Checker, redactor: Redactor, window: int) -> None:
        self._rules = [rule for rule in rules if rule.check.detector is not None]
        self._checker = checker
        self._redactor = redactor
        self._window = window
        self._windows: dict[_Key, Window] = {}

    def take(self, event: NativeEvent) -> Pieces:
        pieces: list[_Piece] = []
        key: _Key = (event.name, event.data.get("type") if isinstance(event.data.get("type"), str) else "")
        data = self._object(event.data, key, "", pieces, _DEEP)
        return Pieces(event, data, pieces, self._redactor.originals)

    def close(self) -> None:
        """All texts end here."""
        for key, window in self._windows.items():
            window.close()
            self._learn(window, str(key[-1]))

    @property
    def held(self) -> int:
        return max((window.held for window in self._windows.values()), default=0)

    def _object(self, value: JsonObject, key: _Key, path: str, pieces: list[_Piece], deep: int) -> JsonObject:
        """A copy, with what stands by itself already as it is to be."""
        indices = tuple(one for name in _INDICES if isinstance(one := value.get(name), str | int))
        key = (*key, *indices)
        done: JsonObject = {}
        for name, item in value.items():
            where = f"{path}.{name[:40]}" if path else name[:40]
            if isinstance(item, str) and name in _PIECES:
                done[name] = item
                self._piece(done, name, item, (*key, where), pieces)
            else:
                done[name] = self._value(item, (*key, name), where, pieces, deep - 1)
        return done

    def _value(self, value: JsonValue, key: _Key, path: str, pieces: list[_Piece], deep: int) -> JsonValue:
        if isinstance(value, str):
            return self._alone(value, path) if value else value
        if not deep or not isinstance(value, dict | list):
            return value
        if isinstance(value, dict):
            return self._object(value, key, path, pieces, deep)
        indexed = all(isinstance(item, dict) and isinstance(item.get("index"), int) for item in value)
        return [
            self._value(item, key if indexed else (*key, i), f"{path}[{i}]", pieces, deep - 1) for i, item in enumerate(value)
        ]

    def _piece(self, within: JsonObject, name: str, text: str, key: _Key, pieces: list[_Piece]) -> None:
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window(self._rules, self._redactor, self._window)
        start = window.end
        window.feed(text)
        self._learn(window, str(key[-1]))
        pieces.append(_Piece(within, name, window, start, start + len(text)))

    def _alone(self, text: str, path: str) -> str:
        return restored(self._checker.see(Text("other", path, text)), self._redactor.originals)

    def _learn(self, window: Window, path: str) -> None:
        for hit in window.hits:
            self._checker.found(hit.rule, hit.kind, path, hit.start, hit.end)
        window.hits.clear()
