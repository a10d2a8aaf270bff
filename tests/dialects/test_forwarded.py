"""Forwarded endpoints: families by path, models and usage by a look at the bytes."""

import json

import pytest

from gatewright.dialects.forwarded import begins_batch, family_of, model_in_json, rename_in_embeddings, usage_in, usage_in_tail


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("/v1/embeddings", "embeddings"),
        ("/images/edits", "images"),
        ("/v1/audio/speech", "audio"),
        ("/v1/completions", "completions"),
        ("/v1/files/file-1/content", "files"),
        ("/v1/uploads/u/parts", "files"),
        ("/v1/messages/batches/b/results", "batches"),
        ("/v1beta/models/m:batchEmbedContents", "embeddings"),
        ("/v1beta/models/m:predict", "any"),
        ("/v1/brand/new", "any"),
        ("/v1/chat/completions/abc", "any"),
        ("/", "any"),
    ],
)
def test_paths_belong_to_families(path, family):
    """By their first segment, or by Gemini's action."""
    assert family_of(path) == family


def test_a_model_is_a_string_at_the_top():
    """Anything else names none."""
    assert model_in_json(b'{"input": {"model": "no"}, "model": "yes"}') == "yes"
    for body in (b"", b"[]", b'{"model": 5}', b"\xff", b'{"messages": [{"model": "x"}]}'):
        assert model_in_json(body) == ""


def test_a_batch_of_embeddings_names_the_model_of_its_path():
    """Only names change; what names none, and what is no such call, stays as it was."""
    body = b'{"requests": [{"model": "models/a", "x": 1.50}, {"x": 2}]}'
    renamed = rename_in_embeddings(body, "b")
    assert b'"x":1.50' in renamed
    assert json.loads(renamed) == {"requests": [{"model": "models/b", "x": 1.5}, {"x": 2}]}
    for same in (b'{"content": {}}', b'{"requests": 5}', b"no json", b'{"model": "models/b"}'):
        assert rename_in_embeddings(same, "b") == same


@pytest.mark.parametrize(
    ("document", "read", "written"),
    [
        ({"usage": {"prompt_tokens": 3, "total_tokens": 3}}, 3, None),
        ({"usage": {"input_tokens": 3, "output_tokens": 4}}, 3, 4),
        ({"usage": {"total_tokens": 9}}, 9, None),
        ({"usageMetadata": {"promptTokenCount": 5}}, 5, None),
    ],
)
def test_usage_under_every_vendors_names(document, read, written):
    """In a whole answer, and at the end of a stream."""
    usage = usage_in(json.dumps(document).encode())
    assert (usage.input, usage.output) == (read, written)


def test_what_is_counted_within_is_told_apart():
    """Each costs something else: a transcript's sound, what a completion read from a cache, Cohere's own units."""
    heard = {
        "type": "tokens",
        "input_tokens": 14,
        "input_token_details": {"text_tokens": 10, "audio_tokens": 4},
        "output_tokens": 9,
    }
    usage = usage_in(json.dumps({"text": "hi", "usage": heard}).encode())
    assert (usage.input, usage.audio_in, usage.output) == (10, 4, 9)
    read = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": "x"}}
    usage = usage_in(json.dumps({"usage": read}).encode())
    assert (usage.input, usage.cache_read, usage.audio_in, usage.output) == (36, 64, None, 5)
    meta = {"billed_units": {"input_tokens": 7}, "api_version": {"version": "2"}}
    assert usage_in(json.dumps({"embeddings": {}, "meta": meta}).encode()).input == 7


def test_no_usage_is_none():
    """Not zero."""
    for body in (b"", b"[]", b'{"usage": null}', b'{"data": []}', b"\x00\xff"):
        assert usage_in(body) is None
        assert usage_in_tail(body) is None


def test_the_last_usage_of_a_stream_is_found_in_its_tail():
    """Nested objects, words that look like it, and a cut beginning do not mislead."""
    tail = b'AAAA", "usage": {"input_tokens": 1}}\n\ndata: {"text": "\\"usage\\" {", "usage" : {"input_tokens": 7, "d": {"x": 1}, "output_tokens": 2}}\n\ndata: [DONE]\n\n'
    usage = usage_in_tail(tail)
    assert (usage.input, usage.output) == (7, 2)
    assert usage_in_tail(b'data: {"usage": {"input_tokens": 1}}\n\ndata: {"usage": null}\n\n').input == 1
    assert usage_in_tail(b'data: {"usage": {"input_tokens": ') is None


@pytest.mark.parametrize(
    ("method", "path", "begins"),
    [
        ("POST", "/v1/batches", True),
        ("POST", "/v1/messages/batches", True),
        ("POST", "/v1beta/models/gemini-2.5-flash:batchGenerateContent", True),
        ("GET", "/v1/batches", False),
        ("GET", "/v1/batches/b", False),
        ("POST", "/v1/batches/b/cancel", False),
        ("DELETE", "/v1/messages/batches/b", False),
        ("POST", "/v1beta/models/gemini-embedding-001:batchEmbedContents", False),
    ],
)
def test_what_begins_a_batch(method, path, begins):
    """Not what asks for one, ends one, or is answered at once."""
    assert begins_batch(method, path) is begins
