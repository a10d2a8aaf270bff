"""Sessions: what belongs together is known by what agents say, and else by the conversation itself."""

import json

import pytest
from tests.laws import cases
from tests.laws.replay import next_turn
from tests.plays.scene import whole

from gatewright.dialects import BY_NAME
from gatewright.ir.request import Asked
from gatewright.record.trace_sessions import Told, marks_before, marks_behind, response_id, told
from gatewright.wire.http import Call

CLAUDE = "user_0123456789abcdef_account_8e0c_session_f3f6c1de-1b5b-4e0c-9d3a-aaaaaaaaaaaa"


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"x-gatewright-session": "run-1", "session_id": "codex"}, {}, Told("run-1", "header")),
        ({"session_id": "0199-codex"}, {}, Told("0199-codex", "header")),
        ({}, {"metadata": {"user_id": CLAUDE}}, Told("f3f6c1de-1b5b-4e0c-9d3a-aaaaaaaaaaaa", "body")),
        ({}, {"metadata": {"user_id": json.dumps({"device_id": "d", "session_id": "s-2"})}}, Told("s-2", "body")),
        ({}, {"metadata": {"user_id": "just-a-user"}}, Told()),
        ({}, {"metadata": {"session_id": "mine"}}, Told("mine", "body")),
        ({}, {"conversation": {"id": "conv_1"}}, Told("conv_1", "body")),
        ({}, {"conversation": "conv_2"}, Told("conv_2", "body")),
        ({}, {"prompt_cache_key": "k"}, Told("k", "body")),
        ({"x-session-id": "s"}, {"previous_response_id": "resp_1"}, Told("s", "header", "resp_1")),
        ({"x-session-id": "\x00\x1b"}, {"metadata": [1], "conversation": 5}, Told()),
        ({"x-session-id": "x" * 500}, {}, Told("x" * 200, "header")),
    ],
)
def test_the_first_that_tells_wins(headers, body, expected):
    """Headers before bodies; what is no name tells nothing."""
    assert told(tuple(headers.items()), json.dumps(body).encode()) == expected


@pytest.mark.parametrize("body", [b"", b"\xff", b"[1]", b"{", b'{"metadata":' + b"[" * 100_000])
def test_a_body_that_cannot_be_read_tells_nothing(body):
    """Whatever was sent was answered already."""
    assert told((), body) == Told()


def test_an_answers_id_is_read_whole_or_streamed():
    """Where the next request will name it."""
    assert response_id(b'{"id": "resp_abc123", "object": "response"}') == "resp_abc123"
    assert response_id(b'event: response.created\ndata: {"response":{"id":"resp_abc123"}}\n\n') == "resp_abc123"
    assert response_id(b'{"id": "chatcmpl-1"}') == ""


def first_request(name: str, text: str) -> dict:
    match name:
        case "openai_responses":
            return {"model": "m", "input": text}
        case "gemini":
            return {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        case "anthropic":
            return {"model": "m", "max_tokens": 9, "system": "today is Monday", "messages": [{"role": "user", "content": text}]}
        case _:
            return {"model": "m", "messages": [{"role": "system", "content": "Monday"}, {"role": "user", "content": text}]}


def parsed(name: str, body: dict):
    path = cases.path_for(name, "m", stream=False)
    return BY_NAME[name].parse_request(Call(path=path, body=json.dumps(body).encode()))


@pytest.mark.parametrize("name", ["openai_chat", "openai_responses", "anthropic", "gemini"])
def test_a_conversation_that_goes_on_is_known_by_what_was_said(name):
    """The client sends back what it was shown; a longer prefix is looked for before a shorter one."""
    body = first_request(name, "What is 2 + 2?")
    answer = whole(name, "It is 4.")
    request = parsed(name, body)
    behind = marks_behind(request, BY_NAME[name].parse_response(json.dumps(answer).encode(), Asked()))
    assert len(behind) == 1
    later = next_turn(name, body, answer)
    before = marks_before(parsed(name, later))
    assert before[0] == behind[0]
    assert marks_before(request) == ()
    other = marks_behind(request, BY_NAME[name].parse_response(json.dumps(whole(name, "It is 5.")).encode(), Asked()))
    assert other[0] not in before


def test_the_system_prompt_may_change_within_a_conversation():
    """Agents write the date into it, and what files have changed."""
    one = parsed("anthropic", first_request("anthropic", "hi"))
    answer = BY_NAME["anthropic"].parse_response(json.dumps(whole("anthropic")).encode(), Asked())
    two = parsed("anthropic", first_request("anthropic", "hi") | {"system": "today is Tuesday"})
    assert marks_behind(one, answer) == marks_behind(two, answer)
    assert marks_behind(one, None) == ()
