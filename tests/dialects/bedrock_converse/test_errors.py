"""Errors, both ways."""

import json

import pytest

from gatewright.dialects.bedrock_converse.errors import (
    IN_STREAM,
    KIND_OF_TYPE,
    TYPE_OF_KIND,
    parse_error,
    render_error,
    render_stream_error,
)
from gatewright.errors import Problem
from tests.dialects.bedrock_converse.asking import frames
from tests.laws import bedrock_oracle

CORAL = ":http://internal.amazon.com/coral/com.amazon.bedrock/"


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (400, "ValidationException", "invalid_request"), (403, "UnrecognizedClientException", "authentication"),
        (403, "ExpiredTokenException", "authentication"), (403, "AccessDeniedException", "permission"),
        (404, "ResourceNotFoundException", "not_found"), (408, "ModelTimeoutException", "timeout"),
        (424, "ModelErrorException", "upstream"), (429, "ThrottlingException", "rate_limit"),
        (429, "ModelNotReadyException", "overloaded"), (500, "InternalServerException", "upstream"),
        (503, "ServiceUnavailableException", "overloaded"), (418, "NewException", "invalid_request"),
    ],
)  # fmt: skip
def test_the_exceptions_name_says_what_it_is(status, name, kind):
    """In the header, with a namespace behind it, or in the body with one before it."""
    for headers, body in (
        ({"X-Amzn-ErrorType": name + CORAL}, {"message": "why"}),
        ({}, {"__type": f"com.amazon.coral.service#{name}", "Message": "why"}),
    ):
        problem = parse_error(status, headers, json.dumps(body).encode())
        assert (problem.kind, problem.message, problem.type, problem.status) == (kind, "why", name, status)


def test_a_page_that_is_no_document_is_told_by_its_status():
    problem = parse_error(502, {}, b"<html>bad gateway</html>")
    assert (problem.kind, problem.raw) == ("upstream", None)
    assert "502" in problem.message


def test_a_prompt_that_is_too_long_is_known():
    assert parse_error(400, {}, b'{"message": "Input is too long for requested model."}').code == "context_length_exceeded"


def test_its_own_document_is_passed_on_verbatim():
    problem = parse_error(429, {"x-amzn-errortype": "ThrottlingException", "retry-after": "3"}, b'{"message":"m","detail":[1]}')
    answer = render_error(problem, "req_1")
    assert json.loads(answer.body) == {"message": "m", "detail": [1]}
    told = dict(answer.headers)
    assert (told["x-amzn-errortype"], told["retry-after"], told["x-amzn-requestid"]) == ("ThrottlingException", "3", "req_1")
    assert problem.retry_after_s == 3


def test_every_kind_is_an_exception_that_botocore_can_name():
    modelled = {shape.name for shape in bedrock_oracle.operation("Converse").error_shapes}
    for kind, name in TYPE_OF_KIND.items():
        answer = render_error(Problem(kind=kind, message="why", retry_after_s=2.2), "req_1")
        assert bedrock_oracle.read_error(answer.status, answer.headers, answer.body)[::2] == (name, "why")
        assert dict(answer.headers)["retry-after"] == "3"
        assert name in modelled | {"UnrecognizedClientException", "ConflictException"}
        assert KIND_OF_TYPE[name]


def test_every_kind_is_a_frame_that_the_stream_can_hold():
    members = bedrock_oracle.operation("ConverseStream").output_shape.members["stream"].members
    for kind in TYPE_OF_KIND:
        ((name, payload),) = frames(render_stream_error(Problem(kind=kind, message="why")))
        assert name == IN_STREAM.get(kind, "modelStreamErrorException")
        assert name in members
        assert payload == {"message": "why"}
