"""Paths mean what real clients mean by them."""

import pytest

from gatewright.server.paths import match, normalise

PROVIDERS = {"openai", "claude"}


@pytest.mark.parametrize(
    ("method", "path", "operation", "dialect"),
    [
        ("POST", "/v1/chat/completions", "generate", "openai_chat"),
        ("POST", "/chat/completions", "generate", "openai_chat"),
        ("POST", "/v1/responses", "generate", "openai_responses"),
        ("POST", "/responses", "generate", "openai_responses"),
        ("POST", "/v1/messages", "generate", "anthropic"),
        ("POST", "/messages", "generate", "anthropic"),
        ("POST", "/v1/messages/count_tokens", "count_tokens", "anthropic"),
        ("POST", "/v1/responses/input_tokens", "count_tokens", "openai_responses"),
        ("POST", "/v1beta/models/gemini-2.5-pro:generateContent", "generate", "gemini"),
        ("POST", "/v1/models/gemini-2.5-pro:generateContent", "generate", "gemini"),
        ("POST", "/v1/models/openai/gpt-5:streamGenerateContent", "generate", "gemini"),
        ("POST", "/v1beta/models/m:countTokens", "count_tokens", "gemini"),
        ("POST", "/v1beta/models/m:embedContent", "forward", "gemini"),
        ("POST", "/v1/models/m:batchEmbedContents", "forward", "gemini"),
        ("GET", "/v1beta/models", "list_models", "gemini"),
        ("GET", "/v1beta/models/m", "get_model", "gemini"),
        ("GET", "/v1/models", "list_models", "openai_chat"),
        ("GET", "/v1/models/openai/gpt-5", "get_model", "openai_chat"),
        ("GET", "/v1/responses/resp_1", "get_response", "openai_responses"),
        ("DELETE", "/v1/responses/resp_1", "delete_response", "openai_responses"),
        ("GET", "/v1/responses/resp_1/input_items", "list_input_items", "openai_responses"),
        ("POST", "/v1/responses/resp_1/cancel", "cancel_response", "openai_responses"),
        ("GET", "/v1/responses", "unknown", "openai_responses"),
        ("POST", "/v1/embeddings", "forward", "openai_chat"),
        ("POST", "/embeddings", "forward", "openai_chat"),
        ("POST", "/v1/something/new", "forward", "openai_chat"),
        ("POST", "/v1/messages/batches", "forward", "anthropic"),
        ("POST", "/model/us.anthropic.claude-x-v1:0/converse", "generate", "bedrock_converse"),
        ("POST", "/model/smart/converse-stream", "generate", "bedrock_converse"),
        ("POST", "/model/arn:aws:bedrock:us-west-2:1:inference-profile/x/invoke", "invoke", "bedrock_converse"),
        ("POST", "/bedrock/model/a/b/invoke-with-response-stream", "invoke", "bedrock_converse"),
        ("POST", "/model/x/count-tokens", "count_input", "bedrock_converse"),
        ("GET", "/model/x/converse", "unknown", "bedrock_converse"),
        ("POST", "/model/x/apply-guardrail", "unknown", "bedrock_converse"),
        ("POST", "/model/converse", "unknown", "bedrock_converse"),
        ("POST", "/model/../x/converse", "unknown", "bedrock_converse"),
        ("POST", "/v1/model/x/converse", "forward", "openai_chat"),
        ("HEAD", "/", "health", "openai_chat"),
        ("GET", "/health", "health", "openai_chat"),
        ("GET", "/ready", "ready", "openai_chat"),
        ("POST", "/health", "unknown", "openai_chat"),
        ("GET", "/api/hello", "unknown", "openai_chat"),
    ],
)
def test_path(method, path, operation, dialect):
    """Every path of a real client, `/v1` present or not, names its operation and its dialect."""
    found = match(method, path, PROVIDERS)
    assert (found.operation, found.dialect) == (operation, dialect)


@pytest.mark.parametrize("path", ["/openai/v1/chat/completions", "/openai/chat/completions"])
def test_first_segment_pins_a_provider(path):
    """`/{provider}/…` is the same path, served by that provider alone."""
    found = match("POST", path, PROVIDERS)
    assert (found.operation, found.pin) == ("generate", "openai")


@pytest.mark.parametrize(
    ("providers", "path", "pin", "model"),
    [
        ({"aws"}, "/aws/model/a:0/converse", "aws", "a:0"),
        ({"aws"}, "/bedrock/model/a/b/invoke", "", "a/b"),
        ({"bedrock"}, "/bedrock/model/a/b/invoke", "bedrock", "a/b"),
        ({"aws"}, "/aws/bedrock/model/a/invoke", "aws", "a"),
    ],
)
def test_bedrocks_paths_may_stand_under_its_name_or_a_providers(providers, path, pin, model):
    """An id is all between `/model/` and the last segment."""
    found = match("POST", path, providers)
    assert (found.pin, found.params[0]) == (pin, model)


def test_unknown_first_segment_is_not_a_pin():
    """Nobody reaches an upstream by naming a provider that is not configured."""
    assert match("POST", "/nobody/v1/chat/completions", PROVIDERS).operation == "unknown"


def test_dots_are_never_forwarded():
    """A path that climbs would leave the provider's API."""
    assert match("GET", "/v1/files/../../secret", PROVIDERS).operation == "unknown"


def test_percent_encoding_is_undone_once():
    """A second encoding stays text: `%252e` never becomes a dot."""
    assert normalise(b"/v1/%252e%252e/x?a=b") == ("/v1/%2e%2e/x", "a=b")
