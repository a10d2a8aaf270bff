"""Errors in Google's form, read and written."""

import json

import pytest

from gatewright.dialects.gemini import GEMINI
from gatewright.errors import STATUS_OF, Problem


def error(code, status, **more):
    return {"error": {"code": code, "status": status, "message": "m", **more}}


def read(status, document, headers=None):
    return GEMINI.parse_error(status, headers or {}, json.dumps(document).encode())


def written(problem):
    return json.loads(GEMINI.render_error(problem, "req-1").body)["error"]


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, "INVALID_ARGUMENT", "invalid_request"),
        (400, "FAILED_PRECONDITION", "invalid_request"),
        (401, "UNAUTHENTICATED", "authentication"),
        (403, "PERMISSION_DENIED", "permission"),
        (404, "NOT_FOUND", "not_found"),
        (429, "RESOURCE_EXHAUSTED", "rate_limit"),
        (500, "INTERNAL", "upstream"),
        (503, "UNAVAILABLE", "overloaded"),
        (504, "DEADLINE_EXCEEDED", "timeout"),
        (418, "TEAPOT", "invalid_request"),
    ],
)
def test_status_words(status, word, kind):
    """The word decides; an unknown one leaves it to the HTTP status."""
    problem = read(status, error(status, word))
    assert (problem.kind, problem.http_status, problem.type) == (kind, status, word)
    assert written(problem) == error(status, word)["error"]


def test_a_wrong_key_is_an_authentication_error():
    """Google answers 400 to it."""
    assert read(400, error(400, "INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}])).kind == "authentication"


def test_retry_delay_goes_both_ways():
    """From the body, else from the header; to the body and the header."""
    assert read(429, error(429, "RESOURCE_EXHAUSTED", details=[{"retryDelay": "48.5s"}])).retry_after_s == 48.5
    assert read(429, error(429, "RESOURCE_EXHAUSTED"), {"Retry-After": "7"}).retry_after_s == 7
    answer = GEMINI.render_error(Problem(kind="rate_limit", message="slow", retry_after_s=2.5), "")
    assert dict(answer.headers)["retry-after"] == "3"
    assert json.loads(answer.body)["error"]["details"][-1]["retryDelay"] == "2.5s"


@pytest.mark.parametrize("body", [b"", b"<html>Bad Gateway</html>", b"[]", b'{"message":"x"}', b'"x"', b"\xff"])
def test_any_body_is_a_problem(body):
    """Proxies answer too."""
    problem = GEMINI.parse_error(502, {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, body)
    assert (problem.kind, problem.status, problem.retry_after_s) == ("upstream", 502, None)


def test_an_error_in_an_array_stays_one_at_home():
    """Streams without alt=sse answer so."""
    document = [error(503, "UNAVAILABLE")]
    problem = read(503, document)
    assert problem.kind == "overloaded"
    assert json.loads(GEMINI.render_error(problem, "").body) == document


@pytest.mark.parametrize("kind", list(STATUS_OF))
def test_every_kind_has_a_word_that_reads_back_to_its_status(kind):
    """A client sees the status, the word and what to do."""
    problem = Problem(kind=kind, message="m", param="a.b", code="c", type="t")
    answer = GEMINI.render_error(problem, "req-1")
    told = json.loads(answer.body)["error"]
    assert (answer.status, told["code"]) == (STATUS_OF[kind], STATUS_OF[kind])
    again = GEMINI.parse_error(answer.status, {}, answer.body)
    assert (again.param, again.code, again.message) == ("a.b", "c", "m")
    assert ("x-request-id", "req-1") in answer.headers


def test_a_stream_error_is_one_event():
    """For a stream that passes through."""
    wire = GEMINI.render_stream_error(Problem(kind="upstream", message="cut"), "req-1")
    assert wire.startswith(b"data: ")
    assert json.loads(wire[6:])["error"]["status"] == "INTERNAL"
