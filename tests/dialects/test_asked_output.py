"""How long an answer may be, read beside the model: what limits reserve."""

import pytest

from gatewright.dialects import BY_NAME
from gatewright.wire.http import Call

CHAT, GEMINI = "/v1/chat/completions", "/v1beta/models/g:generateContent"


@pytest.mark.parametrize(
    ("dialect", "path", "body", "tokens"),
    [
        ("openai_chat", CHAT, b'{"model":"m","max_tokens":10}', 10),
        ("openai_chat", CHAT, b'{"model":"m","max_completion_tokens":10,"max_tokens":5,"n":3}', 30),
        ("openai_chat", CHAT, b'{"model":"m","max_tokens":"much"}', 0),
        ("openai_responses", "/v1/responses", b'{"model":"m","max_output_tokens":11}', 11),
        ("anthropic", "/v1/messages", b'{"model":"m","max_tokens":12}', 12),
        ("gemini", GEMINI, b'{"generationConfig":{"maxOutputTokens":13,"candidateCount":2}}', 26),
        ("gemini", GEMINI, b'{"generation_config":{"max_output_tokens":13}}', 13),
        ("gemini", GEMINI, b'{"generationConfig":5}', 0),
        ("bedrock_converse", "/model/x/converse", b'{"inferenceConfig":{"maxTokens":14}}', 14),
        ("bedrock_converse", "/model/x/converse", b"{}", 0),
    ],
)
def test_the_longest_answer_that_is_asked_for_is_read_with_the_model(dialect, path, body, tokens):
    """In each dialect's own words, over all answers that are wanted; what is malformed is the upstream's to refuse."""
    call = Call(path=path, body=body)
    BY_NAME[dialect].peek(call)
    assert BY_NAME[dialect].asked_output(call) == tokens
