"""What operators ask for and an API cannot say."""

import pytest

from gatewright.dialects import BY_NAME
from gatewright.ir.loss import Losses
from gatewright.ir.request import Request, Sampling, Target
from gatewright.ir.unsaid import tell_unsaid
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.translate import override
from gatewright.wire.http import Call
from gatewright.wire.json import encode

ASKED: JsonObject = {
    "max_tokens": 77,
    "temperature": 0.25,
    "top_p": 0.5,
    "top_k": 3,
    "seed": 7,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "stop": ["END"],
    "effort": "low",
    "verbosity": "low",
    "parallel_tool_calls": False,
    "service_tier": "flex",
    "user": "joe",
    "store": True,
}
SCHEMA: JsonObject = {"type": "object", "properties": {}}
TURN: JsonObject = {"role": "user", "content": "x"}
REQUESTS: dict[str, tuple[str, JsonObject]] = {
    "openai_chat": (
        "/v1/chat/completions",
        {"model": "m", "messages": [TURN], "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]},
    ),
    "openai_responses": (
        "/v1/responses",
        {"model": "m", "input": "x", "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}]},
    ),
    "anthropic": (
        "/v1/messages",
        {"model": "m", "max_tokens": 5, "messages": [TURN], "tools": [{"name": "f", "input_schema": SCHEMA}]},
    ),
    "gemini": (
        "/v1beta/models/m:generateContent",
        {
            "contents": [{"role": "user", "parts": [{"text": "x"}]}],
            "tools": [{"functionDeclarations": [{"name": "f", "parameters": SCHEMA}]}],
        },
    ),
    "bedrock_converse": (
        "/model/m/converse",
        {
            "messages": [{"role": "user", "content": [{"text": "x"}]}],
            "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": SCHEMA}}}]},
        },
    ),
}


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("dialect", BY_NAME)
def test_what_a_route_asks_for_is_said_or_told_as_lost(dialect, name):
    """At home, where a client's own words always fit: an operator's may not, and never vanish."""
    path, body = REQUESTS[dialect]
    request = BY_NAME[dialect].parse_request(Call(path=path, body=encode(body)))
    target = Target(model="m", issuer="up")
    before = BY_NAME[dialect].render_request(request, target)
    after = BY_NAME[dialect].render_request(override(request, {name: ASKED[name]}), target)
    assert before.losses == ()
    assert after.body != before.body or after.losses


def test_a_word_on_parallel_calls_stands_in_a_choice_of_its_own():
    """Messages says it inside `tool_choice`, which the client may not have given; without tools there is nothing to say."""
    path, body = REQUESTS["anthropic"]
    dialect, target = BY_NAME["anthropic"], Target(model="m", issuer="up")
    request = override(dialect.parse_request(Call(path=path, body=encode(body))), {"parallel_tool_calls": False})
    rendered = dialect.render_request(request, target)
    assert rendered.body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert rendered.losses == ()
    bare = {key: value for key, value in body.items() if key != "tools"}
    request = override(dialect.parse_request(Call(path=path, body=encode(bare))), {"parallel_tool_calls": False})
    rendered = dialect.render_request(request, target)
    assert "tool_choice" not in rendered.body
    assert [(loss.path, loss.weight) for loss in rendered.losses] == [("tool_choice.disable_parallel_tool_use", "hint")]


def test_what_is_so_anyway_is_a_hint():
    """So that a route that refuses losses is not closed by a penalty of nothing."""
    losses = Losses("openai_responses")
    request = Request(origin="openai_responses", model="m", sampling=Sampling(frequency_penalty=0, presence_penalty=0.1))
    tell_unsaid(request, ("frequency_penalty", "presence_penalty", "stop"), losses)
    assert [(loss.path, loss.weight) for loss in losses.done()] == [
        ("frequency_penalty", "hint"),
        ("presence_penalty", "dropped"),
    ]
