"""Objects read by consumption: what nobody takes is left in `rest()` and becomes the node's extras.

One rule: a null (and, for `array` and `object`, an empty container) counts as absent but stays in the rest, so that the same
dialect writes it again.
"""

from gatewright.errors import Malformed
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import kind


class Fields:
    """One JSON object while it is read. `at` is its path in the document, for errors."""

    __slots__ = ("_left", "at")

    def __init__(self, value: JsonValue, at: str = "") -> None:
        if not isinstance(value, dict):
            raise Malformed(at, "an object", kind(value))
        self._left = dict(value)
        self.at = at

    def path(self, key: str) -> str:
        return f"{self.at}.{key}" if self.at else key

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def peek(self, key: str) -> JsonValue:
        """The value, left in place."""
        return self._left.get(key)

    def take(self, key: str) -> JsonValue:
        """Any value; None when absent or null."""
        value = self._left.get(key)
        if value is not None:
            del self._left[key]
        return value

    def text(self, key: str) -> str | None:
        value = self._left.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise Malformed(self.path(key), "a string", kind(value))
        del self._left[key]
        return value

    def need_text(self, key: str) -> str:
        value = self.text(key)
        if value is None:
            raise Malformed(self.path(key), "a string", "null" if key in self._left else "nothing")
        return value

    def number(self, key: str) -> int | float | None:
        value = self._left.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Malformed(self.path(key), "a number", kind(value))
        del self._left[key]
        return value

    def integer(self, key: str) -> int | None:
        value = self._left.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            raise Malformed(self.path(key), "an integer", kind(value))
        del self._left[key]
        return value

    def boolean(self, key: str) -> bool | None:
        value = self._left.get(key)
        if value is None:
            return None
        if not isinstance(value, bool):
            raise Malformed(self.path(key), "true or false", kind(value))
        del self._left[key]
        return value

    def array(self, key: str) -> list[JsonValue]:
        """The items; [] when absent, null or empty."""
        value = self._left.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise Malformed(self.path(key), "an array", kind(value))
        if value:
            del self._left[key]
        return value

    def object(self, key: str) -> JsonObject | None:
        """The object; None when absent, null or empty."""
        value = self._left.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise Malformed(self.path(key), "an object", kind(value))
        if not value:
            return None
        del self._left[key]
        return value

    def fields(self, key: str) -> "Fields | None":
        """The object, to be consumed in its turn; None when absent, null or empty."""
        value = self.object(key)
        return None if value is None else Fields(value, self.path(key))

    def each(self, key: str) -> "list[Fields]":
        """The array's objects, to be consumed."""
        return [Fields(item, f"{self.path(key)}[{i}]") for i, item in enumerate(self.array(key))]

    def put_back(self, key: str, value: JsonValue) -> None:
        """Leave `value` in the rest after all: this dialect cannot say it in neutral words."""
        self._left[key] = value

    def rest(self) -> JsonObject:
        """What nobody took."""
        return self._left
