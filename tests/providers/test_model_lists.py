"""Every vendor's list of models is read, and what is none is told."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.pipeline.model_shapes import Shown, entry
from gatewright.providers.facts import Facts
from gatewright.providers.model_lists import read_page

OPENAI = {"object": "list", "data": [{"id": "gpt-5", "object": "model", "created": 1754425777, "owned_by": "openai"}]}
ANTHROPIC = {
    "data": [
        {
            "type": "model",
            "id": "claude-opus-4-6",
            "display_name": "Claude Opus 4.6",
            "created_at": "2026-02-05T00:00:00Z",
            "max_input_tokens": 200000,
            "max_tokens": 128000,
            "capabilities": {
                "image_input": {"supported": True},
                "pdf_input": {"supported": False},
                "thinking": {"supported": True},
            },
        }
    ],
    "has_more": True,
    "first_id": "claude-opus-4-6",
    "last_id": "claude-opus-4-6",
}
GEMINI = {
    "models": [
        {
            "name": "models/gemini-3-pro",
            "displayName": "Gemini 3 Pro",
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
            "thinking": True,
        },
        {"name": "models/embedding-001", "supportedGenerationMethods": ["embedContent"]},
    ],
    "nextPageToken": "Ch9",
}
OLLAMA = {"models": [{"name": "llama3.3:70b", "model": "llama3.3:70b", "size": 1, "details": {"family": "llama"}}]}
BEDROCK = {
    "modelSummaries": [
        {
            "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
            "modelId": "anthropic.claude-sonnet-4-5-20250929-v1:0",
            "modelName": "Claude Sonnet 4.5",
            "inputModalities": ["TEXT", "IMAGE"],
            "outputModalities": ["TEXT"],
        },
        {"modelId": "amazon.titan-embed-text-v2:0", "modelName": "Titan Embed", "outputModalities": ["EMBEDDING"]},
    ]
}
PROFILES = {
    "inferenceProfileSummaries": [
        {
            "inferenceProfileId": "us.anthropic.claude-opus-4-1-20250805-v1:0",
            "inferenceProfileName": "US Opus 4.1",
            "type": "SYSTEM_DEFINED",
        }
    ],
    "nextToken": "tok",
}
OPENROUTER = {
    "data": [
        {
            "id": "anthropic/claude-sonnet-4.5",
            "name": "Anthropic: Claude Sonnet 4.5",
            "created": 1759161676,
            "context_length": 1000000,
            "architecture": {"input_modalities": ["text", "image", "file"], "output_modalities": ["text"]},
            "pricing": {"prompt": "0.000003", "completion": "0.000015", "request": "0"},
            "top_provider": {"context_length": 200000, "max_completion_tokens": 64000, "is_moderated": True},
            "supported_parameters": ["tools", "reasoning", "max_tokens", "structured_outputs"],
        },
        {"id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
    ]
}
TOGETHER = [
    {"id": "Qwen/Qwen3", "type": "chat", "context_length": 262144, "pricing": {"hourly": 0, "input": 0.2, "output": 0.6}},
    {"id": "BAAI/bge", "type": "embedding"},
]
MISTRAL = {"data": [{"id": "m-large", "max_context_length": 131072, "capabilities": {"vision": True, "function_calling": True}}]}
COHERE = {
    "models": [
        {"name": "command-a", "endpoints": ["chat"], "context_length": 256000},
        {"name": "rr", "endpoints": ["rerank"], "context_length": 4096},
    ]
}
VERTEX = {"publisherModels": [{"name": "publishers/google/models/gemini-3-pro", "versionId": "default"}]}


@pytest.mark.parametrize(
    ("document", "names", "more"),
    [
        (OPENAI, ["gpt-5"], None),
        (ANTHROPIC, ["claude-opus-4-6"], ("after_id", "claude-opus-4-6")),
        (GEMINI, ["gemini-3-pro"], ("pageToken", "Ch9")),
        (OLLAMA, ["llama3.3:70b"], None),
        (BEDROCK, ["anthropic.claude-sonnet-4-5-20250929-v1:0"], None),
        (PROFILES, ["us.anthropic.claude-opus-4-1-20250805-v1:0"], ("nextToken", "tok")),
        (OPENROUTER, ["anthropic/claude-sonnet-4.5", "openrouter/auto"], None),
        (TOGETHER, ["Qwen/Qwen3"], None),
        (MISTRAL, ["m-large"], None),
        (COHERE, ["command-a"], None),
        (VERTEX, ["gemini-3-pro"], None),
        ({"data": []}, [], None),
        ({"data": ["a", 5, None, {}, {"id": 7}, {"id": ""}, {"id": "b"}]}, ["a", "b"], None),
    ],
)
def test_names_and_the_way_to_the_next_page(document, names, more):
    """Models that write text, by the names that requests use; embedders and painters are left out."""
    page = read_page(json.dumps(document).encode())
    assert [listed.name for listed in page.models] == names
    assert page.more == more


@pytest.mark.parametrize(
    ("document", "facts"),
    [
        (OPENAI, Facts(created=1754425777)),
        (
            ANTHROPIC,
            Facts(
                title="Claude Opus 4.6",
                created=1770249600,
                context=200000,
                max_output=128000,
                capabilities=("vision", "reasoning"),
                lacks=("documents",),
            ),
        ),
        (GEMINI, Facts(title="Gemini 3 Pro", context=1048576, max_output=65536)),
        (BEDROCK, Facts(title="Claude Sonnet 4.5", capabilities=("vision",), lacks=("audio", "video"))),
        (
            OPENROUTER,
            Facts(
                title="Anthropic: Claude Sonnet 4.5",
                created=1759161676,
                context=1000000,
                max_output=64000,
                capabilities=("vision", "documents", "tools", "reasoning", "json_schema"),
                lacks=("audio", "video"),
                input_usd=Decimal(3),
                output_usd=Decimal(15),
            ),
        ),
        (TOGETHER, Facts(context=262144, input_usd=Decimal("0.2"), output_usd=Decimal("0.6"))),
        (MISTRAL, Facts(context=131072, capabilities=("vision", "tools"))),
    ],
)
def test_facts_beside_the_name(document, facts):
    """Prices come out in dollars for a million tokens, however they were told."""
    assert read_page(json.dumps(document).encode()).models[0].facts == facts


def test_a_price_that_is_none_is_none():
    """OpenRouter's own router says -1; others say nonsense."""
    assert read_page(json.dumps(OPENROUTER).encode()).models[1].facts == Facts()
    for created in (0, -1, True, 1 << 40, 1e9, "9999-12-31T23:59:59Z", "0001-01-01", "1960-01-01", [], "yesterday"):
        assert read_page(json.dumps([{"id": "m", "created": created}]).encode()).models[0].facts == Facts()
    assert read_page(b'[{"id": "m", "created_at": "2026-01-01"}]').models[0].facts.created == 1767225600
    for pricing in ({"prompt": "abc"}, {"prompt": True}, {"prompt": "NaN"}, {"prompt": "1e40"}, {"input": "x"}, "free", []):
        entry = {"id": "m", "pricing": pricing, "context_length": "8k", "created": "yesterday", "max_tokens": -5}
        assert read_page(json.dumps({"data": [entry]}).encode()).models[0].facts == Facts()


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"5", b"null", b"{}", b'{"data": {}}', b'{"error": {"message": "no"}}', b"[" * 100_000]
)
def test_what_is_no_list_is_told(body):
    """A login page answered with 200 must not empty a list."""
    with pytest.raises(ValueError, match="expected a list of models"):
        read_page(body)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["2026-01-01", "tools", "image", "0.1"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "models",
                    "id",
                    "name",
                    "created",
                    "pricing",
                    "prompt",
                    "input",
                    "capabilities",
                    "architecture",
                    "input_modalities",
                    "supported_parameters",
                    "top_provider",
                    "context_length",
                    "max_tokens",
                    "has_more",
                    "last_id",
                    "nextPageToken",
                    "type",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=500, deadline=None)
