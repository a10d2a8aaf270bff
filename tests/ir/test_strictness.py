"""Strict is OpenAI's word: what others call strict is checked before OpenAI is told."""

import pytest

from gatewright.ir.loss import Losses
from gatewright.ir.strictness import flaw, strict_or_loss
from gatewright.jsontypes import JsonObject

CLOSED: JsonObject = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (CLOSED, ""),
        ({**CLOSED, "additionalProperties": True}, "the schema is open"),
        ({**CLOSED, "required": []}, "optional properties (a)"),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": {"type": "object"}}}}, "a is open"),
        ({**CLOSED, "$defs": {"d": {"type": "object", "properties": {}}}}, "d is open"),
        ({**CLOSED, "properties": {"a": {"anyOf": [{"type": "null"}, {"type": "object"}]}}}, "a is open"),
        ({"oneOf": [CLOSED]}, "oneOf"),
    ],
)
def test_a_schema_that_openai_refuses_has_its_flaw_named(schema: JsonObject, says: str) -> None:
    """The place is told, so that a client can mend it."""
    assert says in flaw(schema)
    assert bool(flaw(schema)) is bool(says)


def test_a_flawed_schema_is_sent_as_not_strict_and_told_as_a_loss() -> None:
    """A request that one provider takes is not refused by another for a promise it did not make."""
    losses = Losses("openai_chat")
    assert strict_or_loss({"type": "object"}, "tools[0]", losses, strict=True) is False
    assert [loss.path for loss in losses.done()] == ["tools[0].strict"]


@pytest.mark.parametrize("strict", [None, False, True])
def test_a_sound_schema_keeps_its_word(strict: bool | None) -> None:
    """Nothing is lost where nothing is wrong."""
    losses = Losses("openai_chat")
    assert strict_or_loss(CLOSED, "tools[0]", losses, strict=strict) is strict
    assert losses.done() == ()
