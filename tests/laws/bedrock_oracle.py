"""botocore as the judge of Converse: its service model validates what we render, its own readers read streams and errors.

One rule: a member that the service model does not know is a finding, as is a union with more or less than one member.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from functools import lru_cache

import botocore.session
from botocore.eventstream import EventStream
from botocore.model import OperationModel, Shape
from botocore.parsers import EventStreamJSONParser, create_parser

from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json


@lru_cache(maxsize=2)
def operation(name: str) -> OperationModel:
    return botocore.session.get_session().get_service_model("bedrock-runtime").operation_model(name)


def nonconforming(shape: Shape, value: JsonValue, at: str = "", *, strict: bool = True) -> Iterator[str]:
    """What the service model would not have. `strict`: lengths and patterns too, as for requests."""
    if getattr(shape, "is_document_type", False):
        return
    match shape.type_name:
        case "structure":
            if not isinstance(value, dict):
                yield f"{at}: not an object"
                return
            yield from _members(shape, value, at, strict=strict)
        case "list":
            if not isinstance(value, list):
                yield f"{at}: not a list"
                return
            for i, item in enumerate(value):
                yield from nonconforming(shape.member, item, f"{at}[{i}]", strict=strict)
        case "map":
            if not isinstance(value, dict) or any(not isinstance(item, str) for item in value.values()):
                yield f"{at}: not a map of strings"
        case "blob":
            yield from _blob(value, at)
        case "string":
            yield from _string(shape, value, at, strict=strict)
        case "boolean" if not isinstance(value, bool):
            yield f"{at}: {value!r} is no boolean"
        case "integer" | "long" if isinstance(value, bool) or not isinstance(value, int):
            yield f"{at}: {value!r} is no integer"
        case "float" if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{at}: {value!r} is no number"
    if strict and shape.type_name in ("integer", "float") and isinstance(value, int | float):
        least, most = shape.metadata.get("min", value), shape.metadata.get("max", value)
        if not least <= value <= most:
            yield f"{at}: {value} is out of range"


def _members(shape: Shape, value: JsonObject, at: str, *, strict: bool) -> Iterator[str]:
    if getattr(shape, "is_tagged_union", False) and len(value) != 1:
        yield f"{at}: a union with {sorted(value)}"
    for key in value:
        if key not in shape.members:
            yield f"{at}.{key}".lstrip(".") + ": not in the service model"
        else:
            yield from nonconforming(shape.members[key], value[key], f"{at}.{key}".lstrip("."), strict=strict)
    for key in shape.required_members:
        if key not in value and key != "modelId":
            yield f"{at}: {key} is missing"


def _blob(value: JsonValue, at: str) -> Iterator[str]:
    try:
        base64.b64decode(value if isinstance(value, str) else "!", validate=True)
    except (binascii.Error, ValueError):
        yield f"{at}: no base64"


def _string(shape: Shape, value: JsonValue, at: str, *, strict: bool) -> Iterator[str]:
    if not isinstance(value, str):
        yield f"{at}: {value!r} is no string"
        return
    if shape.enum and value not in shape.enum:
        yield f"{at}: {value!r} is none of {shape.enum}"
    if not strict:
        return
    if not shape.metadata.get("min", 0) <= len(value) <= shape.metadata.get("max", len(value)):
        yield f"{at}: of {len(value)} characters"
    elif (pattern := shape.metadata.get("pattern")) and not re.fullmatch(pattern, value):
        yield f"{at}: {value[:60]!r} does not match {pattern}"


def request(body: JsonObject) -> list[str]:
    return list(nonconforming(operation("Converse").input_shape, body))


def answer(body: JsonValue) -> list[str]:
    return list(nonconforming(operation("Converse").output_shape, body, strict=False))


def stream_shapes(events: list[tuple[bytes, bytes]]) -> list[str]:
    """Each event against its shape. Exception frames end a failed stream; what the model has no event for, SDKs skip."""
    shapes = operation("ConverseStream").output_shape.members["stream"].members
    findings: list[str] = []
    for number, (name, data) in enumerate(events):
        word = name.decode().removeprefix("!")
        if word not in shapes:
            findings.append(f"event {number}: no event {word!r}")
            continue
        found = nonconforming(shapes[word], wire_json.decode(data), strict=False)
        findings += [f"event {number} ({word}): {sentence}" for sentence in found][:3]
    return findings


class _Raw:
    def __init__(self, wire: bytes) -> None:
        self.wire = wire

    def stream(self) -> Iterator[bytes]:
        for at in range(0, len(self.wire), 1000):
            yield self.wire[at : at + 1000]


def read_stream(wire: bytes) -> Iterator[JsonObject]:
    """The events as a boto3 caller gets them. Raises EventStreamError for an exception frame."""
    shape = operation("ConverseStream").output_shape.members["stream"]
    yield from EventStream(_Raw(wire), shape, EventStreamJSONParser(), "ConverseStream")


def read_error(status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> tuple[str, int, str]:
    """(code, status, message) of the ClientError that botocore would raise."""
    answered = {"status_code": status, "headers": {name.lower(): value for name, value in headers}, "body": body}
    parsed = create_parser("rest-json").parse(answered, operation("Converse").output_shape)
    error = parsed["Error"]
    return error.get("Code", ""), parsed["ResponseMetadata"]["HTTPStatusCode"], error.get("Message", "")
