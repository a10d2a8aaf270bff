"""Does the document have the schema's shape? Pydantic's findings, said for a person.

One rule: a message says what was expected and what came, never the value of anything but a name.
"""

from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Annotated, TypeAlias, Union, get_args, get_origin

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gatewright.config.problems import ConfigProblem
from gatewright.config.schema import ConfigFile
from gatewright.config.suggest import hint
from gatewright.config.tree import KeyPath, Tree
from gatewright.jsontypes import JsonValue
from gatewright.wire.json import kind

EXPECTED: dict[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
"""Pydantic's error type → what was expected; what came is added."""

_NAMED: frozenset[KeyPath] = frozenset({("providers",), ("models",), ("organizations",), ("teams",), ("users",)})
_ATTEMPTS = 4
"""Each takes away what the one before found wrong; what is left after a few is not worth checking."""

Message: TypeAlias = Callable[[Mapping[str, object]], str]

LIMITS: dict[str, Message] = {
    "greater_than": lambda limit: f"expected more than {limit['gt']}",
    "greater_than_equal": lambda limit: f"expected {limit['ge']} or more",
    "less_than": lambda limit: f"expected less than {limit['lt']}",
    "less_than_equal": lambda limit: f"expected {limit['le']} or less",
    "string_too_short": lambda _: "expected some text, got none",
    "too_short": lambda _: "expected at least one entry, got an empty list",
}
"""Pydantic's error type → the whole message but for what came."""


def check_shape(tree: Tree) -> tuple[ConfigFile, tuple[ConfigProblem, ...]]:
    """The file's sections and what is wrong with their shape. With problems, the sections are those that could be understood."""
    value = _tidy(tree.value, ())
    problems: list[ConfigProblem] = []
    for attempt in range(_ATTEMPTS):
        try:
            return ConfigFile.model_validate_json(msgspec.json.encode(value), strict=True), tuple(problems)
        except ValidationError as error:
            found = error.errors(include_url=False)
        for details in found:
            problem = _problem(details, tree)
            if attempt == 0:
                problems.append(problem)
            value = _without(value, problem.path)
    return ConfigFile(), tuple(problems)


def _tidy(value: JsonValue, path: KeyPath) -> JsonValue:
    """A key without a value is a key left out, except where the key itself is a name: there it is an empty section."""
    if not isinstance(value, dict):
        return [_tidy(item, (*path, i)) for i, item in enumerate(value)] if isinstance(value, list) else value
    if path in _NAMED:
        return {key: {} if item is None else _tidy(item, (*path, key)) for key, item in value.items()}
    return {key: _tidy(item, (*path, key)) for key, item in value.items() if item is not None}


def _problem(details: ErrorDetails, tree: Tree) -> ConfigProblem:
    path: KeyPath = tuple(step for step in details["loc"] if step != "[key]")
    context = details.get("ctx") or {}
    name = details["type"]
    came = _at(tree.value, path)
    if name == "extra_forbidden":
        return ConfigProblem(
            place=tree.place(path, key=True), path=path, message=f"unknown key{hint(str(path[-1]), _fields(path[:-1]))}"
        )
    if name == "missing":
        return ConfigProblem(place=tree.place(path[:-1]), path=path[:-1], message=f'missing key "{path[-1]}"')
    if name == "literal_error":
        choices = str(context.get("expected", ""))
        known = [choice.strip("' ") for choice in choices.replace(" or ", ",").split(",")]
        got = f'"{came}"{hint(came, known)}' if isinstance(came, str) else kind(came)
        listed = " or ".join(f'"{choice}"' for choice in known) if len(known) < 4 else "one of the known words"
        message = f"expected {listed}, got {got}"
    elif context.get("class_name") in ("TargetSection", "FallbackSection"):
        message = f'expected "provider/model" or a mapping with "target", got {_say(came)}'
    elif context.get("class_name") == "BreakerSection":
        message = f"expected a mapping or false, got {_say(came)}"
    elif context.get("class_name") == "CountersSection":
        message = f"expected the URL of a Redis or Valkey, or a mapping, got {_say(came)}"
    elif name in EXPECTED:
        message = f"expected {EXPECTED[name]}, got {_say(came)}"
    elif name in LIMITS:
        message = LIMITS[name](context)
        if isinstance(came, int | float):
            message += f", got {came}"
    else:
        message = details["msg"]
    return ConfigProblem(place=tree.place(path), path=path, message=message)


def _say(value: JsonValue) -> str:
    """What came, in YAML's words."""
    return {"null": "nothing", "an array": "a list", "an object": "a mapping", "a string": "text"}.get(kind(value), kind(value))


def _at(value: JsonValue, path: KeyPath) -> JsonValue:
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
    return value


def _without(value: JsonValue, path: KeyPath) -> JsonValue:
    """`value` less what is at `path`, so that the rest of the file can still be checked. Lists keep their length."""
    if not path:
        return {}
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and isinstance(step, str) and step in value:
        inner = value[step]
        if not rest or not isinstance(inner, dict):
            return {key: item for key, item in value.items() if key != step}
        return {**value, step: _without(inner, rest)}
    return value


def _fields(path: KeyPath) -> tuple[str, ...]:
    """Names of the keys that the schema knows at `path`."""
    annotation: object = ConfigFile
    for step in path:
        annotation = _unwrap(annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields.get(str(step))
            annotation = None if field is None else field.annotation
        else:
            annotation = next(iter(reversed(get_args(annotation))), None)
    annotation = _unwrap(annotation)
    return tuple(annotation.model_fields) if isinstance(annotation, type) and issubclass(annotation, BaseModel) else ()


def _unwrap(annotation: object) -> object:
    """The type itself, without Annotated and `| None`."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, UnionType):
            annotation = next(arg for arg in get_args(annotation) if arg is not NoneType)
        else:
            return annotation
