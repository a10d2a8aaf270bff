"""Streams, written."""

from gatewright.dialects.openai_chat import OPENAI_CHAT
from gatewright.errors import Problem
from gatewright.ir.blocks import Reasoning, Text, ToolCall
from gatewright.ir.events import StreamError
from gatewright.ir.fold import unfold
from gatewright.ir.response import Finish, Response, Usage
from gatewright.ir.seal import Seal, unpack
from tests.dialects.openai_chat.sample import documents, request

USAGE = {"include_usage": True}


def answer(*blocks, finish="stop", **more) -> Response:
    return Response(origin="anthropic", id="msg_1", model="m", blocks=blocks, finish=Finish(reason=finish), **more)


def shown(response: Response, **body) -> list:
    return documents(OPENAI_CHAT.stream_renderer(request(stream=True, **body)).render(unfold(response)))


def test_a_stream_has_role_text_finish_and_done():
    """The least that every client reads."""
    first, text, last, done = shown(answer(Text(text="Ahoy")))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert text["choices"][0]["delta"] == {"content": "Ahoy"}
    assert last["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert done == "[DONE]"
    assert {one["id"] for one in (first, text, last)} == {"msg_1"}
    assert {one["created"] for one in (first, text, last)} == {0}


def test_usage_is_shown_only_when_asked():
    """One chunk with empty choices before [DONE]."""
    told = answer(Text(text="a"), usage=Usage(input=3, cache_read=4, output=2, reasoning=1))
    assert all(one == "[DONE]" or one["choices"] for one in shown(told))
    usage = shown(told, stream_options=USAGE)[-2]
    assert usage["choices"] == []
    assert (usage["usage"]["prompt_tokens"], usage["usage"]["completion_tokens"]) == (7, 3)


def test_foreign_seals_are_carried_packed():
    """The client brings them back; only their issuer can read them."""
    seal = Seal(dialect="anthropic", data="EqQB")
    told = shown(
        answer(Reasoning(text="hm", seal=seal), ToolCall(id="t", name="f", arguments="{}", seal=seal), finish="tool_calls")
    )
    details = [entry for one in told[:-1] for entry in one["choices"][0]["delta"].get("reasoning_details", ())]
    assert [(entry["text"], unpack(entry["signature"])) for entry in details] == [("hm", seal)]
    calls = [entry for one in told[:-1] for entry in one["choices"][0]["delta"].get("tool_calls", ())]
    assert unpack(calls[-1]["extra_content"]["google"]["thought_signature"]) == seal


def test_a_custom_tool_gets_its_input_unwrapped():
    """Upstream it was a function with one string parameter."""
    custom = {"type": "custom", "custom": {"name": "calc"}}
    call = ToolCall(id="t", name="calc", arguments='{"input":"1 + 1"}')
    told = shown(answer(call, finish="tool_calls"), tools=[custom])
    calls = [one["choices"][0]["delta"]["tool_calls"][0] for one in told[1:-2]]
    assert calls[0]["custom"]["name"] == "calc"
    assert "".join(one["custom"]["input"] for one in calls) == "1 + 1"


def test_a_client_of_functions_is_answered_in_its_words():
    """Old clients know no tool calls."""
    functions = [{"name": "f", "parameters": {"type": "object"}}]
    told = shown(answer(ToolCall(id="t", name="f", arguments="{}"), finish="tool_calls"), functions=functions)
    assert told[1]["choices"][0]["delta"] == {"function_call": {"name": "f", "arguments": ""}}
    assert told[-2]["choices"][0]["finish_reason"] == "function_call"


def test_an_error_ends_the_stream_without_done():
    """A broken answer must not look complete."""
    renderer = OPENAI_CHAT.stream_renderer(request(stream=True))
    (document,) = documents(renderer.render([StreamError(Problem(kind="overloaded", message="busy"))]))
    assert document["error"]["message"] == "busy"
    assert renderer.render(unfold(answer(Text(text="late")))) == b""
