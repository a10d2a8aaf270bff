"""Reading another gateway's file: a tree that remembers where everything stood, and what of it has been used.

One rule: a reader takes what it understands; what nobody took is found at the end and told with its place.
"""

import json
import re
from collections.abc import Iterator

from gatewright.config.tree import KeyPath, Place, Tree, read_yaml, show_path
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import kind

MAX_BYTES = 8 << 20
"""A configuration of some thousand models is below one megabyte."""


class CannotImport(Exception):
    """The file is not what it should be. The message is one line: `file:line:col path: what was expected, what came`."""

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else "?" for c in " ".join(message.split())))


class Source:
    """One document."""

    def __init__(self, file: str, tree: Tree) -> None:
        self.file = file
        self._tree = tree
        self.top = Part(self, (), tree.value)

    def at(self, path: KeyPath, *, key: bool = False) -> Place:
        return self._tree.place(path, key=key)

    def wrong(self, path: KeyPath, message: str) -> CannotImport:
        return CannotImport(self._said(self.at(path), path, message))

    def _said(self, place: Place, path: KeyPath, message: str) -> str:
        where = f"{self.file}:{place.line}:{place.column}"
        return f"{where} {show_path(path)}: {message}" if path else f"{where} {message}"


class Part:
    """A mapping of the document, read by taking from it."""

    def __init__(self, source: Source, path: KeyPath, value: JsonObject) -> None:
        self.source = source
        self.path = path
        self._left = dict(value)

    def __contains__(self, key: object) -> bool:
        return key in self._left

    def names(self) -> tuple[str, ...]:
        """The keys that nobody has taken."""
        return tuple(self._left)

    def under(self, *steps: str | int) -> KeyPath:
        return (*self.path, *steps)

    def take(self, key: str) -> JsonValue:
        """Whatever is there; None when nothing is."""
        return self._left.pop(key, None)

    def peek(self, key: str) -> JsonValue:
        """As `take`, but it stays to be taken."""
        return self._left.get(key)

    def add(self, key: str, value: JsonValue) -> None:
        """Something said elsewhere that holds here too."""
        self._left[key] = value

    def rename(self, key: str, other: str) -> None:
        """Read the entry under another name."""
        self._left[other] = self._left.pop(key)

    def text(self, key: str) -> str | None:
        """Text; numbers and truth values are written out as YAML would read them again. Raises CannotImport."""
        value = self.take(key)
        if value is None or isinstance(value, str):
            return value or None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        raise self.expected(key, "text", value)

    def number(self, key: str) -> float | int | None:
        """A number, also where it is written as text; None for a reference to a variable. Raises CannotImport."""
        value = self.take(key)
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value
        if isinstance(value, str) and re.fullmatch(r"\s*\d{1,15}(\.\d{1,15})?\s*", value):
            return float(value) if "." in value else int(value)
        if isinstance(value, str) and value.startswith(("os.environ/", "env.")):
            return None
        raise self.expected(key, "a number", value)

    def flag(self, key: str) -> bool | None:
        """Raises CannotImport."""
        value = self.take(key)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        raise self.expected(key, "true or false", value)

    def part(self, key: str) -> "Part | None":
        """A mapping inside. Raises CannotImport."""
        value = self.take(key)
        if value is None:
            return None
        if isinstance(value, dict):
            return Part(self.source, self.under(key), value)
        raise self.expected(key, "a mapping", value)

    def items(self, key: str) -> list[JsonValue]:
        """A list. Raises CannotImport."""
        value = self.take(key)
        if value is None:
            return []
        if isinstance(value, list):
            return value
        raise self.expected(key, "a list", value)

    def parts(self, key: str) -> "Iterator[Part]":
        """The mappings of a list. Raises CannotImport."""
        for i, value in enumerate(self.items(key)):
            if not isinstance(value, dict):
                raise self.source.wrong(self.under(key, i), f"expected a mapping, got {said(value)}")
            yield Part(self.source, self.under(key, i), value)

    def texts(self, key: str) -> list[str]:
        """A list of texts, or one text alone. Raises CannotImport."""
        value = self._left.get(key)
        if isinstance(value, str):
            self._left.pop(key)
            return [value]
        found = self.items(key)
        for i, item in enumerate(found):
            if not isinstance(item, str):
                raise self.source.wrong(self.under(key, i), f"expected text, got {said(item)}")
        return [item for item in found if isinstance(item, str)]

    def expected(self, key: str, what: str, came: JsonValue) -> CannotImport:
        return self.source.wrong(self.under(key), f"expected {what}, got {said(came)}")


def said(value: JsonValue) -> str:
    """What came, in words; never its value, which may be a secret."""
    return {"null": "nothing", "an array": "a list", "an object": "a mapping", "a string": "text"}.get(kind(value), kind(value))


def read_source(file: str, content: bytes) -> Source:
    """The document in a file, YAML or JSON. Raises CannotImport with the first thing that is wrong with it."""
    if len(content) > MAX_BYTES:
        raise CannotImport(f"{file}:1:1 larger than {MAX_BYTES >> 20} MiB: not a configuration")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise CannotImport(f"{file}:{line}:1 not UTF-8 text") from None
    if text.lstrip().startswith(("{", "[")):
        text = _checked_json(file, text)
    tree = read_yaml(text)
    if tree.troubles:
        first = min(tree.troubles, key=lambda trouble: trouble.place)
        where = f"{file}:{first.place.line}:{first.place.column}"
        raise CannotImport(f"{where} {show_path(first.path)}: {first.message}" if first.path else f"{where} {first.message}")
    if not tree.value:
        raise CannotImport(f"{file}:1:1 expected a configuration, got an empty file")
    return Source(file, tree)


def _checked_json(file: str, text: str) -> str:
    """JSON as YAML reads it: the same but for tabs, which YAML refuses between tokens, and pairs of surrogates.

    Text that is no JSON may still be YAML in flow style; then YAML has the word.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise CannotImport(f"{file}:1:1 nested too deeply") from None
    except json.JSONDecodeError as error:
        if file.endswith(".json"):
            raise CannotImport(f"{file}:{error.lineno}:{error.colno} not valid JSON: {error.msg.lower()}") from None
        return text
    if isinstance(value, list):
        raise CannotImport(f"{file}:1:1 expected a mapping of settings, got a list")
    text = re.sub(r"(?:\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})+", lambda m: _joined(m[0]), text)
    return text.replace("\t", " ")


def _joined(escapes: str) -> str:
    """Pairs of surrogates as the characters that they are."""
    whole: str = json.loads(f'"{escapes}"')
    return whole
