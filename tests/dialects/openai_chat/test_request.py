"""Requests, read and written."""

import pytest

from gatewright.dialects.openai_chat import OPENAI_CHAT
from gatewright.errors import Malformed
from gatewright.ir.blocks import (
    CacheHint,
    Citation,
    FileRef,
    Inline,
    Media,
    Message,
    Native,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from gatewright.ir.request import Request, Sampling, Target, Thinking, Tool, ToolChoice
from gatewright.ir.seal import Seal
from tests.dialects.openai_chat.sample import TARGET, call, request


def foreign(*messages: Message, **fields) -> Request:
    return Request(origin="anthropic", model="x", messages=messages, **fields)


def render(wanted: Request):
    return OPENAI_CHAT.render_request(wanted, TARGET)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"messages": None}, "messages"),
        ({"messages": [{"role": "pirate", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": ["a", 3]}, "stop[1]"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]}, "messages[0].tool_calls[0].function"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(body, path):
    """A client must be told which field is wrong."""
    with pytest.raises(Malformed) as error:
        OPENAI_CHAT.parse_request(call(**body))
    assert error.value.problem.param == path


def test_a_missing_model_is_refused():
    """Nobody could route it."""
    bad = call()
    with pytest.raises(Malformed):
        OPENAI_CHAT.peek(type(bad)(path=bad.path, body=b'{"messages":[]}'))


def test_a_streamed_request_always_asks_for_usage_and_keeps_other_options():
    """Usage that is not asked for is never told, and must be metered."""
    body = render(request(stream=True, stream_options={"include_obfuscation": False})).body
    assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert "stream_options" not in render(request()).body


def test_a_tool_result_is_a_user_message_with_one_block():
    """Other dialects have results in user messages."""
    messages = [{"role": "tool", "tool_call_id": "c1", "content": "4 m"}]
    (message,) = request(messages=messages).messages
    assert message.role == "user"
    assert message.blocks[0].call_id == "c1"


def test_merged_assistant_items_make_one_message_before_its_results():
    """Responses tells a turn item by item; chat wants one message."""
    wanted = foreign(
        Message(role="assistant", blocks=(Text(text="Let me see."),)),
        Message(role="assistant", blocks=(ToolCall(id="a", name="f", arguments="{}"),)),
        Message(role="assistant", blocks=(ToolCall(id="b", name="f", arguments=""),)),
        Message(role="user", blocks=(ToolResult(call_id="a", content=(Text(text="1"),)), ToolResult(call_id="b", content=()))),
    )
    first, *results = render(wanted).body["messages"]
    assert first["content"] == "Let me see."
    assert [one["id"] for one in first["tool_calls"]] == ["a", "b"]
    assert [one["function"]["arguments"] for one in first["tool_calls"]] == ["{}", "{}"]
    assert [one["tool_call_id"] for one in results] == ["a", "b"]


def test_long_ids_are_shortened_alike_for_call_and_result():
    """OpenAI refuses ids of more than 40 characters; the pair must still match."""
    long = "toolu_" + "x" * 60
    wanted = foreign(
        Message(role="assistant", blocks=(ToolCall(id=long, name="f", arguments="{}"),)),
        Message(role="user", blocks=(ToolResult(call_id=long, content=()),)),
    )
    first, second = render(wanted).body["messages"]
    assert first["tool_calls"][0]["id"] == second["tool_call_id"]
    assert len(second["tool_call_id"]) <= 40


def test_calls_without_ids_are_paired_by_name():
    """Gemini gives no ids."""
    wanted = foreign(
        Message(role="assistant", blocks=tuple(ToolCall(id="", name=name, arguments="{}") for name in "ab")),
        Message(role="user", blocks=tuple(ToolResult(call_id="", name=name, content=()) for name in "ba")),
    )
    first, second, third = render(wanted).body["messages"]
    assert [second["tool_call_id"], third["tool_call_id"]] == [one["id"] for one in reversed(first["tool_calls"])]


def test_calls_and_results_are_never_left_alone():
    """OpenAI answers 400 to a call without a result and to a result without a call."""
    wanted = foreign(
        Message(role="assistant", blocks=(ToolCall(id="a", name="f", arguments="{}"),)),
        Message(role="user", blocks=(Text(text="Never mind."),)),
        Message(role="user", blocks=(ToolResult(call_id="z", content=(Text(text="late"),)),)),
    )
    rendered = render(wanted)
    assert [one["role"] for one in rendered.body["messages"]] == ["assistant", "tool", "user", "user"]
    assert {loss.weight for loss in rendered.losses} == {"approximated"}


def test_an_image_in_a_result_moves_behind_the_results():
    """Chat tool messages take only text; the image must not stand between two results."""
    image = Media(kind="image", source=Inline(media_type="image/png", data="AAAA"), at="messages[1].content[0]")
    wanted = foreign(
        Message(role="assistant", blocks=tuple(ToolCall(id=i, name="f", arguments="{}") for i in "ab")),
        Message(role="user", blocks=(ToolResult(call_id="a", content=(image,)), ToolResult(call_id="b", content=()))),
    )
    rendered = render(wanted)
    roles = [one["role"] for one in rendered.body["messages"]]
    assert roles == ["assistant", "tool", "tool", "user"]
    assert rendered.body["messages"][3]["content"][1]["image_url"]["url"] == "data:image/png;base64,AAAA"
    assert any(loss.path == "messages[1].content[0]" for loss in rendered.losses)


def test_a_failed_result_keeps_its_text_and_tells_the_loss():
    """There is no word for is_error in chat; a prefix would change what the tool said."""
    wanted = foreign(
        Message(role="assistant", blocks=(ToolCall(id="a", name="f", arguments="{}"),)),
        Message(role="user", blocks=(ToolResult(call_id="a", content=(Text(text="boom"),), is_error=True, at="m"),)),
    )
    rendered = render(wanted)
    assert rendered.body["messages"][1]["content"] == "boom"
    assert [(loss.path, loss.weight) for loss in rendered.losses] == [("m.is_error", "approximated")]


def test_what_chat_cannot_say_is_told():
    """No silent loss: each of these must be spoken of."""
    text = Text(
        text="x", cache=CacheHint(at="c"), citations=(Citation(kind="k", origin="anthropic", at="q"),), extras={"odd": 1}, at="t"
    )
    wanted = foreign(
        Message(role="user", blocks=(text, Native(origin="anthropic", data={"type": "n"}, at="n"))),
        Message(role="user", blocks=(Media(kind="document", source=Url(url="https://x.example/a.pdf"), at="d"),)),
        Message(role="user", blocks=(Media(kind="image", source=FileRef(id="f", origin="anthropic"), at="f"),)),
        sampling=Sampling(top_k=4, n=2, stop=("a", "b", "c", "d", "e")),
        thinking=Thinking(budget=9000, summary="auto"),
        metadata={"a": "b"},
        service_tier="standard_only",
        tools=(Tool(name="s", kind="hosted", hosted="web_search", native={"type": "web_search_20250305"}, at="tools[0]"),),
        tool_choice=ToolChoice(mode="auto"),
        parallel_tool_calls=False,
    )
    rendered = OPENAI_CHAT.render_request(wanted, Target(model="a-model", issuer="i"))
    told = {loss.path for loss in rendered.losses}
    assert {
        "c",
        "q",
        "t.odd",
        "n",
        "d",
        "f",
        "top_k",
        "stop_sequences",
        "thinking",
        "metadata",
        "service_tier",
        "tools[0]",
    } <= told
    assert {"tool_choice", "tool_choice.disable_parallel_tool_use"} <= told
    assert rendered.body["stop"] == ["a", "b", "c", "d"]
    assert rendered.body["reasoning_effort"] == "high"


def test_a_reasoning_model_gets_no_sampling_and_another_no_effort():
    """OpenAI answers 400 to either, and clients of other dialects always send some of it (Gemini CLI: temperature and topP)."""
    wanted = foreign(
        sampling=Sampling(temperature=0.5, top_p=0.9, stop=("a",)), thinking=Thinking(enabled=True, budget=31999, at="thinking")
    )
    reasoning = OPENAI_CHAT.render_request(wanted, Target(model="gpt-5-mini", issuer="i"))
    assert not {"temperature", "top_p", "stop"} & reasoning.body.keys()
    assert {"temperature", "top_p", "stop_sequences"} <= {loss.path for loss in reasoning.losses if loss.weight == "dropped"}
    plain = OPENAI_CHAT.render_request(wanted, Target(model="gpt-4.1-mini", issuer="i"))
    assert "reasoning_effort" not in plain.body
    assert plain.body["top_p"] == 0.9
    assert [loss.path for loss in plain.losses] == ["thinking"]
    unknown = OPENAI_CHAT.render_request(wanted, Target(model="local-model", issuer="i")).body
    assert {"temperature", "top_p", "stop", "reasoning_effort"} <= unknown.keys()


def test_hosted_search_becomes_options_for_a_search_model_only():
    """Any other model answers 400 to web_search_options."""
    tool = Tool(name="s", kind="hosted", hosted="web_search", native={"user_location": {"city": "Cork", "type": "approximate"}})
    wanted = foreign(tools=(tool,))
    body = OPENAI_CHAT.render_request(wanted, Target(model="gpt-5-search-api", issuer="i")).body
    assert body["web_search_options"]["user_location"]["approximate"] == {"city": "Cork"}
    assert "web_search_options" not in render(wanted).body


def test_a_custom_tool_becomes_a_function_abroad():
    """Free-form tools are OpenAI's; the one string parameter is unwrapped again on the way back."""
    wanted = foreign(tools=(Tool(name="calc", kind="custom", native={"type": "custom"}),))
    (tool,) = render(wanted).body["tools"]
    assert tool["function"]["parameters"]["required"] == ["input"]


def test_foreign_reasoning_never_reaches_the_upstream_but_its_own_does():
    """Unsigned thinking is refused; DeepSeek demands its own back."""
    own = Seal(dialect="openai_chat", data="", issuer="here", kind="reasoning_content")
    strange = Seal(dialect="anthropic", data="EqQB")
    wanted = foreign(
        Message(
            role="assistant",
            blocks=(Reasoning(text="mine", seal=own), Reasoning(text="other", seal=strange, at="o"), Text(text="hi")),
        )
    )
    rendered = render(wanted)
    assert rendered.body["messages"] == [{"role": "assistant", "reasoning_content": "mine", "content": "hi"}]
    assert [(loss.path, loss.weight) for loss in rendered.losses] == [("o", "hint")]


def test_pass_edits_touch_only_the_model_and_stream_options():
    """Bytes that need no change are not changed."""
    assert OPENAI_CHAT.pass_edits(call(), TARGET) == {}
    edits = OPENAI_CHAT.pass_edits(call(stream=True, model="fast"), TARGET)
    assert edits == {"model": b'"gpt-5"', "stream_options": b'{"include_usage":true}'}
    asked = call(stream=True, stream_options={"include_usage": True})
    assert OPENAI_CHAT.pass_edits(asked, TARGET) == {}
