"""Conversations from abroad, in the order the API insists on."""

import re

import msgspec
import pytest

from gatewright.dialects.anthropic import ANTHROPIC
from gatewright.ir.blocks import Inline, Media, Native, Reasoning, Text, ToolCall, ToolResult
from gatewright.ir.seal import Seal
from tests.dialects.anthropic.asking import abroad, paths, said, target


def called(call_id, name="look", **more):
    return ToolCall(id=call_id, name=name, arguments='{"q":1}', **more)


def result(call_id, text="found", **more):
    return ToolResult(call_id=call_id, content=(Text(text=text, bare=True),), **more)


def kinds(message):
    content = message["content"]
    return content if isinstance(content, str) else [block["type"] for block in content]


def test_results_of_parallel_calls_become_one_turn():
    """Chat sends a message for each result; the API refuses results that are spread."""
    body, losses, _ = abroad(
        said("user", "Go"),
        said("assistant", called("a"), called("b")),
        said("user", result("b"), at="messages[2]"),
        said("user", result("a"), at="messages[3]"),
        said("user", "And?"),
    )
    assert [kinds(message) for message in body["messages"]] == [
        "Go",
        ["tool_use", "tool_use"],
        ["tool_result", "tool_result", "text"],
    ]
    assert paths(losses) == []


def test_words_before_a_result_are_moved_behind_it():
    """Results stand first in their turn; that something was moved is said."""
    body, losses, _ = abroad(
        said("user", "Go"), said("assistant", called("a")), said("user", "Well:", result("a"), at="messages[2]")
    )
    assert kinds(body["messages"][2]) == ["tool_result", "text"]
    assert paths(losses, "approximated") == ["messages[2]"]


def test_a_call_without_a_result_is_given_one():
    """An unanswered call makes the API refuse the whole conversation."""
    body, losses, _ = abroad(said("user", "Go"), said("assistant", called("a")), said("user", "Never mind."))
    assert body["messages"][2]["content"][0]["tool_use_id"] == "a"
    assert body["messages"][2]["content"][0]["is_error"] is True
    assert [loss.value for loss in losses if loss.weight == "approximated"] == ["a"]


def test_a_call_at_the_very_end_is_given_a_turn_of_results():
    """The same where nothing follows at all."""
    body, _, _ = abroad(said("user", "Go"), said("assistant", called("a")))
    assert kinds(body["messages"][-1]) == ["tool_result"]


def test_a_result_nobody_asked_for_is_told_as_text():
    """Its words survive, and it is said that they are no result any more."""
    body, losses, _ = abroad(said("user", result("gone", "42 fish")))
    assert [block["text"] for block in body["messages"][0]["content"]] == ["Result of tool call gone:", "42 fish"]
    assert "gone" in [loss.value for loss in losses]


@pytest.mark.parametrize("call_id", ["call:1", "x" * 90, "é", "functions.look:0"])
def test_ids_are_made_acceptable_and_still_pair(call_id):
    """Only letters, digits, _ and -, at most 64; the same id always becomes the same."""
    messages = (said("user", "Go"), said("assistant", called(call_id)), said("user", result(call_id)))
    body, _, _ = abroad(*messages)
    sent = body["messages"][1]["content"][0]["id"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", sent)
    assert body["messages"][2]["content"][0]["tool_use_id"] == sent
    assert abroad(*messages)[0] == body


def test_an_id_used_twice_is_made_unique():
    """Some hosts count their calls anew in every turn."""
    body, _, _ = abroad(
        said("user", "Go"),
        said("assistant", called("call_0")),
        said("user", result("call_0", "one")),
        said("assistant", called("call_0")),
        said("user", result("call_0", "two")),
    )
    first, second = (body["messages"][i]["content"][0]["id"] for i in (1, 3))
    assert first != second
    assert body["messages"][4]["content"][0]["tool_use_id"] == second


def test_results_without_ids_answer_the_calls_of_their_name():
    """Gemini names calls and gives no ids."""
    body, _, _ = abroad(
        said("user", "Go"),
        said("assistant", called("", "first"), called("", "second")),
        said("user", result("", "of second", name="second"), result("", "of first", name="first")),
    )
    ids = {block["name"]: block["id"] for block in body["messages"][1]["content"]}
    told = {block["tool_use_id"]: block["content"] for block in body["messages"][2]["content"]}
    assert told == {ids["first"]: "of first", ids["second"]: "of second"}


def test_instructions_within_the_conversation_are_moved_to_the_top():
    """From abroad `system` is one place; that they moved is said."""
    body, losses, _ = abroad(said("system", "A"), said("user", "Hi"), said("system", "B", at="messages[2]"), said("user", "Go"))
    assert [block["text"] for block in body["system"]] == ["A", "B"]
    assert [kinds(message) for message in body["messages"]] == [["text", "text"]]
    assert paths(losses, "approximated") == ["messages[2]"]


def test_the_user_begins():
    """A conversation that starts with the assistant gets a word before it."""
    body, losses, _ = abroad(said("assistant", "Welcome.", at="messages[0]"), said("user", "Hi"))
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert paths(losses, "approximated") == ["messages[0]"]


def test_instructions_alone_still_make_a_conversation():
    """The API wants at least one message."""
    body, _, _ = abroad(said("system", "Write a haiku."))
    assert body["messages"] == [{"role": "user", "content": "Continue."}]


def test_white_space_after_a_prefill_is_cut():
    """The API refuses it; older models continue the rest."""
    body, losses, _ = abroad(said("user", "Hi"), said("assistant", "The lamp is \n"))
    assert body["messages"][-1]["content"] == "The lamp is"
    assert [loss.weight for loss in losses] == ["hint"]


def test_newer_models_are_asked_to_continue_instead():
    """They refuse a conversation that ends with the assistant."""
    body, _, _ = abroad(said("user", "Hi"), said("assistant", "The lamp is"), model="claude-opus-4-8")
    assert body["messages"][-1] == {"role": "user", "content": "Continue."}


def test_empty_text_is_left_out():
    """The API refuses empty text blocks, and a turn of nothing else."""
    body, losses, _ = abroad(said("user", ""), said("assistant", "", called("a")), said("user", result("a")))
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert kinds(body["messages"][1]) == ["tool_use"]
    assert len([loss for loss in losses if loss.weight == "hint"]) == 2


def test_unsigned_and_foreign_reasoning_is_dropped_with_its_words_in_the_losses():
    """The API takes no thinking without a signature of its own."""
    foreign = Reasoning(text="secret plan", seal=Seal(dialect="openai_responses", data="enc"), at="messages[1].content[0]")
    body, losses, _ = abroad(said("user", "Hi"), said("assistant", foreign, "Hello"), said("user", "Go"))
    assert body["messages"][1] == {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]}
    assert losses[0].value["text"] == "secret plan"
    assert losses[0].value["seal"]["data"] == "enc"


