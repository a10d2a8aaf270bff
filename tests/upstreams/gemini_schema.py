"""Which schemas Gemini takes in `parameters` and `responseSchema`: its own OpenAPI subset, not JSON Schema.

One rule: an unknown keyword is an unknown protocol-buffer field, and refused as one.
https://ai.google.dev/api/caching#Schema
"""

from collections.abc import Callable, Iterator

from tests.upstreams.answers import words

KEYS = words(
    "type format title description nullable enum maxItems minItems properties required minProperties maxProperties minLength maxLength pattern example anyOf"
    " propertyOrdering default items minimum maximum"
)
TYPES = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL", "TYPE_UNSPECIFIED")


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def unknown(schema: object, at: str) -> Iterator[tuple[str, str]]:
    """(path, sentence) of each thing that does not parse."""
    if not isinstance(schema, dict):
        yield at, f"Invalid value at '{at}' (type.googleapis.com/google.ai.generativelanguage.v1beta.Schema), {schema!r}"
        return
    for key in schema:
        if camel(key) not in KEYS:
            yield at, f"Invalid JSON payload received. Unknown name \"{key}\" at '{at}': Cannot find field."
    if isinstance(schema.get("type"), list):
        yield (
            at,
            f"Invalid JSON payload received. Unknown name \"type\" at '{at}': Proto field is not repeating, cannot start list.",
        )
    elif "type" in schema and str(schema["type"]).upper() not in TYPES:
        yield (
            f"{at}.type",
            f"Invalid value at '{at}.type' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type), \"{schema['type']}\"",
        )
    for index, value in enumerate(schema.get("enum") or ()):
        if not isinstance(value, str):
            yield f"{at}.enum[{index}]", f"Invalid value at '{at}.enum[{index}]' (TYPE_STRING), {value}"
    for index, part in enumerate((schema.get("properties") or {}).values()):
        yield from unknown(part, f"{at}.properties[{index}].value")
    if "items" in schema:
        yield from unknown(schema["items"], f"{at}.items")
    for index, part in enumerate(schema.get("anyOf") or schema.get("any_of") or ()):
        yield from unknown(part, f"{at}.any_of[{index}]")


def sound(schema: dict, at: str, refuse: Callable[[str], Exception]) -> None:
    """Raise for what parses and yet makes no sense to Gemini."""
    kind = str(schema.get("type", "")).upper()
    if kind == "ARRAY" and "items" not in schema:
        raise refuse(f"* GenerateContentRequest.{at}.items: missing field.\n")
    if schema.get("enum") and kind not in {"STRING", ""}:
        raise refuse(f"* GenerateContentRequest.{at}.enum: only allowed for STRING type\n")
    if "" in (schema.get("enum") or ()):
        raise refuse(f"* GenerateContentRequest.{at}.enum[0]: cannot be empty\n")
    if kind == "STRING" and schema.get("format") not in {None, "enum", "date-time"}:
        raise refuse(f"* GenerateContentRequest.{at}.format: only 'enum' and 'date-time' are supported for STRING type\n")
    for index, name in enumerate(schema.get("required") or ()):
        if name not in (schema.get("properties") or {}):
            raise refuse(f"* GenerateContentRequest.{at}.required[{index}]: property is not defined\n")
    for name, part in (schema.get("properties") or {}).items():
        sound(part, f"{at}.properties[{name}]", refuse)
    if isinstance(schema.get("items"), dict):
        sound(schema["items"], f"{at}.items", refuse)
    for index, part in enumerate(schema.get("anyOf") or ()):
        sound(part, f"{at}.any_of[{index}]", refuse)
