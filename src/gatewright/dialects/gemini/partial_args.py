"""Function arguments that are streamed in pieces, each with a JSON path into the arguments.

One rule: a string piece is appended to a piece of its path that said it would continue; every other value is set. Paths that make
no sense are refused.
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/function-calling#partialarg
"""

import re
from itertools import pairwise

from gatewright.jsontypes import JsonObject, JsonValue

MAX_INDEX = 10_000
"""Largest list index that a path may name: a list is filled up to it."""
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")


class BadPath(ValueError):
    """A JSON path that cannot be followed in the arguments so far."""


def steps_of(path: str) -> list[str | int]:
    """`$.a.b[0]['c d']` → its steps. Raises BadPath."""
    if not path.startswith("$"):
        raise BadPath(f"not a JSON path: {path!r}")
    steps: list[str | int] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise BadPath(f"not a JSON path: {path!r}")
        name, index, single, double = found.groups()
        if index is not None:
            steps.append(int(index))
            if int(index) > MAX_INDEX:
                raise BadPath(f"index too large in {path!r}")
        else:
            steps.append(name if name is not None else re.sub(r"\\(.)", r"\1", single if single is not None else double))
        at = found.end()
    if not steps:
        raise BadPath("a path to the arguments themselves")
    return steps


def value_of(piece: JsonObject) -> JsonValue:
    """What a PartialArg says."""
    for key in ("stringValue", "numberValue", "boolValue", "structValue", "listValue"):
        if key in piece:
            return piece[key]
    return None


def put(args: JsonObject, piece: JsonObject, growing: set[str]) -> None:
    """Puts one PartialArg into `args`. `growing`: paths whose last piece said `willContinue`; kept up here. Raises BadPath."""
    path = piece.get("jsonPath")
    if not isinstance(path, str):
        raise BadPath("a partial argument without a JSON path")
    steps = steps_of(path)
    node: JsonValue = args
    for step, following in pairwise(steps):
        below = _get(node, step, path)
        if below is None:
            below = [] if isinstance(following, int) else {}
            _set(node, step, below, path)
        node = below
    value = value_of(piece)
    before = _get(node, steps[-1], path)
    if path in growing and isinstance(before, str) and isinstance(value, str):
        value = before + value
    growing.discard(path)
    if piece.get("willContinue") is True:
        growing.add(path)
    _set(node, steps[-1], value, path)


def _get(node: JsonValue, step: str | int, path: str) -> JsonValue:
    if isinstance(node, dict) and isinstance(step, str):
        return node.get(step)
    if isinstance(node, list) and isinstance(step, int):
        return node[step] if step < len(node) else None
    raise BadPath(f"{path!r} does not fit the arguments so far")


def _set(node: JsonValue, step: str | int, value: JsonValue, path: str) -> None:
    if isinstance(node, dict) and isinstance(step, str):
        node[step] = value
    elif isinstance(node, list) and isinstance(step, int):
        node.extend([None] * (step + 1 - len(node)))
        node[step] = value
    else:
        raise BadPath(f"{path!r} does not fit the arguments so far")