@given(JSON)
def test_nonsense_is_left_out_or_told(document):
    """Whatever a provider sends: models with facts of the right types, or a ValueError."""
    try:
        page = read_page(json.dumps(document).encode())
    except ValueError:
        return
    for listed in page.models:
        assert isinstance(listed.name, str)
        entry("openai_chat", Shown("p/" + listed.name, facts=listed.facts))
        entry("anthropic", Shown("p/" + listed.name, facts=listed.facts))


def test_a_model_lacks_what_its_list_denies_in_so_many_words():
    """That a list leaves something out says nothing: most tell a few things only."""
    told = {
        "mapping": ({"capabilities": {"vision": False, "function_calling": True}}, ("vision",)),
        "supported": ({"capabilities": {"image_input": {"supported": False}, "pdf_input": {}}}, ("vision",)),
        "parameters": ({"supported_parameters": ["temperature"]}, ("tools",)),
        "able": ({"supported_parameters": ["tools"]}, ()),
        "silent": ({"capabilities": ["completion"]}, ()),
        "nonsense": (
            {"capabilities": {"vision": 0}, "architecture": {"input_modalities": "text"}, "supported_parameters": 3},
            (),
        ),
    }
    for name, (said, lacks) in told.items():
        (listed,) = read_page(json.dumps([{"id": "m", **said}]).encode()).models
        assert listed.facts.lacks == lacks, name