def test_its_own_signature_comes_home_from_any_client():
    """A seal of this endpoint is written as the API knows it; one of another endpoint is not."""
    mine = Reasoning(text="Hm", seal=Seal(dialect="anthropic", data="Sig", issuer="upstream"))
    hidden = Reasoning(redacted=True, seal=Seal(dialect="anthropic", data="Red", issuer="upstream", kind="redacted_thinking"))
    other = Reasoning(text="Ah", seal=Seal(dialect="anthropic", data="No", issuer="elsewhere"))
    body, _, _ = abroad(said("user", "Hi"), said("assistant", mine, hidden, other, "Hello"), said("user", "Go"))
    assert body["messages"][1]["content"][:2] == [
        {"type": "thinking", "thinking": "Hm", "signature": "Sig"},
        {"type": "redacted_thinking", "data": "Red"},
    ]
    assert len(body["messages"][1]["content"]) == 3


def test_what_the_api_cannot_take_is_reported_whole():
    """Sound, foreign blocks, pictures in an answer: deleting any field of them would change the losses."""
    sound = Media(kind="audio", source=Inline(media_type="audio/wav", data="UklG"), at="messages[0].content[0]")
    native = Native(origin="openai_chat", data={"type": "odd", "x": 1}, at="messages[0].content[1]")
    body, losses, _ = abroad(said("user", sound, native, "Hi"))
    assert kinds(body["messages"][0]) == ["text"]
    assert [loss.path for loss in losses] == ["messages[0].content[0]", "messages[0].content[1]"]
    assert losses[1].value == {"type": "odd", "x": 1}


@pytest.mark.parametrize(
    ("kind", "media_type", "data", "source"),
    [
        ("image", "image/jpg", "/9j/4A", {"type": "base64", "media_type": "image/jpeg", "data": "/9j/4A"}),
        ("image", "", "iVBORw", {"type": "base64", "media_type": "image/png", "data": "iVBORw"}),
        ("image", "image/tiff", "SUkq", None),
        ("document", "application/pdf", "JVBE\nRi0=", {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}),
        ("document", "text/csv", "YSxi", {"type": "text", "media_type": "text/plain", "data": "a,b"}),
        ("document", "application/zip", "UEsD", None),
    ],
)
def test_media_are_told_as_the_api_reads_them(kind, media_type, data, source):
    """Four image types, PDF and text; the rest is a loss."""
    body, losses, _ = abroad(said("user", "See:", Media(kind=kind, source=Inline(media_type=media_type, data=data), at="here")))
    blocks = [block for block in body["messages"][0]["content"] if isinstance(block, dict) and block["type"] == kind]
    assert [block["source"] for block in blocks] == ([source] if source else [])
    assert bool(paths(losses, "dropped")) == (source is None)


def test_rendering_is_deterministic():
    """The same request gives the same bytes."""
    messages = (said("user", "Go"), said("assistant", called("a:b"), called("")), said("user", result("a:b")))
    first, _, _ = abroad(*messages)
    assert msgspec.json.encode(first) == msgspec.json.encode(abroad(*messages)[0])
    assert ANTHROPIC.name == "anthropic"
    assert target().issuer == "upstream"
