"""Errors, both ways."""

import json

import pytest

from gatewright.dialects.anthropic import ANTHROPIC
from gatewright.dialects.anthropic.errors import KIND_OF_TYPE, TYPE_OF_KIND
from gatewright.errors import STATUS_OF, Problem


def document(kind="rate_limit_error", message="slow down"):
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_up"}


def parse(status, body, **headers):
    return ANTHROPIC.parse_error(
        status,
        {k.replace("_", "-"): v for k, v in headers.items()},
        body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


def test_every_kind_has_a_type_and_every_type_comes_back():
    """The tables are inverse where they claim to be."""
    assert set(TYPE_OF_KIND) == set(STATUS_OF)
    assert all(TYPE_OF_KIND[kind] == word for word, kind in KIND_OF_TYPE.items())


def test_an_error_at_home_is_verbatim():
    """Status, document, retry-after and the family of rate limits."""
    problem = parse(429, document(), retry_after="17", anthropic_ratelimit_requests_reset="2026-11-21T10:00:17Z", server="x")
    answer = ANTHROPIC.render_error(problem, "req_ours")
    assert answer.status == 429
    assert json.loads(answer.body) == document()
    assert dict(answer.headers) == {
        "request-id": "req_ours",
        "retry-after": "17",
        "anthropic-ratelimit-requests-reset": "2026-11-21T10:00:17Z",
    }
    assert problem.retry_after_s == 17


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (529, document("overloaded_error", "Overloaded"), "overloaded", "Overloaded"),
        (500, document("api_error", "oops"), "upstream", "oops"),
        (504, document("timeout_error", "late"), "timeout", "late"),
        (402, document("billing_error", "pay"), "billing", "pay"),
        (400, document("invalid_request_error", "Your credit balance is too low to access the API"), "billing", "credit"),
        (400, {"error": "bad thing"}, "invalid_request", "bad thing"),
        (403, {"message": "no"}, "permission", "no"),
        (422, {"detail": "odd"}, "unprocessable", "odd"),
        (400, {"error": {"code": 400, "message": "m", "status": "INVALID"}}, "invalid_request", "m"),
        (503, b"<html>busy</html>", "overloaded", "503"),
        (502, b"", "upstream", "502"),
        (418, [1], "invalid_request", "418"),
        (404, {"type": "error", "error": {"type": "tomorrow_error", "message": "gone"}}, "not_found", "gone"),
    ],
)
def test_every_shape_is_read(status, body, kind, message):
    """Hosts of this dialect answer in many ways; never an exception."""
    problem = parse(status, body)
    assert (problem.kind, problem.status) == (kind, status)
    assert message in problem.message


def test_too_long_has_the_code_that_others_look_for():
    """Clients of other dialects act on context_length_exceeded."""
    assert parse(400, document("invalid_request_error", "prompt is too long: 9 > 8")).code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("value", "seconds"), [("2.5", 2.5), ("-1", None), ("nan", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)]
)
def test_retry_after_is_a_number_or_left_to_the_header(value, seconds):
    """A date needs a clock."""
    problem = parse(429, document(), retry_after=value)
    assert problem.retry_after_s == seconds
    assert ("retry-after", value) in problem.headers


@pytest.mark.parametrize(
    ("problem", "status", "word"),
    [
        (Problem(kind="overloaded", message="m"), 529, "overloaded_error"),
        (Problem(kind="overloaded", message="m", status=503), 503, "overloaded_error"),
        (Problem(kind="timeout", message="m"), 504, "timeout_error"),
        (Problem(kind="too_large", message="m"), 413, "request_too_large"),
        (Problem(kind="conflict", message="m"), 409, "invalid_request_error"),
        (Problem(kind="internal", message="m"), 500, "api_error"),
        (Problem(kind="authentication", message="m", origin="openai_chat", raw={"error": {}}), 401, "authentication_error"),
    ],
)
def test_others_errors_in_our_words(problem, status, word):
    """The document is the API's own, with our request id."""
    answer = ANTHROPIC.render_error(problem, "req_1")
    assert answer.status == status
    assert json.loads(answer.body) == {"type": "error", "error": {"type": word, "message": "m"}, "request_id": "req_1"}


def test_others_rate_limits_are_carried_and_translated():
    """The same family verbatim, ours beside it, retry-after made from what is known."""
    problem = Problem(
        kind="rate_limit",
        message="m",
        retry_after_s=1.2,
        headers=(("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "6m0s")),
    )
    headers = dict(ANTHROPIC.render_error(problem, "r").headers)
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert headers["x-ratelimit-reset-requests"] == "6m0s"
    assert headers["retry-after"] == "2"


def test_the_thread_code_stands_where_the_sdk_looks():
    """On it the SDK falls back to the full history."""
    body = ANTHROPIC.render_error(Problem(kind="invalid_request", message="m", code="thread_unsupported_request"), "r").body
    assert json.loads(body)["error"]["details"] == {"error_code": "thread_unsupported_request"}


def test_the_error_event():
    """For a stream whose head is out."""
    wire = ANTHROPIC.render_stream_error(Problem(kind="upstream", message="cut"), "r")
    assert wire.startswith(b"event: error\ndata: {")
    assert wire.endswith(b"}\n\n")
