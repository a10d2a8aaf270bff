"""Estimates: near the truth for limits, above it for money, whatever is within the body."""

import base64
import json
import os

import pytest

from gatewright.dialects import BY_NAME
from gatewright.exchange import Exchange, Narrowed
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.pipeline.estimate import (
    KNOWN_OUTPUT,
    MEDIA_MONEY_TOKENS,
    MEDIA_TOKENS,
    OUTPUT,
    input_tokens,
    may_be_dear,
    model_asked,
    most_input_tokens,
    output_tokens,
)
from gatewright.wire.http import Call


def asking(body: dict, **more) -> Exchange:
    call = Call(path="/v1/chat/completions", body=json.dumps(body).encode(), notes={})
    exchange = Exchange(
        request_id="r", dialect="openai_chat", operation=more.pop("operation", "generate"), method="POST", call=call, started=0.0
    )
    for name, value in more.items():
        setattr(exchange, name, value)
    return exchange


def candidate(max_tokens: int) -> Candidate:
    endpoint = Endpoint(
        name="p",
        dialects=("openai_chat",),
        transports={"openai_chat": None},
        base_paths={"openai_chat": ""},
        auth={"openai_chat": "bearer"},
        secret="s",
    )
    return Candidate(endpoint, "m", max_tokens=max_tokens)


TEXT = ("All happy families are alike; each unhappy family is unhappy in its own way. " * 500).encode()


def test_text_is_taken_at_four_bytes_a_token_and_at_two_for_money():
    """English has about 4.5; what has fewer than two is hardly text."""
    assert len(TEXT) // 5 < input_tokens(TEXT, "openai_chat") < len(TEXT) // 3
    assert len(TEXT) // 2 <= most_input_tokens(TEXT, "openai_chat") < len(TEXT) // 2 + 10


@pytest.mark.parametrize("size", [40_000, 3_000_000])
def test_an_image_within_is_not_taken_for_text(size):
    """A megabyte of base64 would be a quarter of a million tokens."""
    image = base64.b64encode(os.urandom(size)).decode()
    body = json.dumps({"messages": [{"content": [{"image_url": {"url": f"data:image/png;base64,{image}"}}]}]}).encode()
    assert MEDIA_TOKENS <= input_tokens(body, "openai_chat") < MEDIA_TOKENS + 100
    assert MEDIA_MONEY_TOKENS <= most_input_tokens(body, "openai_chat") < max(4 * MEDIA_MONEY_TOKENS, size // 30)


def test_an_image_that_is_only_named_costs_money_all_the_same():
    """Its bytes are the provider's to fetch; a small body may be a dear request."""
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    assert most_input_tokens(json.dumps({"messages": [{"content": [image]}]}).encode(), "openai_chat") > MEDIA_MONEY_TOKENS
    file = {"fileData": {"fileUri": "gs://bucket/a.pdf"}}
    assert most_input_tokens(json.dumps({"contents": [{"parts": [file]}]}).encode(), "gemini") > MEDIA_MONEY_TOKENS


@pytest.mark.parametrize(
    ("body", "known", "expected"),
    [
        ({"max_tokens": 7}, 0, (7, True)),
        ({"max_tokens": 10**12}, 0, (10_000_000, True)),
        ({"max_tokens": -5}, 0, (OUTPUT, False)),
        ({}, 0, (OUTPUT, False)),
        ({}, 500, (500, True)),
        ({}, KNOWN_OUTPUT, (KNOWN_OUTPUT, True)),
        ({}, KNOWN_OUTPUT + 1, (OUTPUT, False)),
    ],
)
def test_the_longest_answer_is_what_was_asked_for_else_what_the_model_gives_else_a_guess(body, known, expected):
    """And whether it is more than a guess is known, so that only guesses are watched."""
    exchange = asking({"model": "m", **body}, plan=(candidate(known),))
    BY_NAME["openai_chat"].peek(exchange.call)
    assert output_tokens(exchange, BY_NAME) == expected


def test_a_key_that_may_have_less_reserves_less():
    """Its answer cannot be longer."""
    exchange = asking({"model": "m", "max_tokens": 900}, narrowed=Narrowed({}, 50))
    BY_NAME["openai_chat"].peek(exchange.call)
    assert output_tokens(exchange, BY_NAME) == (50, True)


def test_each_of_several_answers_is_reserved_for():
    """Whoever says how long each may be: the client, the key, the model or nobody."""
    for body, answers in (({}, 1), ({"n": 3}, 3), ({"n": None}, 1), ({"n": "3"}, 1), ({"n": -3}, 1)):
        for most, each in (({}, OUTPUT), ({"max_tokens": 50}, 50)):
            assert output_tokens(asking(body | most), BY_NAME)[0] == each * answers
        assert output_tokens(asking(body, plan=(candidate(900),)), BY_NAME) == (900 * answers, True)
        assert output_tokens(asking(body, narrowed=Narrowed({}, 10)), BY_NAME) == (10 * answers, True)
    for word in ("candidateCount", "candidate_count"):
        call = Call(path="/v1beta/models/m:generateContent", body=json.dumps({"generationConfig": {word: 4}}).encode(), notes={})
        exchange = asking({})
        exchange.dialect, exchange.call = "gemini", call
        BY_NAME["gemini"].peek(call)
        assert output_tokens(exchange, BY_NAME) == (4 * OUTPUT, False)


def test_of_a_forwarded_call_the_model_is_read_from_its_body():
    """Limits by model are older than its route."""
    assert model_asked(asking({"model": "e", "input": "x"}, operation="forward")) == "e"
    assert model_asked(asking({"model": "e"}, model="m")) == "m"


@pytest.mark.parametrize(
    "body",
    [
        b'{"service_tier": "flex"}',
        b'{"serviceTier": "flex"}',
        b'{"modalities": ["text"]}',
        b'{"responseModalities": ["TEXT"]}',
        b'{"speed": "fast"}',
        b'{"audio": {}}',
        b'{"type": "input_audio"}',
        b'{"type": "image_url"}',
        b'{"x": "inputAudio"}',
    ],
)
def test_who_may_ask_for_what_costs_more(body):
    """Sound, pictures, and to be served faster."""
    assert may_be_dear(body)
    assert not may_be_dear(b'{"messages": "a service of the tier list, at full speed"}')
