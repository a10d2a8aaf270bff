"""Values made for JSON Schemas: valid, and the same each time."""

import re

import pytest

from gatewright.transport.demo.example import MAX_DEPTH, Example


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "demo"),
        ({"type": "string", "enum": ["celsius", "kelvin"]}, "celsius"),
        ({"const": 7}, 7),
        ({"type": "integer", "default": 3}, 3),
        ({"type": "string", "examples": ["Paris"]}, "Paris"),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "integer", "exclusiveMinimum": 5}, 6),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "number", "exclusiveMinimum": 1}, 1.5),
        ({"type": "number", "exclusiveMaximum": 0}, -0.5),
        ({"type": "integer", "multipleOf": 7, "minimum": 10}, 14),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "STRING"}, "demo"),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"type": "string", "minLength": 6}, "demo.."),
        ({"type": "string", "maxLength": 2}, "de"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True}, ["demo", "demo-2", "demo-3"]),
        ({"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "uniqueItems": True}, ["a", "b"]),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False}, ["demo", 1]),
        ({"type": "array", "maxItems": 0}, []),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"oneOf": [{"$ref": "#/$defs/A"}], "$defs": {"A": {"const": "a"}}}, "a"),
        ({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["b"]}, {"b": 1}),
        ({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}, {"a": "demo"}),
        ({"properties": {"x": {"type": "integer"}}, "required": ["x", "y"]}, {"x": 1, "y": "demo"}),
        (
            {
                "allOf": [
                    {"properties": {"a": {"const": 1}}, "required": ["a"]},
                    {"properties": {"b": {"const": 2}}, "required": ["b"]},
                ]
            },
            {"a": 1, "b": 2},
        ),
        ({"$ref": "#/definitions/x~1y", "definitions": {"x/y": {"type": "integer", "minimum": 9}}}, 9),
        ({"$ref": "#/$defs/nowhere"}, "demo"),
        ({"type": "string", "pattern": "("}, "demo"),
        ({}, "demo"),
    ],
)
def test_the_value_is_valid_and_has_no_more_than_it_must(schema, value):
    """Tools are called with arguments that their own validators accept."""
    assert Example(schema).value() == value


@pytest.mark.parametrize(
    "pattern", [r"^\d{4}-\d{2}-\d{2}$", r"^[A-Z]{2,3}$", r"^#[0-9a-f]{6}$", r"^\d+$", r"^[a-z]+$", r"^https?://"]
)
def test_common_patterns_are_met(pattern):
    """Dates, codes, colours, numbers."""
    assert re.search(pattern, Example({"type": "string", "pattern": pattern}).value())


def test_recursive_schemas_end():
    """A tree's node holds nodes; making one must stop where it may."""
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["name", "children"],
    }
    value, depth = Example(schema).value(), 0
    while value["children"]:
        assert value["name"] == "demo"
        value, depth = value["children"][0], depth + 1
    assert 0 < depth <= MAX_DEPTH


def test_schemas_that_only_point_at_themselves_end():
    """Nonsense in, something out."""
    assert Example({"$ref": "#"}).value() == "demo"
    assert Example({"allOf": [{"$ref": "#"}]}).value() == "demo"
    Example({"anyOf": [{"$ref": "#"}]}).value()


def test_free_text_says_the_word_that_was_given():
    """The prompt's own words stand in the arguments, where the schema leaves them free."""
    assert Example({"properties": {"city": {"type": "string"}}, "required": ["city"]}, "Paris").value() == {"city": "Paris"}
