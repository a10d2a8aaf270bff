"""A value that is valid against a JSON Schema, made up without chance.

One rule: what the schema demands is there, and little else. What cannot be satisfied (a pattern nobody thought of) is given as
near as possible; a schema that contains itself ends where it may.
https://json-schema.org/draft/2020-12
"""

import re
from collections.abc import Sequence
from typing import cast

from gatewright.jsontypes import JsonObject, JsonValue

FREE_TEXT = "demo"

FORMATS: dict[str, str] = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "demo@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/demo",
    "url": "https://example.com/demo",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

CANDIDATES: tuple[str, ...] = (
    *("demo", "Demo", "DEMO", "d", "D", "demo-1", "demo_1", "D1", "DE", "A-1", "ABC-123", "ABC123", "/demo", "#123456"),
    *("1", "12", "123", "1234", "12345", "1.0", "1.0.0", "12.34", "12:00", "+1234567890", "555-1234", "555-123-4567"),
    *FORMATS.values(),
)
"""Tried against a `pattern`, in this order."""

PLACES = frozenset({"city", "location", "place", "country", "region", "topic", "timezone", "zone"})
"""Properties that may hold the prompt's own words. No others: an argument may be a command, a path or a query, and an agent may
run it unasked."""

MAX_DEPTH = 24
"""Deeper than any schema that a person wrote; a recursive one ends here."""


