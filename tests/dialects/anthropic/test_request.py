"""Requests, read."""

import pytest

from gatewright.dialects.anthropic import ANTHROPIC
from gatewright.dialects.openai_chat import OPENAI_CHAT
from gatewright.errors import Malformed, Refused
from gatewright.ir.blocks import Inline, Media, Message, Native, Reasoning, Text, ToolCall, ToolResult
from gatewright.ir.request import Request, Target, Thinking
from tests.dialects.anthropic.asking import LEAST, call, target


def home(document, path="/v1/messages"):
    request = ANTHROPIC.parse_request(call(document, path))
    return ANTHROPIC.render_request(request, target(document["model"]))


@pytest.mark.parametrize(
    "more",
    [
        {"system": "Be brief."},
        {"system": [{"type": "text", "text": "A", "cache_control": {"type": "ephemeral", "ttl": "1h", "scope": "x"}}]},
        {"system": []},
        {"metadata": {"user_id": "u", "other": None}},
        {"metadata": {}},
        {"thinking": {"type": "enabled", "budget_tokens": 1024, "display": "odd"}},
        {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "max", "task_budget": {"n": 1}}},
        {"thinking": {"type": "novel", "budget_tokens": 5}},
        {"thinking": {}, "output_config": {}, "tools": [], "stop_sequences": None},
        {"output_config": {"format": {"type": "tomorrow"}}, "output_format": None},
        {"tool_choice": {"type": "new_choice", "x": 1}},
        {"tools": [{"type": "custom", "name": "a", "input_schema": {}, "description": None, "strict": False}]},
        {"tools": [{"type": "tomorrow_20270101", "name": "t", "deep": {"er": [None]}}]},
        {"messages": [{"role": "user", "content": []}, {"role": "assistant", "content": [], "note": 1}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "u", "extra": 1}}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": ""}]}]},
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "n"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": ""}]}]},
    ],
    ids=",".join,
)
def test_a_request_comes_back_as_it_was(more):
    """Nothing is lost at home: nulls, empty containers, unknown fields and words included."""
    document = {**LEAST, **more}
    rendered = home(document)
    assert rendered.body == document
    assert rendered.losses == ()


def test_a_word_for_thinking_that_is_unknown_is_a_loss_abroad():
    """What it asks for cannot be said elsewhere, and must not vanish there."""
    request = ANTHROPIC.parse_request(call({**LEAST, "thinking": {"type": "novel"}}))
    told = OPENAI_CHAT.render_request(request, Target(model="gpt-5.2", issuer="elsewhere"))
    assert [(loss.path, loss.weight, loss.value) for loss in told.losses] == [("thinking.type", "dropped", "novel")]


def test_counting_tokens_needs_no_limit():
    """count_tokens has the shape of messages without max_tokens, and goes to its own path."""
    document = {"model": "claude-x", "messages": [{"role": "user", "content": "Hi"}]}
    rendered = home(document, "/v1/messages/count_tokens")
    assert rendered.body == document
    assert rendered.path == "/v1/messages/count_tokens"


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        ({"tools": [{"name": "a"}]}, "tools[0].input_schema"),
        ({"tools": [{"type": 3}]}, "tools[0].type"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
        ({"temperature": True}, "temperature"),
        ({"thinking": {"budget_tokens": 1024}}, "thinking.type"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(more, path):
    """A person must find the field."""
    with pytest.raises(Malformed) as raised:
        ANTHROPIC.parse_request(call(**more))
    assert raised.value.problem.param == path


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"model": "\\ud800"}', b"[" * 100_000])
def test_nonsense_is_refused_in_words(body):
    """Not JSON, not an object, a lone surrogate, nesting without end."""
    with pytest.raises(Refused):
        ANTHROPIC.parse_request(call(body))


def test_a_thread_is_refused_with_the_code_the_sdk_falls_back_on():
    """Message threads are state that only Anthropic has."""
    with pytest.raises(Refused) as raised:
        ANTHROPIC.parse_request(call(thread={"type": "create"}))
    assert raised.value.problem.code == "thread_unsupported_request"


def test_blocks_become_what_they_mean():
    """Known blocks are neutral, unknown ones native, each with its place."""
    content = [
        {"type": "thinking", "thinking": "Hm", "signature": "Sig"},
        {"type": "text", "text": "A"},
        {"type": "tool_use", "id": "t1", "name": "n", "input": {"a": 1}},
        {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": [{"type": "text", "text": "bad"}]},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "D"}, "title": "T"},
        {"type": "tomorrow", "x": 1},
    ]
    message = ANTHROPIC.parse_request(call(messages=[{"role": "user", "content": content}])).messages[0]
    thinking, text, use, result, document, native = message.blocks
    assert isinstance(thinking, Reasoning)
    assert thinking.seal is not None
    assert (thinking.seal.dialect, thinking.seal.data) == ("anthropic", "Sig")
    assert isinstance(text, Text)
    assert isinstance(use, ToolCall)
    assert use.arguments == '{"a":1}'
    assert isinstance(result, ToolResult)
    assert (result.call_id, result.is_error) == ("t1", True)
    assert isinstance(document, Media)
    assert document.source == Inline(media_type="text/plain", data="D", text=True)
    assert isinstance(native, Native)
    assert [block.at for block in message.blocks] == [f"messages[0].content[{i}]" for i in range(6)]


def test_hosted_tools_are_told_by_their_meaning():
    """So that another provider's equivalent can stand in."""
    tools = [{"type": "web_search_20250305", "name": "web_search"}, {"type": "computer_20250124", "name": "computer"}]
    parsed = ANTHROPIC.parse_request(call(tools=tools)).tools
    assert [(tool.kind, tool.hosted) for tool in parsed] == [("hosted", "web_search"), ("hosted", "computer")]


def test_parallel_calls_are_forbidden_inside_the_choice():
    """disable_parallel_tool_use is the neutral parallel_tool_calls."""
    request = ANTHROPIC.parse_request(call(tool_choice={"type": "any", "disable_parallel_tool_use": True}))
    assert request.parallel_tool_calls is False
    assert request.tool_choice is not None
    assert request.tool_choice.mode == "required"


def test_effort_that_the_route_adds_is_told_as_the_model_takes_it():
    """An operator's override is no word of the client's: a model of budgets gets a budget."""
    request = Request(
        origin="anthropic",
        model="m",
        max_tokens=9000,
        messages=(Message(role="user", blocks=(Text(text="Hi"),)),),
        thinking=Thinking(enabled=True, effort="low"),
    )
    body = ANTHROPIC.render_request(request, Target(model="claude-haiku-4-5", issuer="claude")).body
    assert body["thinking"]["type"] == "enabled"
    assert "output_config" not in body
