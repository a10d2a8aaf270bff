"""Schemas: Google's OpenAPI subset → JSON Schema, and JSON Schema → the keywords Gemini documents.

One rule: what cannot be kept is put into the description where a model can still read it, and always told as a loss.
https://ai.google.dev/api/generate-content#FIELDS.response_json_schema  https://ai.google.dev/api/caching#Schema
"""

from gatewright.ir.loss import Losses, is_void, join
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode

TYPE_NUMBER: dict[int, str] = {1: "string", 2: "number", 3: "integer", 4: "boolean", 5: "array", 6: "object", 7: "null"}
"""Vertex may spell enums as integers."""
_COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_RENAMED = {"any_of": "anyOf", "property_ordering": "propertyOrdering", "additional_properties": "additionalProperties"} | {
    "min_items": "minItems",
    "max_items": "maxItems",
    "min_length": "minLength",
    "max_length": "maxLength",
    "min_properties": "minProperties",
    "max_properties": "maxProperties",
}


def to_json_schema(schema: JsonValue) -> JsonValue:
    """Google's `Schema` in JSON Schema's words: lower-case types, `nullable` as a type, counts as numbers. The rest stays."""
    if not isinstance(schema, dict):
        return schema
    out: JsonObject = {}
    for spelt, value in schema.items():
        key = _RENAMED.get(spelt, spelt)
        match key:
            case "type":
                out[key] = _type(value)
            case "items" | "additionalProperties":
                out[key] = to_json_schema(value)
            case "properties" | "defs" | "$defs":
                out[key] = {k: to_json_schema(v) for k, v in value.items()} if isinstance(value, dict) else value
            case "anyOf" | "prefixItems":
                out[key] = [to_json_schema(item) for item in value] if isinstance(value, list) else value
            case _ if key in _COUNTS and isinstance(value, str) and value.isdecimal():
                out[key] = int(value)
            case _:
                out[key] = value
    if out.get("nullable") is True and isinstance(out.get("type"), str):
        del out["nullable"]
        out["type"] = [out["type"], "null"]
    return out


def _type(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, int) and not isinstance(value, bool):
        return TYPE_NUMBER.get(value, value)
    return [_type(item) for item in value] if isinstance(value, list) else value


_KEPT = frozenset(
    {"$id", "$anchor", "$ref", "type", "format", "title", "description", "enum", "minItems", "maxItems"}
) | frozenset({"minimum", "maximum", "required", "propertyOrdering"})
"""Keywords that Gemini documents for `responseJsonSchema` and `parametersJsonSchema` and that hold no schema."""
_SILENT = frozenset({"$schema", "$comment", "examples", "example", "deprecated", "readOnly", "writeOnly", "default"})
"""Keywords that constrain nothing: a hint, when they go."""


class SchemaFilter:
    """Rewrites one JSON Schema for Gemini, telling each keyword that it had to leave out."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses

    def rewrite(self, schema: JsonObject, at: str) -> JsonObject:
        out: JsonObject = {}
        untold: list[str] = []
        for key, value in schema.items():
            where = join(at, key)
            if key in _KEPT:
                out[key] = value
                continue
            match key:
                case "items" | "additionalProperties":
                    out[key] = self._sub(value, where)
                case "properties" | "$defs" | "definitions":
                    name = "$defs" if key == "definitions" else key
                    out[name] = {k: self._sub(v, f"{where}.{k}") for k, v in value.items()} if isinstance(value, dict) else value
                case "anyOf" | "oneOf" | "prefixItems":
                    out[key] = [self._sub(v, f"{where}[{i}]") for i, v in enumerate(value)] if isinstance(value, list) else value
                case "const" if isinstance(value, str | int | float) and not isinstance(value, bool):
                    out["enum"] = [value]
                case "allOf" if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
                    for inner, told in self.rewrite(value[0], f"{where}[0]").items():
                        out.setdefault(inner, told)
                case "nullable" if value is True and isinstance(schema.get("type"), str):
                    out["type"] = [schema["type"], "null"]
                case _ if is_void(value):
                    pass
                case _ if key in _SILENT:
                    self._losses.hint(where, "gemini does not document this schema keyword", value)
                case _:
                    untold.append(f"{key}: {encode(value).decode()}")
                    self._losses.approximated(where, "gemini does not know this schema keyword: told in the description", value)
        if isinstance(reference := out.get("$ref"), str):
            out["$ref"] = reference.replace("#/definitions/", "#/$defs/")
            # Beside $ref only $-keywords may stand; a description there is common and says nothing that constrains.
            for key in [key for key in out if not key.startswith("$")]:
                self._losses.hint(join(at, key), "gemini allows nothing beside $ref", out.pop(key))
            return out
        if untold:
            told = out.get("description")
            out["description"] = f"{told} ({'; '.join(untold)})" if isinstance(told, str) and told else "; ".join(untold)
        return out

    def _sub(self, value: JsonValue, at: str) -> JsonValue:
        return self.rewrite(value, at) if isinstance(value, dict) else value
