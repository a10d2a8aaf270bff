"""Losses are values: what a renderer could not say in its dialect.

The header is a structured-field list (RFC 9651), most severe first, at most 2 KB:
`x-gatewright-loss: "messages[2].content[0].cache_control";w=hint;why="openai has no cache points"`
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from gatewright.ir.blocks import Node
from gatewright.jsontypes import JsonObject, JsonValue

Weight = Literal["hint", "approximated", "dropped"]
SEVERITY: dict[Weight, int] = {"dropped": 0, "approximated": 1, "hint": 2}
MAX_HEADER_BYTES = 2048


class Loss(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    path: str
    """In the client's own terms: `messages[2].content[0].cache_control`, `top_k`."""
    why: str
    weight: Weight
    value: JsonValue = None


def is_void(value: JsonValue) -> bool:
    """Null and empty containers say nothing: leaving them out loses nothing."""
    return value is None or (isinstance(value, list | dict) and not value)


def join(at: str, key: str) -> str:
    """`key` of the object at `at`."""
    return f"{at}.{key}" if at else key


class Losses:
    """Collects what one rendering could not say. `dialect` is the renderer's own name."""

    __slots__ = ("dialect", "found")

    def __init__(self, dialect: str) -> None:
        self.dialect = dialect
        self.found: list[Loss] = []

    def dropped(self, path: str, why: str, value: JsonValue = None) -> None:
        self.found.append(Loss(path=path, why=why, weight="dropped", value=value))

    def approximated(self, path: str, why: str, value: JsonValue = None) -> None:
        self.found.append(Loss(path=path, why=why, weight="approximated", value=value))

    def hint(self, path: str, why: str, value: JsonValue = None) -> None:
        """For what changes nothing in the answer: cache points, ids, labels."""
        self.found.append(Loss(path=path, why=why, weight="hint", value=value))

    def extras(self, node: Node, *, origin: str, skip: Iterable[str] = ()) -> JsonObject:
        """What to merge into the rendering of `node`: its extras at home, nothing abroad, where each is a loss.

        `origin` is the dialect of the document the node came from; `skip` names extras that the caller has rendered.
        """
        if not node.extras:
            return {}
        if origin == self.dialect:
            return node.extras
        skipped = frozenset(skip)
        for key, value in node.extras.items():
            if key not in skipped and not is_void(value):
                self.dropped(join(node.at, key), f"{self.dialect} has no word for it", value)
        return {}

    def done(self) -> tuple[Loss, ...]:
        return tuple(self.found)


def _quote(text: str) -> str:
    """An RFC 9651 string: printable ASCII only."""
    ascii_text = "".join(c if " " <= c <= "~" else "?" for c in text)
    return '"' + ascii_text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def loss_header(losses: Iterable[Loss]) -> str:
    """The value of `x-gatewright-loss`; empty when nothing was lost."""
    ordered = sorted(losses, key=lambda loss: SEVERITY[loss.weight])
    parts: list[str] = []
    size = 0
    for done, loss in enumerate(ordered):
        part = f"{_quote(loss.path)};w={loss.weight};why={_quote(loss.why)}"
        if size + len(part) + 2 > MAX_HEADER_BYTES - 16:
            parts.append(f"more={len(ordered) - done}")
            break
        parts.append(part)
        size += len(part) + 2
    return ", ".join(parts)
