r"""Conditions on the arguments of a call: `{path: condition}`.

    to: "@example\.com$"            a pattern (RE2) that is found in it
    items[*].amount: {max: 100}      of every item
    **.url: {not_matches: "^https:"} at any depth
    mode: [read, list]               one of these

One rule: what forbids holds as soon as one value fits; what permits holds when all do and there is one.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

from gatewright.guards.detect.conversation import DEEPEST, Unreadable
from gatewright.guards.detect.scan import BadPattern, matcher
from gatewright.guards.detect.settings import wrong
from gatewright.jsontypes import JsonValue

_STEP: Final = re.compile(r"\.?(?:\[(\*|-?\d+)\]|(\*\*?)|([^.\[\]]+))")


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that are said must hold for a value."""

    matches: str | None = None
    """A pattern that is found in it."""
    not_matches: str | None = None
    equals: JsonValue | msgspec.UnsetType = msgspec.UNSET
    one_of: tuple[JsonValue, ...] | None = None
    none_of: tuple[JsonValue, ...] | None = None
    min: float | None = None
    max: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    """Of a text in characters; of a list or an object in items."""
    exists: bool | None = None
    """Whether there is such an argument at all."""


Said: TypeAlias = dict[str, Condition | str | bool | float | list[JsonValue] | None]
"""As it is written: a text is a pattern, a list says `one_of`, a number or a truth `equals`."""
Test: TypeAlias = Callable[[JsonValue], bool]


class Where(msgspec.Struct, frozen=True):
    """One path and what holds there."""

    path: tuple[str | int, ...]
    tests: tuple[Test, ...]
    exists: bool | None

    def some(self, arguments: JsonValue) -> bool:
        """Whether a value fits."""
        values = self._values(arguments)
        if not self.tests:
            return bool(values) is (self.exists is not False)
        return any(all(test(value) for test in self.tests) for value in values)

    def every(self, arguments: JsonValue) -> bool:
        """Whether there is a value and all fit."""
        values = self._values(arguments)
        if not self.tests:
            return bool(values) is (self.exists is not False)
        return bool(values) and all(test(value) for value in values for test in self.tests)

    def _values(self, arguments: JsonValue) -> list[JsonValue]:
        return list(_at(arguments, self.path))


class Conditions(msgspec.Struct, frozen=True):
    """On all arguments of a call."""

    wheres: tuple[Where, ...] = ()

    def forbid(self, arguments: JsonValue | Unreadable) -> bool:
        """Whether a call with these is one that is meant. What cannot be read is, where anything is said of arguments."""
        if isinstance(arguments, Unreadable):
            return bool(self.wheres)
        return all(where.some(arguments) for where in self.wheres)

    def permit(self, arguments: JsonValue | Unreadable) -> bool:
        """Whether a call with these is one that may be. What cannot be read may not."""
        if isinstance(arguments, Unreadable):
            return not self.wheres
        return all(where.every(arguments) for where in self.wheres)


def conditions(said: Said, path: str) -> Conditions:
    """Raises ValueError, with the place under `path`."""
    return Conditions(tuple(_where(key, condition, f"{path}.{key}") for key, condition in said.items()))


def _where(key: str, said: "Condition | str | bool | float | list[JsonValue] | None", path: str) -> Where:
    match said:
        case Condition():
            condition = said
        case str():
            condition = Condition(matches=said)
        case list():
            condition = Condition(one_of=tuple(said))
        case _:
            condition = Condition(equals=said)
    tests = tuple(_tests(condition, path))
    if condition.exists is False and tests:
        raise wrong(path, "`exists: false` leaves no value for other conditions")
    if not tests and condition.exists is None:
        raise wrong(path, "a condition is needed: matches, not_matches, equals, one_of, none_of, min, max, min_length, …")
    return Where(_path(key, path), tests, condition.exists)


def _tests(said: Condition, path: str) -> Iterator[Test]:
    if said.matches is not None:
        found = _pattern(said.matches, f"{path}.matches")
        yield lambda value: found(_text(value))
    if said.not_matches is not None:
        unwanted = _pattern(said.not_matches, f"{path}.not_matches")
        yield lambda value: not unwanted(_text(value))
    if said.equals is not msgspec.UNSET:
        yield lambda value: _same(value, said.equals)
    if said.one_of is not None:
        among = said.one_of
        yield lambda value: any(_same(value, each) for each in among)
    if said.none_of is not None:
        outside = said.none_of
        yield lambda value: not any(_same(value, each) for each in outside)
    if said.min is not None or said.max is not None:
        low, high = said.min, said.max
        yield lambda value: _within(_number(value), low, high)
    if said.min_length is not None or said.max_length is not None:
        least, most = said.min_length, said.max_length
        yield lambda value: _within(len(value) if isinstance(value, str | list | dict) else None, least, most)


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def _number(value: JsonValue) -> float | None:
    """Of a number, or of a text that is one: models write both."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8", "replace")


def _same(value: object, other: object) -> bool:
    """JSON's sameness: `true` is not 1."""
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _pattern(pattern: str, path: str) -> Callable[[str], bool]:
    try:
        return matcher(pattern)
    except BadPattern as error:
        raise wrong(path, str(error)) from None


def _path(key: str, path: str) -> tuple[str | int, ...]:
    found: list[str | int] = []
    at = 0
    text = key.removeprefix("$")
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise wrong(path, f"not a path: {key!r}; write `a.b`, `items[0]`, `items[*]`, `**.url`")
        index, star, name = step.groups()
        found.append(star or name or ("*" if index == "*" else int(index)))
        at = step.end()
    return tuple(found)


def _at(value: JsonValue, path: tuple[str | int, ...], depth: int = 0) -> Iterator[JsonValue]:
    """The values that a path leads to."""
    if depth > DEEPEST:
        return
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    if step == "**":
        yield from _at(value, rest, depth + 1)
        for each in _items(value):
            yield from _at(each, path, depth + 1)
    elif step == "*":
        for each in _items(value):
            yield from _at(each, rest, depth + 1)
    elif isinstance(step, int):
        if isinstance(value, list) and -len(value) <= step < len(value):
            yield from _at(value[step], rest, depth + 1)
    elif isinstance(value, dict) and step in value:
        yield from _at(value[step], rest, depth + 1)


def _items(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
