"""Vertex AI's three dialects."""

import json

import pytest

from gatewright.providers.shapes import Said, shapes_of

PLACE = {"project": "acme", "location": "europe-west4"}
AT = "projects/acme/locations/europe-west4"


def wrapped(shape, settings=PLACE, **said):
    return shapes_of({"it": shape}, settings)["it"].request(Said(**said))


@pytest.mark.parametrize(
    ("settings", "model", "asked", "sent"),
    [
        (PLACE, "gemini-2.5-pro", "/v1beta/models/gemini-2.5-pro:generateContent",
         f"/v1beta1/{AT}/publishers/google/models/gemini-2.5-pro:generateContent"),
        (PLACE, "gemini-2.5-pro", "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
         f"/v1beta1/{AT}/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
        ({}, "gemini-2.5-pro", "/v1beta/models/gemini-2.5-pro:generateContent",
         "/v1beta1/publishers/google/models/gemini-2.5-pro:generateContent"),
        (PLACE, "endpoints/123", "/v1beta/models/endpoints/123:generateContent", f"/v1beta1/{AT}/endpoints/123:generateContent"),
        (PLACE, "projects/p/locations/l/endpoints/9", "/v1beta/models/x:generateContent",
         "/v1beta1/projects/p/locations/l/endpoints/9:generateContent"),
        (PLACE, "a/b:c", "/v1beta/models/a/b%3Ac:generateContent", f"/v1beta1/{AT}/publishers/google/models/a%2Fb%3Ac:generateContent"),
        (PLACE, "", "/v1beta/cachedContents", f"/v1beta1/{AT}/cachedContents"),
    ],
)  # fmt: skip
def test_gemini_is_called_under_project_and_location(settings, model, asked, sent):
    """The body stays as it is; with a key alone neither is named."""
    said = wrapped("vertex-gemini", settings, path=asked, model=model, body=b'{"contents": []}')
    assert said.path == sent
    assert said.body == b'{"contents": []}'


def test_what_is_counted_is_not_wrapped():
    """Google's other API wants the request in a field; this one takes it as it is."""
    body = json.dumps({"generateContentRequest": {"model": "models/m", "contents": [1], "tools": [2]}}).encode()
    said = wrapped("vertex-gemini", path="/v1beta/models/m:countTokens", model="m", body=body)
    assert json.loads(said.body) == {"contents": [1], "tools": [2]}
    assert (
        wrapped("vertex-gemini", path="/v1beta/models/m:countTokens", model="m", body=b'{"contents":[1]}').body
        == b'{"contents":[1]}'
    )


@pytest.mark.parametrize(("stream", "method"), [(False, "rawPredict"), (True, "streamRawPredict")])
def test_claudes_model_leaves_the_body_and_the_version_comes_in(stream, method):
    """The version is no header there; beta flags are."""
    said = wrapped(
        "vertex-anthropic",
        path="/v1/messages?beta=true",
        model="claude-sonnet-4-5@20250929",
        stream=stream,
        body=b'{"model":"claude-sonnet-4-5@20250929","max_tokens":1.0,"messages":[]}',
        headers=(("anthropic-version", "2023-06-01"), ("anthropic-beta", "context-1m-2025-08-07")),
    )
    assert said.path == f"/v1/{AT}/publishers/anthropic/models/claude-sonnet-4-5@20250929:{method}"
    assert said.headers == (("anthropic-beta", "context-1m-2025-08-07"),)
    assert said.body == b'{"max_tokens":1.0,"messages":[],"anthropic_version":"vertex-2023-10-16"}'


def test_claudes_tokens_are_counted_by_a_model_of_that_name():
    """There the model stays in the body."""
    said = wrapped("vertex-anthropic", path="/v1/messages/count_tokens", model="claude-x", body=b'{"model":"claude-x"}')
    assert said.path == f"/v1/{AT}/publishers/anthropic/models/count-tokens:rawPredict"
    assert json.loads(said.body) == {"model": "claude-x", "anthropic_version": "vertex-2023-10-16"}


def test_a_body_that_is_no_object_is_refused():
    """Nothing is sent that cannot be taken apart."""
    with pytest.raises(ValueError, match="not a JSON object"):
        wrapped("vertex-anthropic", path="/v1/messages", model="m", body=b"[")


def test_other_makers_models_are_called_by_chat_completions():
    """Path and nothing else."""
    said = wrapped("vertex-openai", path="/chat/completions", model="meta/llama", body=b"{}")
    assert said.path == f"/v1/{AT}/endpoints/openapi/chat/completions"
    assert said.body == b"{}"
