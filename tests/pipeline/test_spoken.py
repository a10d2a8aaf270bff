"""How much of an answer was told, where nobody said: near enough for a bill, and never nothing."""

import json

import pytest
from tests.plays.scene import DIALECTS, frames

from gatewright.dialects import BY_NAME
from gatewright.ir.events import ArgumentsDelta, BlockStop, ReasoningDelta, TextDelta
from gatewright.pipeline.spoken import ENVELOPE, said, tokens, tokens_passed


def test_text_thoughts_and_arguments_are_what_a_model_writes():
    """All else of a stream is its framing."""
    events = [TextDelta(0, "four"), ReasoningDelta(0, "six"), ArgumentsDelta(1, '{"a":1}'), BlockStop(0)]
    assert said(events) == 4 + 3 + 7


def test_a_single_character_is_a_token():
    """Nothing is nothing."""
    assert [tokens(n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_passed_is_reckoned_by_a_sample_of_it(dialect):
    """A hundred events of eight letters each are about two hundred tokens, however much framing they have."""
    _, content, _ = frames(dialect, "letters ")
    event = content.split(b"\n\n")[-2] + b"\n\n"  # the last: what comes again and again
    found = tokens_passed(100 * len(event), event, BY_NAME[dialect])
    assert 100 <= found <= 400


@pytest.mark.parametrize(
    "sample", [b"data: {half of an eve", b": a comment\n\n", b"\xff\xfe", b"data: " + json.dumps({}).encode() + b"\n\n"]
)
def test_a_sample_that_says_nothing_leaves_a_guess(sample):
    """It never raises, and is never 0."""
    assert tokens_passed(10 * ENVELOPE, sample, BY_NAME["openai_chat"]) == 10
    assert tokens_passed(5, sample, BY_NAME["openai_chat"]) == 1


def test_where_nothing_has_passed_nothing_was_told():
    """A stream that broke before its first event."""
    assert tokens_passed(0, b"", BY_NAME["openai_chat"]) == 0
