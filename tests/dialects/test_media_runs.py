"""Media written out in a body are told from words, in every dialect, and words cost hardly anything to look through."""

import base64
import json

import pytest

from gatewright.dialects.media_runs import SMALL_BYTES, media_in

PICTURE = base64.b64encode(bytes(range(256)) * 60).decode()
PARTS = {
    "openai_chat": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
    "openai_responses": {"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"},
    "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
    "gemini": {"inlineData": {"mimeType": "image/png", "data": PICTURE}},
    "bedrock_converse": {"image": {"format": "png", "source": {"bytes": PICTURE}}},
}
MORE = [
    ("openai_chat", {"type": "input_audio", "input_audio": {"data": PICTURE, "format": "wav"}}),
    ("openai_chat", {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PICTURE}"}}),
    ("gemini", {"inline_data": {"mime_type": "image/png", "data": PICTURE}}),
]


@pytest.mark.parametrize(("dialect", "part"), [*PARTS.items(), *MORE])
def test_each_way_to_write_media_out_is_found(dialect, part):
    """Once for each; and nearly all of the body is theirs."""
    body = json.dumps({"messages": [{"content": [part, part]}]}).encode()
    media, size = media_in(body, dialect)
    assert media == 2
    assert len(body) - size < 500


@pytest.mark.parametrize("dialect", PARTS)
def test_words_are_no_media(dialect):
    """However many."""
    assert media_in(json.dumps({"text": "all happy families are alike; " * 4000}).encode(), dialect) == (0, 0)


def test_a_word_that_media_stand_beside_makes_none_of_words():
    """Somebody asks about base64."""
    assert media_in(json.dumps({"text": "what is base64, and why? " * 4000}).encode(), "openai_chat") == (0, 0)


def test_small_bodies_are_not_looked_at():
    """They hold none worth speaking of."""
    assert media_in(b"base64" + b"A" * (SMALL_BYTES - 6), "openai_chat") == (0, 0)
