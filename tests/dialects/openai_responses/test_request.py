"""Requests, both ways."""

import pytest

from gatewright.dialects.openai_responses import OPENAI_RESPONSES
from gatewright.dialects.openai_responses.tools import flat_name
from gatewright.errors import Malformed
from gatewright.ir.blocks import Inline, Media, Message, Native, Reasoning, Text, ToolCall, ToolResult
from gatewright.ir.request import Request, Sampling, Thinking, Tool
from gatewright.ir.seal import Seal, pack
from tests.dialects.openai_responses.speaking import TARGET, request_of

FUNCTION = {"type": "function", "name": "read", "parameters": {"type": "object", "properties": {}}, "strict": False}
SPACE = {"type": "namespace", "name": "mcp__fs__", "description": "Files.", "tools": [FUNCTION]}


def sent(request, target=TARGET):
    return OPENAI_RESPONSES.render_request(request, target)


def foreign(*messages, **fields):
    return Request(origin="anthropic", model="claude", messages=messages, **fields)


def test_tools_of_a_namespace_have_flat_names_abroad():
    """Other providers have no namespaces: the name says both, and the call in the history says the same name."""
    call = {"type": "function_call", "call_id": "c", "name": "read", "namespace": "mcp__fs__", "arguments": "{}"}
    request = request_of(tools=[SPACE], input=[call])
    assert request.tools[0].name == "mcp__fs__read"
    assert request.messages[0].blocks[0].name == "mcp__fs__read"
    assert sent(request).body["tools"] == [SPACE]
    assert sent(request).body["input"] == [call]


def test_flat_names_fit_and_differ():
    """A name too long or with odd letters is cut, and two that would be cut alike stay two."""
    names = {flat_name("n" * 70, "a"), flat_name("n" * 70, "b"), flat_name("a.b", "c"), flat_name("a_b", "c")}
    assert len(names) == 4
    assert all(len(name) <= 64 and name.replace("_", "").isalnum() for name in names)


def test_additional_tools_are_tools_and_keep_their_place():
    """The newest models take tools inside the input; elsewhere they are the request's tools."""
    item = {"type": "additional_tools", "role": "developer", "tools": [FUNCTION, SPACE]}
    given = [{"role": "user", "content": "a"}, item, {"role": "user", "content": "b"}]
    request = request_of(input=given)
    assert [tool.name for tool in request.tools] == ["read", "mcp__fs__read"]
    assert sent(request).body["input"] == given
    assert "tools" not in sent(request).body


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"input": 3}, "input"),
        ({"input": [3]}, "input[0]"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"type": "function_call", "name": "f", "call_id": "c"}]}, "input[0].arguments"),
        ({"input": "x", "tool_choice": "sometimes"}, "tool_choice"),
        ({"input": "x", "temperature": "hot"}, "temperature"),
        ({"input": "x", "text": {"format": {"type": "poem"}}}, "text.format.type"),
        ({"input": "x", "tools": [{"name": "f"}]}, "tools[0].type"),
    ],
)
def test_wrong_shapes_are_refused_with_their_path(body, path):
    """A client learns where it went wrong."""
    with pytest.raises(Malformed) as refused:
        request_of(**body)
    assert refused.value.problem.param == path


def test_what_only_the_provider_resolves_is_a_loss_and_previous_response_is_not():
    """Conversations cannot be guessed; a stored response is resolved before any dialect sees it."""
    request = request_of(input="x", conversation="conv_1", previous_response_id="resp_0", background=True)
    assert set(request.extras) == {"conversation", "background"}
    assert request.client == {"previous_response_id": "resp_0"}


def test_unknown_items_are_kept_whole():
    """What comes tomorrow goes through today."""
    item = {"type": "dream_call", "id": "d", "depth": 2}
    assert request_of(input=[item]).messages[0].blocks[0] == Native(origin="openai_responses", data=item, at="input[0]")


