"""Tool names that an API refuses are fitted for it and come back as the client wrote them."""

import json

import pytest
from tests.serving import answer, call, gateway, upstream

from gatewright.ir.blocks import Message, ToolCall, ToolResult
from gatewright.ir.events import BlockStart
from gatewright.ir.request import Request, Tool, ToolChoice
from gatewright.ir.response import Response
from gatewright.pipeline.names import ALLOWED, client_name, client_names, fit_names, fitted

LONG = "mcp.server/" + "x" * 80
REQUEST = Request(
    origin="anthropic",
    model="m",
    tools=(Tool(name="fine"), Tool(name=LONG, at="tools[1]"), Tool(name="web.search", kind="hosted")),
    tool_choice=ToolChoice(mode="tool", names=(LONG,)),
    messages=(
        Message(role="assistant", blocks=(ToolCall(id="1", name=LONG, arguments="{}"),)),
        Message(role="user", blocks=(ToolResult(call_id="1", name=LONG, content=()),)),
    ),
)


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses", "anthropic", "gemini"])
def test_a_refused_name_is_fitted_everywhere_it_stands(dialect):
    """Declaration, choice, call and result must go on naming the same tool."""
    request, names, losses = fit_names(REQUEST, dialect)
    new = request.tools[1].name
    assert ALLOWED[dialect].fullmatch(new)
    assert request.tool_choice.names == (new,)
    assert [m.blocks[0].name for m in request.messages] == [new, new]
    assert (request.tools[0].name, request.tools[2].name) == ("fine", "web.search")
    assert names == {new: LONG}
    assert [(loss.path, loss.weight) for loss in losses] == [("tools[1].name", "hint")]


def test_names_come_back():
    """The client never sees the fitted name."""
    request, names, _ = fit_names(REQUEST, "openai_chat")
    block = ToolCall(id="2", name=request.tools[1].name, arguments="{}")
    whole = Response(origin="openai_chat", id="", model="", blocks=(block,))
    assert client_names(whole, names).blocks[0].name == LONG
    assert client_name(BlockStart(0, block), names).block.name == LONG


def test_two_names_never_become_one():
    """What is cut off lives on in the hash."""
    assert len({fitted("a.b"), fitted("a/b"), fitted("a_b "), fitted("x" * 70), fitted("x" * 71)}) == 5


def test_names_that_fit_cost_nothing():
    """The request is the same object."""
    request = Request(origin="anthropic", model="m", tools=(Tool(name="fine"),))
    assert fit_names(request, "gemini")[0] is request


async def test_through_the_gateway(tmp_path):
    """An MCP tool with dots works against a provider that takes none."""
    body = {
        "model": "up/m",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": "q"}],
        "tools": [{"name": "git.log", "input_schema": {"type": "object"}}],
    }
    async with (
        upstream() as up,
        gateway(
            f'providers: {{up: {{kind: openai, base_url: "http://127.0.0.1:{up.port}/v1", dialects: [openai_chat], api_key: k}}}}',
            tmp_path,
        ) as gw,
    ):
        told = {"id": "t1", "type": "function", "function": {"name": fitted("git.log"), "arguments": "{}"}}
        message = {"role": "assistant", "content": None, "tool_calls": [told]}
        up.answers = [
            [
                answer(
                    json.dumps(
                        {
                            "id": "c",
                            "object": "chat.completion",
                            "created": 1,
                            "model": "m",
                            "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
                        }
                    ).encode()
                )
            ]
        ]
        got = await call(gw.port, "/v1/messages", json.dumps(body).encode())
        assert json.loads(up.body())["tools"][0]["function"]["name"] == fitted("git.log")
        assert json.loads(got.body)["content"][0]["name"] == "git.log"
        assert 'tools[0].name";w=hint' in got.headers["x-gatewright-loss"]
