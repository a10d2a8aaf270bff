"""Conversations in the words of OpenTelemetry's GenAI conventions: of the form that their JSON schemas ask for, and nothing left out."""

import json

import pytest
from tests.laws import cases
from tests.laws.seen import see

from gatewright.ir.blocks import Media, Message, Native, Reasoning, Refusal, Text, ToolCall, ToolResult, Url
from gatewright.ir.request import Request
from gatewright.record import otlp_messages as told
from gatewright.record.otlp_attributes import bounded
from gatewright.wire import json as wire_json

REQUIRED = {
    "text": {"content"},
    "reasoning": {"content"},
    "tool_call": {"name"},
    "tool_call_response": {"response"},
    "blob": {"modality", "content"},
    "uri": {"modality", "uri"},
    "file": {"modality", "file_id"},
}
"""docs/gen-ai/gen-ai-input-messages.json of semantic-conventions-genai: `required` of each part; any other type is a GenericPart."""


def check_parts(parts):
    for part in parts:
        assert isinstance(part["type"], str)
        assert part["type"]
        assert REQUIRED.get(part["type"], set()) <= part.keys(), part
        for name in ("content", "name", "uri", "file_id"):
            assert isinstance(part.get(name, ""), str), part


@pytest.mark.parametrize("dialect", list(cases.MODEL))
def test_every_case_is_of_the_schemas_form(dialect):
    """All cases and recordings: roles, parts and finish reasons, in JSON that can be written."""
    count = 0
    for place, path in cases.files():
        seen = see(place, path)
        if seen.case.dialect != dialect:
            continue
        if seen.request is not None:
            messages = told.input_messages(seen.request)
            for message in messages:
                assert message["role"] in ("system", "user", "assistant", "tool"), path
                check_parts(message["parts"])
            check_parts(told.instructions(seen.request))
            assert all(tool["type"] and "name" in tool for tool in told.tool_definitions(seen.request.tools))
            texts = sum(isinstance(block, Text) for message in seen.request.messages for block in message.blocks)
            written = [part for message in messages for part in message["parts"]] + told.instructions(seen.request)
            assert sum(part["type"] == "text" for part in written) >= texts, path
            json.loads(bounded(messages))
        if seen.answer is not None:
            answers = told.output_messages(seen.answer)
            assert len(answers) == 1 + len(seen.answer.others)
            for message in answers:
                assert message["role"] == "assistant"
                assert isinstance(message["finish_reason"], str)
                check_parts(message["parts"])
            assert len(answers[0]["parts"]) == len(seen.answer.blocks)
        count += 1
    assert count > 30


def test_results_of_tools_are_messages_of_their_own():
    """In the neutral form they travel with the user; the conventions have a role for them."""
    blocks = (
        ToolResult(call_id="c1", content=(Text(text="1.2 m"),)),
        ToolResult(call_id="c2", content=(), structured={"m": 3}, is_error=True, name="depth"),
        Text(text="And now?"),
    )
    request = Request(origin="anthropic", model="m", messages=(Message(role="user", blocks=blocks),))
    assert told.input_messages(request) == [
        {
            "role": "tool",
            "parts": [
                {"type": "tool_call_response", "id": "c1", "response": "1.2 m"},
                {"type": "tool_call_response", "id": "c2", "response": {"m": 3}, "name": "depth", "is_error": True},
            ],
        },
        {"role": "user", "parts": [{"type": "text", "content": "And now?"}]},
    ]


def test_what_the_conventions_have_no_part_for_is_a_part_all_the_same():
    """Refusals, other providers' blocks, arguments that are no JSON, summaries of reasoning."""
    blocks = (
        Refusal(text="No."),
        Native(origin="anthropic", data={"type": "server_tool_use", "id": "s1"}),
        ToolCall(id="c", name="f", arguments="{broken"),
        Reasoning(summary=("a", "b")),
        Media(kind="image", source=Url(url="https://x/y.png")),
    )
    assert list(told.parts(blocks)) == [
        {"type": "refusal", "content": "No."},
        {"type": "server_tool_use", "native": {"type": "server_tool_use", "id": "s1"}},
        {"type": "tool_call", "id": "c", "name": "f", "arguments": "{broken"},
        {"type": "reasoning", "content": "a\n\nb"},
        {"type": "uri", "modality": "image", "mime_type": None, "uri": "https://x/y.png"},
    ]


def test_an_attribute_is_bounded_by_its_oldest_messages():
    """What was said last is what a reader of a trace looks for; how much is missing is said."""
    messages = [{"role": "user", "parts": [{"type": "text", "content": f"{n} " + "x" * 100}]} for n in range(1000)]
    text = bounded(messages, 10_000)
    kept = json.loads(text)
    assert len(text) < 10_200
    assert kept[-1] == messages[-1]
    assert kept[0]["parts"] == [{"type": "omitted", "count": 1000 - len(kept) + 1}]
    assert json.loads(bounded(messages[:3])) == messages[:3]


def test_a_lone_surrogate_costs_one_message():
    """JSON of clients may hold one; protobuf and JSON of ours may not."""
    lone = {"role": "user", "parts": [{"type": "text", "content": "\ud800"}]}
    assert "unreadable" in bounded([lone, {"role": "user", "parts": []}])
    with pytest.raises(wire_json.BadJson):
        wire_json.encode(lone)