def test_another_dialects_thinking_comes_back_as_its_text():
    """It was shown as a summary, which clients keep; with its own seal it is the text again."""
    seal = Seal(dialect="anthropic", data="SIG", issuer="a")
    item = {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": pack(seal)}
    block = request_of(input=[item]).messages[0].blocks[0]
    assert isinstance(block, Reasoning)
    assert (block.text, block.summary, block.seal) == ("hm", (), seal)


def test_a_seal_of_another_endpoint_is_left_out_and_said():
    """OpenAI binds encrypted reasoning to the organisation that got it."""
    block = Reasoning(seal=Seal(dialect="openai_responses", data="x", issuer="azure"), at="messages[0].content[0]")
    rendered = sent(foreign(Message(role="assistant", blocks=(block,))))
    assert rendered.body["input"] == []
    assert [(loss.weight, loss.path) for loss in rendered.losses] == [("hint", "messages[0].content[0].signature")]


def test_calls_without_ids_are_paired_by_name():
    """Gemini's calls may have no id; here every output names its call."""
    calls = tuple(ToolCall(id="", name=name, arguments="{}") for name in ("a", "b"))
    results = tuple(ToolResult(call_id="", name=name, content=(Text(text=name),)) for name in ("b", "a"))
    request = foreign(Message(role="assistant", blocks=calls), Message(role="user", blocks=results))
    items = sent(request).body["input"]
    assert items[0]["call_id"] != items[1]["call_id"]
    assert [items[2]["call_id"], items[3]["call_id"]] == [items[1]["call_id"], items[0]["call_id"]]


def test_long_call_ids_are_shortened_alike():
    """The API takes 64 characters; a call and its output must still meet."""
    call = ToolCall(id="x" * 90, name="f", arguments="{}")
    result = ToolResult(call_id="x" * 90, content=(Text(text="ok"),))
    items = sent(foreign(Message(role="assistant", blocks=(call,)), Message(role="user", blocks=(result,)))).body["input"]
    assert items[0]["call_id"] == items[1]["call_id"]
    assert len(items[0]["call_id"]) <= 64


def test_other_dialects_store_nothing_and_get_their_reasoning_back():
    """Their clients keep the history themselves: nothing is stored, and reasoning comes sealed."""
    request = foreign(Message(role="user", blocks=(Text(text="x"),)), thinking=Thinking(enabled=True, budget=4000), max_tokens=9)
    rendered = sent(request)
    assert rendered.body["store"] is False
    assert rendered.body["include"] == ["reasoning.encrypted_content"]
    assert rendered.body["reasoning"] == {"effort": "medium", "summary": "auto"}
    assert rendered.body["max_output_tokens"] == 16
    assert {loss.path for loss in rendered.losses} == {"thinking", "max_tokens"}


def test_what_the_api_cannot_sample_is_said():
    """Stop sequences that vanish change the answer."""
    request = foreign(sampling=Sampling(stop=("END",), top_k=3, seed=1))
    assert {(loss.path, loss.weight) for loss in sent(request).losses} == {
        ("stop_sequences", "dropped"),
        ("top_k", "dropped"),
        ("seed", "dropped"),
    }


def test_freeform_tools_of_others_become_functions():
    """Only a client of this dialect can read a freeform call."""
    rendered = sent(Request(origin="openai_chat", model="m", tools=(Tool(name="p", kind="custom", at="tools[0]"),)))
    assert rendered.body["tools"][0]["parameters"]["required"] == ["input"]
    assert rendered.losses[0].weight == "approximated"


def test_pictures_say_their_type_and_unreadable_media_are_losses():
    """Audio is documented but refused; an image without a type is recognised by its first bytes."""
    image = Media(kind="image", source=Inline(media_type="", data="/9j/4AAQ"), at="messages[0].content[0]")
    audio = Media(kind="audio", source=Inline(media_type="audio/wav", data="UklG"), at="messages[0].content[1]")
    rendered = sent(foreign(Message(role="user", blocks=(image, audio))))
    assert rendered.body["input"][0]["content"][0]["image_url"] == "data:image/jpeg;base64,/9j/4AAQ"
    assert {(loss.path, loss.weight) for loss in rendered.losses} == {
        ("messages[0].content[0].media_type", "hint"),
        ("messages[0].content[1]", "dropped"),
    }


def test_a_reference_needs_no_type_and_a_result_no_call():
    """The API's own types leave both out; what names nothing to pair with stays what it is."""
    given = [{"id": "msg_1"}, {"type": "function_call_output", "output": "done"}]
    request = request_of(input=given)
    assert [type(message.blocks[0]) for message in request.messages] == [Native, Native]
    assert sent(request).body["input"] == given