class Example:
    """Makes values for one schema document. `word` is what a place or a topic is called; all other free text is `demo`."""

    def __init__(self, root: JsonObject, word: str = FREE_TEXT) -> None:
        self.root = root
        self.word = word

    def value(self, schema: JsonValue = None, depth: int = 0, name: str = "") -> JsonValue:
        """A value for `schema` (the root, when None), which is the property `name`'s."""
        schema = self._resolved(self.root if schema is None else schema)
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        for key in ("enum", "examples"):
            choices = schema.get(key)
            if isinstance(choices, list) and choices:
                return choices[0]
        for key in ("anyOf", "oneOf"):
            choices = schema.get(key)
            if isinstance(choices, list) and choices:
                if depth > MAX_DEPTH:
                    return None
                rest = {name: inner for name, inner in schema.items() if name != key}
                return self.value(_merged([rest, self._best(choices)]), depth + 1, name)
        match _type_of(schema):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema, self.word if name.lower() in PLACES else FREE_TEXT)
            case "integer":
                return self._integer(schema)
            case "number":
                return self._number(schema)
            case "boolean":
                return True
            case _:
                return None

    def _resolved(self, schema: JsonValue, hops: int = 0) -> JsonObject:
        """The schema with its reference followed and its `allOf` merged."""
        if not isinstance(schema, dict):
            return {}
        reference = schema.get("$ref")
        if isinstance(reference, str) and hops < MAX_DEPTH:
            beside = {name: inner for name, inner in schema.items() if name != "$ref"}
            return _merged([self._resolved(self._at(reference), hops + 1), beside])
        parts = schema.get("allOf")
        if isinstance(parts, list) and hops < MAX_DEPTH:
            beside = {name: inner for name, inner in schema.items() if name != "allOf"}
            return _merged([beside, *(self._resolved(part, hops + 1) for part in parts)])
        return schema

    def _at(self, reference: str) -> JsonValue:
        """What `#/$defs/Name` points at; {} (anything) when it points nowhere."""
        found: JsonValue = self.root
        for step in reference.removeprefix("#").strip("/").split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if name and isinstance(found, dict):
                found = found.get(name, {})
        return found

    def _best(self, choices: list[JsonValue]) -> JsonObject:
        """The first choice that is not null."""
        resolved = [self._resolved(choice) for choice in choices]
        return next((choice for choice in resolved if _type_of(choice) != "null"), resolved[0])

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        fields = schema.get("properties")
        properties = fields if isinstance(fields, dict) else {}
        required = schema.get("required")
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        if not names and depth == 0:
            names = list(properties)[:1]
        if depth >= MAX_DEPTH:
            return {}
        return {name: self.value(properties.get(name, {}), depth + 1, name) for name in names}

    def _array(self, schema: JsonObject, depth: int) -> list[JsonValue]:
        prefix = schema.get("prefixItems")
        values = [self.value(item, depth + 1) for item in prefix] if isinstance(prefix, list) and depth < MAX_DEPTH else []
        least = _integer_of(schema.get("minItems"))
        wanted = max(least, 0 if depth >= MAX_DEPTH // 2 or schema.get("maxItems") == 0 else 1)
        items = schema.get("items")
        while len(values) < wanted and depth < MAX_DEPTH and items is not False:
            values.append(self._distinct(self.value(items if items is not None else {}, depth + 1), len(values), schema))
        return values

    def _distinct(self, value: JsonValue, index: int, schema: JsonObject) -> JsonValue:
        """Where items must differ, later ones do; of a list of choices each gives another."""
        if not index or schema.get("uniqueItems") is not True:
            return value
        choices = self._resolved(schema.get("items")).get("enum")
        if isinstance(choices, list) and index < len(choices):
            return choices[index]
        if isinstance(value, str):
            return f"{value}-{index + 1}"
        return value + index if isinstance(value, int | float) and not isinstance(value, bool) else value

    def _string(self, schema: JsonObject, word: str) -> str:
        pattern = schema.get("pattern")
        if isinstance(pattern, str):
            return _matching(pattern, (word, *CANDIDATES))
        text = FORMATS.get(str(schema.get("format")), word)
        least, most = _integer_of(schema.get("minLength")), schema.get("maxLength")
        text = text.ljust(least, ".")
        return text[: _integer_of(most)] if most is not None else text

    def _integer(self, schema: JsonObject) -> int:
        return int(self._number(schema, whole=True))

    def _number(self, schema: JsonObject, *, whole: bool = False) -> int | float:
        step = _number_of(schema.get("multipleOf"))
        low = _number_of(schema.get("minimum"))
        high = _number_of(schema.get("maximum"))
        above, below = _number_of(schema.get("exclusiveMinimum")), _number_of(schema.get("exclusiveMaximum"))
        grain = step or (1 if whole else 0.5)
        value: float = 1
        if low is not None:
            value = max(value, low)
        if above is not None and value <= above:
            value = above + grain
        if high is not None:
            value = min(value, high)
        if below is not None and value >= below:
            value = below - grain
        if step:
            value = -(-value // step) * step
            if (high is not None and value > high) or (below is not None and value >= below):
                value -= step
        if whole:
            value = -(-value // 1)
        return int(value) if value == int(value) else value


def _merged(parts: Sequence[JsonObject]) -> JsonObject:
    """One schema that demands what each part demands: properties and required names together, else the later word."""
    merged: JsonObject = {}
    for part in parts:
        for name, inner in part.items():
            before = merged.get(name)
            if name == "properties" and isinstance(before, dict) and isinstance(inner, dict):
                merged[name] = {**before, **inner}
            elif name == "required" and isinstance(before, list) and isinstance(inner, list):
                merged[name] = list(dict.fromkeys(cast("list[str]", [*before, *inner])))
            else:
                merged[name] = inner
    return merged


def _type_of(schema: JsonObject) -> str:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        kinds = next((kind for kind in kinds if kind != "null"), "null")
    if isinstance(kinds, str):
        return kinds.lower()  # Gemini's own schemas say STRING
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "string"


def _matching(pattern: str, candidates: Sequence[str]) -> str:
    """The first candidate that the pattern accepts; the first of all when none does or the pattern is none."""
    try:
        compiled = re.compile(pattern)
    except re.error:
        return candidates[0]
    return next((text for text in candidates if compiled.search(text)), candidates[0])


def _integer_of(value: JsonValue) -> int:
    return max(0, int(value)) if isinstance(value, int | float) else 0


def _number_of(value: JsonValue) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
