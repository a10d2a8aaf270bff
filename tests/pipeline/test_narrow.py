"""What a key asks for beside its requests: defaults for what is unsaid, and the longest answer."""

import json

import pytest
from tests.plays.scene import asking, path_of

from gatewright.dialects import BY_NAME
from gatewright.exchange import Exchange, Principal
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.pipeline.estimate import output_tokens
from gatewright.pipeline.narrow import narrow
from gatewright.pipeline.translate import prepare
from gatewright.wire.http import Call

DIALECTS = ("openai_chat", "openai_responses", "anthropic", "gemini")


def exchange_of(dialect: str, principal: Principal, **more) -> Exchange:
    call = Call(path=path_of(dialect, "m"), body=json.dumps(asking(dialect, "m") | more).encode(), notes={})
    exchange = Exchange(request_id="r", dialect=dialect, operation="generate", method="POST", call=call, started=0.0)
    BY_NAME[dialect].peek(call)
    exchange.model, exchange.principal = "m", principal
    narrow(exchange, principal, BY_NAME)
    return exchange


def sent(exchange: Exchange, upstream: str, **candidate):
    endpoint = Endpoint(
        name="p",
        dialects=(upstream,),
        transports={upstream: None},
        base_paths={upstream: ""},
        auth={upstream: "bearer"},
        secret="s",
    )
    prepared = prepare(exchange, Candidate(endpoint, "m", **candidate), BY_NAME)
    return prepared, json.loads(prepared.body)


def asked_of(dialect: str, body: dict) -> int | None:
    match dialect:
        case "openai_chat":
            return body.get("max_completion_tokens") or body.get("max_tokens")
        case "openai_responses":
            return body.get("max_output_tokens")
        case "anthropic":
            return body.get("max_tokens")
        case _:
            return body.get("generationConfig", {}).get("maxOutputTokens")


def saying(dialect: str, tokens: int) -> dict:
    match dialect:
        case "openai_chat" | "anthropic":
            return {"max_tokens": tokens}
        case "openai_responses":
            return {"max_output_tokens": tokens}
        case _:
            return {"generationConfig": {"maxOutputTokens": tokens}}


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("upstream", DIALECTS)
def test_no_key_gets_a_longer_answer_than_it_may_ask_for(client, upstream):
    """Where more was asked for it is lowered and told; where nothing was, it is set."""
    principal = Principal("k", max_tokens=50)
    prepared, body = sent(exchange_of(client, principal, **saying(client, 900)), upstream)
    assert asked_of(upstream, body) == 50
    assert [(loss.why, loss.weight) for loss in prepared.losses if "this key" in loss.why] == [
        ("this key may ask for at most 50 tokens", "hint")
    ]
    if client != "anthropic":  # it always says
        _, body = sent(exchange_of(client, principal), upstream)
        assert asked_of(upstream, body) == 50


@pytest.mark.parametrize("client", DIALECTS)
def test_a_request_that_stays_below_passes_as_it_is(client):
    """Its bytes are not touched."""
    exchange = exchange_of(client, Principal("k", max_tokens=500), **saying(client, 400))
    prepared, _ = sent(exchange, client)
    assert exchange.narrowed is None
    assert prepared.passing


def test_a_routes_own_parameters_do_not_lift_the_cap():
    """An operator's overrides are for all keys; the cap is for this one."""
    exchange = exchange_of("openai_chat", Principal("k", max_tokens=50))
    _, body = sent(exchange, "anthropic", overrides={"max_tokens": 9000})
    assert body["max_tokens"] == 50


@pytest.mark.parametrize("upstream", DIALECTS)
def test_defaults_fill_in_what_is_unsaid_and_nothing_else(upstream):
    """By neutral names, for every dialect; the key's before the route's."""
    principal = Principal("k", defaults={"temperature": 0.25, "max_tokens": 70})
    exchange = exchange_of("openai_chat", principal, max_tokens=60)
    _, body = sent(exchange, upstream, defaults={"temperature": 0.75})
    where = body["generationConfig"] if upstream == "gemini" else body
    assert where["temperature"] == 0.25
    assert asked_of(upstream, body) == 60


@pytest.mark.parametrize("upstream", ["openai_chat", "anthropic"])
@pytest.mark.parametrize("today", [None, 5, 1000, -1, 0])
@pytest.mark.parametrize("older", [None, 5, 1000, -1])
def test_two_fields_for_one_length_are_no_way_around_it(today, older, upstream):
    """Hosts go by one or by the other, and some take -1 for no end."""
    said = {"max_completion_tokens": today, "max_tokens": older}
    exchange = exchange_of("openai_chat", Principal("k", max_tokens=10), **said)
    _, body = sent(exchange, upstream)
    found = [body[name] for name in said if body.get(name) is not None]
    assert found
    assert all(0 <= tokens <= 10 for tokens in found), body
    assert output_tokens(exchange, BY_NAME)[0] >= max(found)


@pytest.mark.parametrize(
    ("client", "said"),
    [
        ("openai_chat", {"max_output_tokens": 1000}),
        ("openai_responses", {"max_output_tokens": None}),
        ("gemini", {"generationConfig": {"maxOutputTokens": None}}),
        ("gemini", {"generationConfig": {"maxOutputTokens": 5, "max_output_tokens": 1000}}),
        ("gemini", {"generation_config": {"max_output_tokens": 1000}}),
    ],
    ids=str,
)
def test_no_spelling_is_a_way_around_it(client, said):
    """A null that nobody takes out would stand in place of the limit."""
    _, body = sent(exchange_of(client, Principal("k", max_tokens=10), **said), client)
    body |= body.get("generationConfig", {}) | body.get("generation_config", {})
    found = [
        body[name] for name in ("max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens") if name in body
    ]
    assert found
    assert all(isinstance(tokens, int) and 0 <= tokens <= 16 for tokens in found), body  # 16: the least that Responses takes


@pytest.mark.parametrize("word", ["overrides", "defaults"])
@pytest.mark.parametrize(
    ("client", "nulls"),
    [
        ("openai_chat", {"max_completion_tokens": None, "temperature": None}),
        ("openai_chat", {"max_tokens": None, "temperature": None}),
        ("openai_responses", {"max_output_tokens": None, "temperature": None}),
        ("gemini", {"generationConfig": {"maxOutputTokens": None, "temperature": None}}),
    ],
    ids=str,
)
def test_a_null_does_not_stand_in_place_of_what_a_route_sets(client, nulls, word):
    """It says nothing, and so it is no way around it."""
    _, body = sent(exchange_of(client, Principal("k"), **nulls), client, **{word: {"max_tokens": 20, "temperature": 0.5}})
    body |= body.get("generationConfig", {})
    assert asked_of(client, body) == 20 or body["maxOutputTokens"] == 20
    assert body["temperature"] == 0.5
