"""What the demo model makes of a conversation."""

import pytest

from gatewright.ir.blocks import FileRef, Inline, Media, Message, Reasoning, Refusal, Text, ToolCall, ToolResult, Url
from gatewright.ir.request import Request, Tool
from gatewright.transport.demo.reading import (
    count_tokens,
    describe,
    echo,
    harmless_first,
    last_results,
    last_words,
    mentions,
    plural,
    quoted_word,
    text_of,
)


def request(*messages, **fields):
    return Request(origin="anthropic", model="demo", messages=messages, **fields)


def says(role, *blocks):
    return Message(role=role, blocks=blocks)


def test_the_last_words_are_the_users_last_text():
    """Tool results and pictures are not words."""
    result = ToolResult(call_id="a", content=(Text(text="12"),))
    asked = request(says("user", Text(text="one")), says("assistant", Text(text="two")), says("user", result))
    assert last_words(asked) == "one"
    assert last_words(request()) == ""


def test_results_count_only_after_the_models_last_turn():
    """Several messages of results are one turn."""
    results = [ToolResult(call_id=name, content=()) for name in "abc"]
    asked = request(says("user", results[0]), says("assistant"), says("user", results[1]), says("user", results[2]))
    assert [result.call_id for result in last_results(asked)] == ["b", "c"]


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (Text(text="a"), "a"),
        (Refusal(text="no"), "no"),
        (Reasoning(text="t", summary=("s",)), "t\ns"),
        (ToolCall(id="", name="n", arguments="{}"), "{}"),
        (ToolResult(call_id="", content=(Text(text="x"), Text(text="y"))), "x\ny"),
        (ToolResult(call_id="", content=(), structured={"a": 1}), '{"a":1}'),
    ],
)
def test_every_block_has_its_text(block, text):
    """Tokens are counted by it."""
    assert text_of(block) == text


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (Inline(media_type="image/png", data="AAAA"), "an image (image/png, 3 bytes)"),
        (Inline(media_type="image/png", data="AA=="), "an image (image/png, 1 byte)"),
        (Inline(media_type="", data="AAAA"), "an image (unknown type, 3 bytes)"),
        (Inline(media_type="text/plain", data="é", text=True), "an image (text/plain, 2 bytes)"),
        (Url(url="https://h/x"), "an image (by URL)"),
        (Url(url="gs://b/x"), "an image (by reference)"),
        (FileRef(id="f", origin="gemini"), "an image (by file id)"),
    ],
)
def test_media_are_described_by_source(source, told):
    """Kind, type and size."""
    assert describe(Media(kind="image", source=source)) == told


def test_tokens_are_characters_by_four_tools_included():
    """And never none."""
    assert count_tokens(request(says("user", Text(text="12345")))) == 2
    assert count_tokens(request(tools=(Tool(name="abcd", parameters={}),))) == 2
    assert count_tokens(request()) == 1


@pytest.mark.parametrize(
    ("asked", "name", "named"),
    [
        ("get_weather", "get_weather", True),
        ("Get the weather", "get_weather", False),
        ("get weather!", "getWeather", True),
        ("bash", "bash", False),
        ("use bash", "bash", True),
        ("rewrite", "write", False),
    ],
)
def test_tools_are_named_or_not(asked, name, named):
    """Common words name nothing by themselves."""
    assert mentions(asked, name) == named


def test_small_words():
    """Plurals, echoes, quotes, and the tool that only looks."""
    assert (plural(1, "byte"), plural(2, "byte")) == ("1 byte", "2 bytes")
    assert (echo("abc", 3), echo("abcd", 3)) == ("abc", "…bcd")
    assert (quoted_word('in "Rome"'), quoted_word("in “Rome”"), quoted_word("in Rome")) == ("Rome", "Rome", "demo")
    assert (harmless_first(("rm", "list_files")), harmless_first(("rm", "mv"))) == ("list_files", "rm")
