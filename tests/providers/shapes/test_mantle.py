"""Bedrock's OpenAI-compatible endpoint has two prefixes."""

import pytest

from gatewright.providers.shapes import Said
from gatewright.providers.shapes.mantle import BedrockMantle


@pytest.mark.parametrize(
    ("model", "path", "sent"),
    [
        ("openai.gpt-oss-120b", "/responses", "/v1/responses"),
        ("openai.gpt-oss-safeguard-20b", "/chat/completions", "/v1/chat/completions"),
        ("openai.gpt-5.5", "/responses", "/openai/v1/responses"),
        ("mistral.voxtral-mini-3b-2507", "/chat/completions", "/v1/chat/completions"),
        ("", "/responses/resp_1", "/v1/responses/resp_1"),
    ],
)
def test_the_model_chooses_the_prefix(model, path, sent):
    """As recorded: OpenAI's closed models lie elsewhere than the open ones."""
    said = Said(path=path, body=b"{}", model=model)
    assert BedrockMantle().request(said).path == sent
    assert BedrockMantle().request(said).body == b"{}"
    assert BedrockMantle().unwrapper(said, b"text/event-stream") is None
