"""What a request needs is told from its meaning, whatever its dialect."""

import json

import pytest

from gatewright.dialects import BY_NAME
from gatewright.pipeline.needs import IMAGE_TOKENS, Needs, needs_of, plainly_text
from gatewright.wire.http import Call

PIXEL = "iVBORw0KGgo="


def read(dialect: str, document: dict) -> Needs:
    path = {"gemini": "/v1beta/models/m:generateContent", "bedrock_converse": "/model/m/converse"}.get(dialect, "/v1/x")
    return needs_of(BY_NAME[dialect].parse_request(Call(path=path, body=json.dumps(document).encode())))


def user(*blocks) -> list:
    return [{"role": "user", "content": list(blocks)}]


CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
CASES = {
    "plain": ("openai_chat", CHAT, set()),
    "chat image": (
        "openai_chat",
        {"model": "m", "messages": user({"type": "image_url", "image_url": {"url": "https://h/i.png"}})},
        {"vision"},
    ),
    "chat audio": (
        "openai_chat",
        {"model": "m", "messages": user({"type": "input_audio", "input_audio": {"data": "aaaa", "format": "wav"}})},
        {"audio"},
    ),
    "chat file": (
        "openai_chat",
        {
            "model": "m",
            "messages": user({"type": "file", "file": {"file_data": "data:application/pdf;base64,aaaa", "filename": "f"}}),
        },
        {"documents"},
    ),
    "chat tools": ("openai_chat", {**CHAT, "tools": [{"type": "function", "function": {"name": "f"}}]}, {"tools"}),
    "chat schema": (
        "openai_chat",
        {**CHAT, "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}},
        {"json_schema"},
    ),
    "chat json": ("openai_chat", {**CHAT, "response_format": {"type": "json_object"}}, set()),
    "chat effort": ("openai_chat", {**CHAT, "reasoning_effort": "high"}, {"reasoning"}),
    "responses search": ("openai_responses", {"model": "m", "input": "hi", "tools": [{"type": "web_search"}]}, {"web_search"}),
    "responses image": (
        "openai_responses",
        {"model": "m", "input": user({"type": "input_image", "image_url": "https://h/i.png"})},
        {"vision"},
    ),
    "anthropic document": (
        "anthropic",
        {
            "model": "m",
            "max_tokens": 9,
            "messages": user({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "aaaa"}}),
        },
        {"documents"},
    ),
    "anthropic thinking": (
        "anthropic",
        {
            "model": "m",
            "max_tokens": 9000,
            "thinking": {"type": "enabled", "budget_tokens": 2000},
            "messages": user({"type": "text", "text": "x"}),
        },
        {"reasoning"},
    ),
    "anthropic image in a tool's result": (
        "anthropic",
        {
            "model": "m",
            "max_tokens": 9,
            "tools": [{"name": "f", "input_schema": {"type": "object"}}],
            "messages": [
                {"role": "user", "content": "go"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                *user(
                    {
                        "type": "tool_result",
                        "tool_use_id": "t",
                        "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}],
                    }
                ),
            ],
        },
        {"vision", "tools"},
    ),
    "anthropic cache": (
        "anthropic",
        {"model": "m", "max_tokens": 9, "messages": user({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}})},
        {"caching"},
    ),
    "gemini video": (
        "gemini",
        {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "video/mp4", "data": "aaaa"}}]}]},
        {"video"},
    ),
    "gemini schema": (
        "gemini",
        {
            "contents": [{"role": "user", "parts": [{"text": "x"}]}],
            "generationConfig": {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}},
        },
        {"json_schema"},
    ),
    "bedrock tools": (
        "bedrock_converse",
        {
            "messages": [{"role": "user", "content": [{"text": "x"}]}],
            "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]},
        },
        {"tools"},
    ),
}


@pytest.mark.parametrize(("dialect", "document", "found"), CASES.values(), ids=list(CASES))
def test_needs_are_found(dialect, document, found):
    """And nothing that is not needed."""
    assert read(dialect, document).capabilities == found


@pytest.mark.parametrize(("dialect", "document", "found"), CASES.values(), ids=list(CASES))
def test_what_is_plainly_text_needs_nothing_hard(dialect, document, found):
    """The look at the bytes may be wrong in one direction only."""
    body = json.dumps(document).encode()
    assert plainly_text(body) is False or not found - {"reasoning", "caching", "parallel_tools"}
    assert plainly_text(json.dumps(CHAT).encode())


def test_the_size_is_characters_over_four_and_a_flat_figure_for_images():
    """An estimate, like the one for counting tokens."""
    text = read("openai_chat", {"model": "m", "max_tokens": 7, "messages": [{"role": "user", "content": "x" * 4000}]})
    assert (text.tokens, text.sure_tokens, text.max_tokens, text.expected_output) == (1004, 1004, 7, 7)
    image = read("openai_chat", CASES["chat image"][1])
    assert image.tokens == IMAGE_TOKENS + 4
    assert image.expected_output == 1000


def test_inline_documents_do_not_count_towards_what_surely_does_not_fit():
    """Nobody knows by its bytes how long a PDF is."""
    data = "A" * 400_000
    needs = read(
        "anthropic",
        {
            "model": "m",
            "max_tokens": 9,
            "messages": user({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}),
        },
    )
    assert needs.tokens > 30_000
    assert needs.sure_tokens < 100
