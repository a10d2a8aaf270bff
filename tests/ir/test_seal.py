"""Packed seals: opaque words that any client can carry."""

import base64
import json

import pytest

from gatewright.ir.seal import IN_MARKS, MARK, MARK_64, Seal, carry, open_seal, pack, readable, unpack

SEALS = [
    Seal(dialect="anthropic", data="EqQB"),
    Seal(dialect="gemini", data="", issuer="é", ref="rs_1", kind="redacted_thinking"),
]


@pytest.mark.parametrize("seal", SEALS)
def test_a_seal_comes_back_as_it_went(seal):
    assert unpack(pack(seal)) == seal


@pytest.mark.parametrize("seal", SEALS)
def test_every_packed_seal_begins_with_the_mark(seal):
    """Bodies are searched for it: a packed seal without it would pass to a provider that cannot read it."""
    word = pack(seal)
    assert json.dumps(word).encode().startswith(MARK)
    assert json.dumps(base64.b64encode(word.encode()).decode()).encode().startswith(MARK_64)


@pytest.mark.parametrize("word", ["", "EqQB", "gw1.", "gw1.!!", "gw1.e30", "gw1." + "A" * 5_000_000])
def test_what_is_no_packed_seal_is_raw(word):
    """Also when it is damaged or too large: then it belongs to the dialect it came in."""
    assert unpack(word) is None
    assert open_seal(word, "anthropic").data == word


def test_a_client_carries_its_own_dialects_seals_raw():
    seal = SEALS[0]
    assert carry(seal, "anthropic") == "EqQB"
    assert unpack(carry(seal, "openai_chat")) == seal


def test_only_the_issuer_reads_what_it_sealed():
    """A raw seal's issuer is unknown: it is given the benefit of the doubt."""
    assert readable(Seal(dialect="gemini", data="x"), "gemini", "google")
    assert readable(Seal(dialect="gemini", data="x", issuer="google"), "gemini", "google")
    assert not readable(Seal(dialect="gemini", data="x", issuer="other"), "gemini", "google")
    assert not readable(Seal(dialect="gemini", data="x"), "anthropic", "google")


def test_one_byte_tells_most_bodies_without_a_seal():
    """Both marks have it, or a foreign seal would pass to whom it is not for."""
    assert IN_MARKS in MARK
    assert IN_MARKS in MARK_64
