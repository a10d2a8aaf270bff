"""Proto JSON objects read by consumption: every key may be camelCase or snake_case.

One rule: the reader asks in camelCase; the snake spellings that the document used are remembered (`snakes`) and go into the
node's `form`, so that the same dialect writes them again. Rest keys that belong to an inner object are told by dotted extras
(`functionCall.foo`), which are also the very paths that losses name.
https://protobuf.dev/programming-guides/json/
"""

import re

from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields

_SNAKE = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")


def camel(key: str) -> str:
    return _SNAKE.sub(lambda match: match.group(1).upper(), key) if "_" in key else key


def snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match.group(1).lower(), key)


class Proto(Fields):
    """`Fields` whose keys are camelCase, whatever the document's spelling."""

    __slots__ = ("_spelt",)

    def __init__(self, value: JsonValue, at: str = "") -> None:
        super().__init__(value, at)
        self._spelt: dict[str, str] = {}
        for key in [key for key in self._left if "_" in key]:
            plain = camel(key)
            if plain != key and plain not in self._left:
                self._left[plain] = self._left.pop(key)
                self._spelt[plain] = key

    @property
    def snakes(self) -> tuple[str, ...]:
        """The snake spellings that the document used, for `form`."""
        return tuple(self._spelt.values())

    def path(self, key: str) -> str:
        return super().path(self._spelt.get(key, key))

    def proto(self, key: str) -> "Proto | None":
        """The object, to be consumed in its turn; None when absent, null or empty."""
        value = self.object(key)
        return None if value is None else Proto(value, self.path(key))

    def rest(self) -> JsonObject:
        """What nobody took, as the document spelt it."""
        return {self._spelt.get(key, key): value for key, value in self._left.items()}


def dotted(prefix: str, rest: JsonObject) -> JsonObject:
    """An inner object's rest as extras of the outer node."""
    return {f"{prefix}.{key}": value for key, value in rest.items()}


class Speller:
    """Writes keys as the origin's `form` has them: the snake word where it used one, else camelCase."""

    __slots__ = ("_words",)

    def __init__(self, form: tuple[str, ...]) -> None:
        self._words = {camel(word): word for word in form if "_" in word}

    def __call__(self, key: str) -> str:
        return self._words.get(key, key)


def merge(target: JsonObject, extras: JsonObject, spell: Speller, prefixes: tuple[str, ...] = ()) -> JsonObject:
    """`extras` put into `target`; dotted keys under one of `prefixes` (camelCase) go into that inner object."""
    for key, value in extras.items():
        for prefix in prefixes:
            if key.startswith(prefix + "."):
                inner = target
                for step in prefix.split("."):
                    below = inner.setdefault(spell(step), {})
                    assert isinstance(below, dict)
                    inner = below
                inner[key[len(prefix) + 1 :]] = value
                break
        else:
            target[key] = value
    return target
