"""YAML as a plain tree that remembers where everything stood.

One rule: reading never stops at the first problem that it can step over (duplicate keys, odd tags), so that all come at once.
YAML 1.2 (`yes` and `on` are strings), one document, anchors and merge keys allowed, loops and explosions refused.
https://yaml.org/spec/1.2.2/
"""

import re
from pathlib import Path
from typing import TypeAlias

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from gatewright.jsontypes import JsonObject, JsonValue

KeyPath: TypeAlias = tuple[str | int, ...]
MAX_NODES = 100_000
"""Values after aliases are expanded: a large fleet's file has some thousands; more is an alias bomb."""
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_TAG = "tag:yaml.org,2002:"


class Place(msgspec.Struct, frozen=True, order=True):
    """Where something stands in the file, counted from 1."""

    line: int
    column: int


TOP = Place(1, 1)


class Trouble(msgspec.Struct, frozen=True):
    """A problem with the YAML itself."""

    place: Place
    path: KeyPath
    message: str


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    """A document read: values, places, and what was wrong on the way."""

    value: JsonObject
    places: dict[KeyPath, Place]
    """Place of each value."""
    keys: dict[KeyPath, Place]
    """Place of each mapping's key."""
    troubles: tuple[Trouble, ...] = ()

    def place(self, path: KeyPath, *, key: bool = False) -> Place:
        """Where the value at `path` stands (or its key); the nearest thing around it when there is none."""
        table = self.keys if key else self.places
        if path in table:
            return table[path]
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, TOP)


def show_path(path: KeyPath) -> str:
    """`models.fast.targets[1]`, `models["claude-*"]`."""
    shown = ""
    for step in path:
        if isinstance(step, int):
            shown += f"[{step}]"
        elif _PLAIN_KEY.match(step):
            shown += f".{step}" if shown else step
        else:
            shown += f'["{step}"]'
    return shown


def read_yaml(text: str) -> Tree:
    """The document; with troubles and whatever could be read when it is not good YAML. Never raises for bad input."""
    reader = YAML(typ="safe", pure=True)
    try:
        documents = list(reader.compose_all(text))
    except MarkedYAMLError as error:
        return _unreadable(_place(error.problem_mark or error.context_mark), _because(error))
    except ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        return _unreadable(place, f"a character that YAML does not allow: U+{ord(text[error.position]):04X}")
    except (YAMLError, RecursionError) as error:
        return _unreadable(TOP, "nested too deeply" if isinstance(error, RecursionError) else f"not valid YAML: {error}")
    if len(documents) > 1:
        return _unreadable(_place(documents[1].start_mark), "expected one YAML document, found another")
    if not documents or documents[0] is None:
        return Tree(value={}, places={(): TOP}, keys={})
    return _Builder().build(documents[0])


def read_file(path: Path) -> Tree:
    """As `read_yaml`. Raises OSError when the file cannot be read."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        place = Place(before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))
        return _unreadable(place, "not UTF-8 text")
    return read_yaml(text)


def _unreadable(place: Place, message: str) -> Tree:
    return Tree(value={}, places={(): TOP}, keys={}, troubles=(Trouble(place, (), message),))


def _because(error: MarkedYAMLError) -> str:
    said = " ".join(part for part in (error.context, error.problem) if part)
    return f"not valid YAML: {said}"


def _place(mark: StringMark | None) -> Place:
    return TOP if mark is None else Place(mark.line + 1, mark.column + 1)


class _Builder:
    """Turns ruamel's node graph into plain values."""

    def __init__(self) -> None:
        self.places: dict[KeyPath, Place] = {}
        self.keys: dict[KeyPath, Place] = {}
        self.troubles: list[Trouble] = []
        self._open: list[Node] = []
        self._count = 0

    def build(self, node: Node) -> Tree:
        try:
            value = self._value(node, ())
        except RecursionError:
            self.troubles.append(Trouble(TOP, (), "nested too deeply"))
            value = {}
        if value is None:
            value = {}
        if not isinstance(value, dict):
            self.troubles.append(Trouble(_place(node.start_mark), (), "expected a mapping of sections at the top of the file"))
            value = {}
        return Tree(value=value, places=self.places, keys=self.keys, troubles=tuple(self.troubles))

    def _trouble(self, node: Node, path: KeyPath, message: str) -> None:
        self.troubles.append(Trouble(_place(node.start_mark), path, message))

    def _value(self, node: Node, path: KeyPath) -> JsonValue:
        self._count += 1
        if self._count > MAX_NODES:
            if self._count == MAX_NODES + 1:
                self._trouble(node, path, f"more than {MAX_NODES} values once aliases are expanded")
            return None
        if any(node is outer for outer in self._open):
            self._trouble(node, path, "an alias that contains itself")
            return None
        self.places.setdefault(path, _place(node.start_mark))
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        self._open.append(node)
        try:
            if isinstance(node, SequenceNode):
                return [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
            assert isinstance(node, MappingNode)
            return self._mapping(node, path)
        finally:
            self._open.pop()

    def _mapping(self, node: MappingNode, path: KeyPath) -> JsonObject:
        found: JsonObject = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            if isinstance(key_node, ScalarNode) and key_node.value == "<<" and key_node.style is None:
                merged += value_node.value if isinstance(value_node, SequenceNode) else [value_node]
                continue
            if not isinstance(key_node, ScalarNode):
                self._trouble(key_node, path, "expected a plain key, got a list or a mapping")
                continue
            key = str(key_node.value)
            if key in found:
                first = self.keys[(*path, key)]
                self._trouble(key_node, (*path, key), f"this key is already there, at line {first.line}")
                continue
            self.keys[(*path, key)] = _place(key_node.start_mark)
            found[key] = self._value(value_node, (*path, key))
        for source in merged:
            self._merge(source, path, found)
        return found

    def _merge(self, source: Node, path: KeyPath, into: JsonObject) -> None:
        """YAML's merge key: what `source` has and the mapping itself does not."""
        if not isinstance(source, MappingNode):
            self._trouble(source, path, 'expected a mapping (or a list of them) after "<<"')
            return
        if any(source is outer for outer in self._open):
            self._trouble(source, path, "an alias that contains itself")
            return
        self._open.append(source)
        base = _Builder()
        base._open, base._count = self._open, self._count
        for key, value in base._mapping(source, path).items():
            into.setdefault(key, value)
        self._open.pop()
        self._count = base._count
        self.troubles += [trouble for trouble in base.troubles if trouble not in self.troubles]
        for at, place in base.places.items():
            self.places.setdefault(at, place)
        for at, place in base.keys.items():
            self.keys.setdefault(at, place)

    def _scalar(self, node: ScalarNode, path: KeyPath) -> JsonValue:
        text = str(node.value)
        kind = str(node.tag or "").removeprefix(_TAG)
        try:
            match kind:
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return int(text.replace("_", ""), 0 if text.lstrip("+-").lower().startswith(("0x", "0o", "0b")) else 10)
                case "float":
                    return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
                case "str" | "timestamp":
                    return text
                case _:
                    self._trouble(node, path, f'a tag that has no meaning here: "{node.tag}"')
        except ValueError:
            self._trouble(node, path, f'cannot be read as {kind}: "{text}"')
        return text
