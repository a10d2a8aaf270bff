"""Passing through, errors and the state helpers."""

import json

import pytest

from gatewright.dialects.openai_responses import OPENAI_RESPONSES, state
from gatewright.errors import Malformed, Problem
from gatewright.ir.request import Target
from gatewright.wire.http import Call
from tests import passing
from tests.dialects.openai_responses.speaking import completed, created, lines

CALL = Call(path="/v1/responses", body=b'{"model":"a","input":"x"}')


def watched(wire, size):
    watch = OPENAI_RESPONSES.watch(CALL)
    assert passing.watched(watch, passing.pieces(wire, size)) == wire
    return watch


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("end", [b"", b"\r\n"])
def test_a_stream_that_passes_is_understood(size, end):
    """Usage and the end are seen however the bytes come; text that looks like an event is not one."""
    text = {"type": "response.output_text.delta", "delta": '"type":"response.completed"'}
    wire = lines(created(), text, completed(usage={"input_tokens": 3, "output_tokens": 1}))
    watch = watched(wire.replace(b"\n", end) if end else wire, size)
    assert (watch.content, watch.finished, watch.problem) == (True, True, None)
    assert (watch.usage.input, watch.usage.output) == (3, 1)


def test_text_that_looks_like_an_end_is_none():
    """Quotes inside a string are escaped."""
    assert not watched(lines({"type": "response.output_text.delta", "delta": '"type":"response.completed"'}), 9).finished


def test_a_failure_that_passes_is_seen():
    """The breaker is blind to it otherwise: the status was 200."""
    failed = {"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "x"}}}
    watch = watched(lines(created(), failed), 5)
    assert (watch.problem.message, watch.finished) == ("x", True)


def test_only_the_model_is_edited():
    """And nothing when it fits; what follows the path stays."""
    assert OPENAI_RESPONSES.pass_edits(CALL, Target(model="a", issuer="o")) == {}
    assert OPENAI_RESPONSES.pass_edits(CALL, Target(model="b", issuer="o")) == {"model": b'"b"'}
    compact = Call(path="/v1/responses/compact", body=CALL.body)
    assert OPENAI_RESPONSES.pass_path(compact, Target(model="a", issuer="o")) == "/responses/compact"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"model":3}', b'{"input":"x"}', b"\xff"])
def test_a_body_without_a_model_is_refused(body):
    """Routing needs it; a stored template may name it itself."""
    with pytest.raises(Malformed):
        OPENAI_RESPONSES.peek(Call(path="", body=body))
    assert OPENAI_RESPONSES.peek(Call(path="", body=b'{"prompt":{"id":"p"}}')).model == ""


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, {"error": {"message": "m", "param": "p", "code": "c"}}, "invalid_request", "m"),
        (400, {"code": "bad", "error": "m"}, "invalid_request", "m"),
        (401, {"message": "m"}, "authentication", "m"),
        (422, {"detail": [{"msg": "m"}]}, "unprocessable", "m"),
        (429, {"error": {"message": "m", "code": "insufficient_quota"}}, "billing", "m"),
        (503, {"error": {"message": "m", "type": "server_error"}}, "overloaded", "m"),
        (502, None, "upstream", "the provider answered 502"),
    ],
)
def test_every_shape_of_error_is_read_and_told_again(status, body, kind, message):
    """At home in its own words, with its headers."""
    raw = b"<html>" if body is None else json.dumps(body).encode()
    problem = OPENAI_RESPONSES.parse_error(status, {"Retry-After": "3", "X-RateLimit-Limit-Tokens": "9", "Via": "x"}, raw)
    assert (problem.kind, problem.message, problem.retry_after_s) == (kind, message, 3)
    answer = OPENAI_RESPONSES.render_error(problem, "req_1")
    assert answer.status == status
    assert dict(answer.headers) == {"x-request-id": "req_1", "retry-after": "3", "x-ratelimit-limit-tokens": "9"}
    if body is not None:
        assert json.loads(answer.body) == body


def test_another_dialects_limits_are_told_in_these_headers():
    """Clients back off by the headers they know."""
    problem = Problem(
        kind="rate_limit", message="slow", retry_after_s=2.5, headers=(("anthropic-ratelimit-requests-remaining", "0"),)
    )
    answer = OPENAI_RESPONSES.render_error(problem, "r")
    assert dict(answer.headers) | {"x-ratelimit-remaining-requests": "0", "retry-after": "2.5"} == dict(answer.headers)
    assert json.loads(answer.body)["error"]["code"] == "rate_limit_exceeded"


def test_history_is_the_input_then_the_output_then_the_new_input():
    """What `previous_response_id` means; a call that was cut off could never be answered."""
    first = {"model": "m", "input": "hi"}
    cut = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{", "status": "incomplete"}
    said = {"type": "message", "id": "msg_1", "role": "assistant", "content": []}
    history = [*state.input_items(first), *state.output_as_input({"output": [said, cut]})]
    body = state.with_history({"input": [{"role": "user", "content": "more"}], "previous_response_id": "r"}, history)
    assert [item["role"] for item in body["input"]] == ["user", "assistant", "user"]
    assert "previous_response_id" not in body


def test_input_items_have_types_ids_and_parts():
    """As the API lists them, with the same ids every time."""
    body = {"input": [{"role": "user", "content": "a"}, {"role": "user", "content": "a"}, {"type": "item_reference", "id": "x"}]}
    items = state.normalised_input(body, "resp_1")
    assert items == state.normalised_input(body, "resp_1")
    assert items[0]["id"] != items[1]["id"]
    assert items[0]["content"] == [{"type": "input_text", "text": "a"}]
    assert items[2] == {"type": "item_reference", "id": "x"}
    assert body["input"][0] == {"role": "user", "content": "a"}
