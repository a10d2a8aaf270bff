"""Errors, both ways."""

import json

import pytest

from gatewright.dialects.openai_chat import OPENAI_CHAT
from gatewright.dialects.openai_chat.errors import TYPE_OUT
from gatewright.errors import STATUS_OF, Problem


@pytest.mark.parametrize(
    ("status", "body", "message", "code"),
    [
        (400, {"error": {"message": "bad", "type": "t", "param": "p", "code": "c"}}, "bad", "c"),
        (400, {"code": "c", "error": "bad"}, "bad", "c"),
        (404, [{"error": {"message": "bad", "code": 404}}], "bad", "404"),
        (422, {"detail": [{"msg": "bad"}, {"msg": "worse"}]}, "bad; worse", None),
        (401, {"detail": "bad"}, "bad", None),
        (500, {"object": "error", "message": "bad", "code": 50001}, "bad", "50001"),
        (502, "<html>", "the provider answered 502 without a JSON body", None),
    ],
)
def test_every_shape_of_error_is_read(status, body, message, code):
    """Hosts agree on nothing but the status."""
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    problem = OPENAI_CHAT.parse_error(status, {}, raw)
    assert (problem.http_status, problem.message, problem.code) == (status, message, code)


def test_an_empty_account_is_not_a_rate_limit():
    """429 with insufficient_quota is not to be retried."""
    body = b'{"error":{"message":"x","type":"insufficient_quota","code":"insufficient_quota"}}'
    assert OPENAI_CHAT.parse_error(429, {}, body).kind == "billing"


def test_at_home_the_error_is_as_it_was_with_its_limits():
    """Clients read retry-after and the limits."""
    headers = {"retry-after": "7", "x-ratelimit-remaining-tokens": "0", "server": "x"}
    body = {"error": {"message": "slow", "type": "tokens", "code": "rate_limit_exceeded", "odd": 1}}
    problem = OPENAI_CHAT.parse_error(429, headers, json.dumps(body).encode())
    answer = OPENAI_CHAT.render_error(problem, "req_1")
    assert problem.retry_after_s == 7
    assert json.loads(answer.body) == body
    assert dict(answer.headers) == {"retry-after": "7", "x-ratelimit-remaining-tokens": "0", "x-request-id": "req_1"}


def test_foreign_errors_are_told_in_openai_s_words():
    """Anthropic's limits have the same meaning under other names."""
    problem = Problem(
        kind="overloaded",
        message="busy",
        status=529,
        origin="anthropic",
        retry_after_s=1.2,
        headers=(("anthropic-ratelimit-requests-remaining", "3"),),
    )
    answer = OPENAI_CHAT.render_error(problem, "r")
    assert answer.status == 529
    assert json.loads(answer.body)["error"] == {"message": "busy", "type": "server_error", "param": None, "code": "overloaded"}
    assert dict(answer.headers) == {"x-request-id": "r", "retry-after": "2", "x-ratelimit-remaining-requests": "3"}


def test_every_kind_of_problem_has_a_type_word():
    """A new kind must not become a KeyError in front of a client."""
    assert set(TYPE_OUT) == set(STATUS_OF)


def test_a_stream_error_has_an_error_key_and_no_done():
    """OpenAI's SDKs look for the key."""
    data = OPENAI_CHAT.render_stream_error(Problem(kind="upstream", message="cut"), "r")
    assert json.loads(data.removeprefix(b"data: "))["error"]["message"] == "cut"
    assert b"[DONE]" not in data
