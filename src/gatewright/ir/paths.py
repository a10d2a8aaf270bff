"""Where a top-level neutral field stands in each origin's own document: losses are told in the client's terms."""

from gatewright.ir.blocks import DialectName
from gatewright.ir.request import Request

_SPELLING: dict[DialectName, dict[str, str]] = {
    "openai_chat": {
        "max_tokens": "max_completion_tokens",
        "thinking": "reasoning_effort",
        "output": "response_format",
        "cache_key": "prompt_cache_key",
        "system": "messages[0]",
    },
    "openai_responses": {
        "max_tokens": "max_output_tokens",
        "thinking": "reasoning",
        "output": "text.format",
        "verbosity": "text.verbosity",
        "cache_key": "prompt_cache_key",
        "system": "instructions",
    },
    "anthropic": {
        "stop": "stop_sequences",
        "user": "metadata.user_id",
        "output": "output_config.format",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    },
    "gemini": {
        "max_tokens": "generationConfig.maxOutputTokens",
        "temperature": "generationConfig.temperature",
        "top_p": "generationConfig.topP",
        "top_k": "generationConfig.topK",
        "seed": "generationConfig.seed",
        "frequency_penalty": "generationConfig.frequencyPenalty",
        "presence_penalty": "generationConfig.presencePenalty",
        "stop": "generationConfig.stopSequences",
        "n": "generationConfig.candidateCount",
        "logprobs": "generationConfig.responseLogprobs",
        "top_logprobs": "generationConfig.logprobs",
        "thinking": "generationConfig.thinkingConfig",
        "output": "generationConfig.responseSchema",
        "system": "systemInstruction",
        "tool_choice": "toolConfig",
    },
    "bedrock_converse": {
        "max_tokens": "inferenceConfig.maxTokens",
        "temperature": "inferenceConfig.temperature",
        "top_p": "inferenceConfig.topP",
        "top_k": "additionalModelRequestFields.top_k",
        "stop": "inferenceConfig.stopSequences",
        "thinking": "additionalModelRequestFields.thinking",
        "output": "outputConfig.textFormat",
        "tools": "toolConfig.tools",
        "tool_choice": "toolConfig.toolChoice",
        "service_tier": "serviceTier",
        "metadata": "requestMetadata",
    },
}
"""Origin → neutral field → its path there. A field that is not listed is spelt the same."""


def path_of(request: Request, field: str) -> str:
    """Path of the neutral field `field` in the client's own document."""
    return _SPELLING[request.origin].get(field, field)


def client_path(request: Request, dialect: DialectName, field: str) -> str:
    """Path in the client's own document of what an upstream of `dialect` knows as the top-level `field`."""
    if dialect == request.origin:
        return field
    neutral = _NEUTRAL.get(dialect, {}).get(field, field)
    return path_of(request, neutral)


_NEUTRAL: dict[DialectName, dict[str, str]] = {
    dialect: {path: field for field, path in spelt.items()} for dialect, spelt in _SPELLING.items()
}
"""`_SPELLING`, the other way round."""
