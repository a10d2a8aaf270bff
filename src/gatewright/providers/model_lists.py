"""Model lists as providers send them: one reader for all their shapes. Pure.

One rule: the document tells its own shape; an entry that cannot be read is left out, never an error, and every other fact is
taken only where it has the type that it should have.

https://platform.openai.com/docs/api-reference/models/list  https://docs.claude.com/en/api/models-list
https://ai.google.dev/api/models#method:-models.list  https://docs.ollama.com/api/tags
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_ListFoundationModels.html
https://openrouter.ai/docs/api-reference/list-available-models  https://docs.together.ai/reference/models-1
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.providers.facts import Capability, Facts
from gatewright.providers.known_models import Listed

CONTAINERS: Final = ("data", "models", "modelSummaries", "inferenceProfileSummaries", "publisherModels", "result")
"""Where the entries are: OpenAI and Anthropic, Gemini and Ollama and Cohere, Bedrock twice, Vertex, Cloudflare. Or at the top."""
NAMES: Final = ("id", "modelId", "inferenceProfileId", "name", "model")
"""Where an entry's name is; the first that is there."""
CONTEXT: Final = (
    "context_length",  # OpenRouter, Together, DeepInfra, Cohere, Moonshot
    "context_window",  # Groq
    "max_context_length",  # Mistral, LM Studio
    "inputTokenLimit",  # Gemini
    "max_input_tokens",  # Anthropic
    "max_model_len",  # vLLM, SGLang
    "context_size",  # Novita
    "contextWindow",
)
MAX_OUTPUT: Final = ("max_completion_tokens", "outputTokenLimit", "max_output_tokens", "max_output_length", "max_tokens")
TITLES: Final = ("display_name", "displayName", "modelName", "inferenceProfileName", "name")

MODALITIES: Final[dict[str, Capability]] = {
    "image": "vision",
    "IMAGE": "vision",
    "audio": "audio",
    "SPEECH": "audio",
    "video": "video",
    "VIDEO": "video",
    "file": "documents",
}
"""Kinds of input (OpenRouter's, Bedrock's words) → capability."""
PARAMETERS: Final[dict[str, Capability]] = {
    "tools": "tools",
    "parallel_tool_calls": "parallel_tools",
    "structured_outputs": "json_schema",
    "reasoning": "reasoning",
}
"""OpenRouter's `supported_parameters` → capability."""
FLAGS: Final[dict[str, Capability]] = {
    "vision": "vision",
    "image_input": "vision",
    "audio": "audio",
    "pdf_input": "documents",
    "function_calling": "tools",
    "tools": "tools",
    "structured_outputs": "json_schema",
    "reasoning": "reasoning",
    "thinking": "reasoning",
}
"""Words of a `capabilities` mapping or list (Mistral, Anthropic, Ollama) → capability."""

_MILLION: Final = Decimal(1_000_000)
_MOST_TOKENS: Final = 1 << 40
_LAST_SECOND: Final = 1 << 36
"""In the year 4147."""


class Page(msgspec.Struct, frozen=True):
    """One answer of a list endpoint."""

    models: tuple[Listed, ...]
    more: tuple[str, str] | None = None
    """The query parameter that asks for the next page, and its value."""


def read_page(body: bytes) -> Page:
    """The models in a list document. Raises ValueError, saying what came, for a body that is no list of models."""
    try:
        document: JsonValue = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("expected a list of models in JSON, got something else") from None
    entries = _entries(document)
    if entries is None:
        raise ValueError("expected a list of models, got a document without one")
    models = tuple(listed for listed in map(_listed, entries) if listed is not None)
    return Page(models, _more(document))


def _entries(document: JsonValue) -> list[JsonValue] | None:
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        for key in CONTAINERS:
            if isinstance(entries := document.get(key), list):
                return entries
    return None


def _more(document: JsonValue) -> tuple[str, str] | None:
    """How the next page is asked for: Anthropic's cursor, Google's and AWS's tokens."""
    if not isinstance(document, dict):
        return None
    last = document.get("last_id")
    if document.get("has_more") is True and isinstance(last, str) and last:
        return "after_id", last
    for key, parameter in (("nextPageToken", "pageToken"), ("next_page_token", "page_token"), ("nextToken", "nextToken")):
        token = document.get(key)
        if isinstance(token, str) and token:
            return parameter, token
    return None


def _listed(entry: JsonValue) -> Listed | None:
    if isinstance(entry, str):
        return Listed(entry)
    if not isinstance(entry, dict):
        return None
    name = _first_text(entry, NAMES)
    if name is None or not _answers(entry):
        return None
    for prefix in ("publishers/google/models/", "models/"):  # Vertex, Gemini: resource names
        name = name.removeprefix(prefix)
    return Listed(name, _facts(entry, name))


def _answers(entry: JsonObject) -> bool:
    """Whether a model writes text: lists hold embedders and painters too. Unknown: yes."""
    actions = entry.get("supportedGenerationMethods")
    if isinstance(actions, list):  # Gemini
        return "generateContent" in actions
    modes = entry.get("outputModalities")
    if isinstance(modes, list):  # Bedrock
        return "TEXT" in modes
    endpoints = entry.get("endpoints")
    if isinstance(endpoints, list) and "context_length" in entry and "name" in entry and "id" not in entry:  # Cohere
        return "chat" in endpoints
    return entry.get("type") not in ("embedding", "embeddings", "image", "rerank", "moderation", "audio", "transcribe")


def _facts(entry: JsonObject, name: str) -> Facts:
    provider = entry.get("top_provider")
    inner = provider if isinstance(provider, dict) else {}
    title = _first_text(entry, TITLES)
    read, written = _prices(entry.get("pricing"))
    return Facts(
        title=None if title is None or title.removeprefix("models/") == name else title[:200],
        created=_created(entry),
        context=_first_count(entry, CONTEXT) or _first_count(inner, CONTEXT),
        max_output=_first_count(inner, MAX_OUTPUT) or _first_count(entry, MAX_OUTPUT),
        capabilities=_capabilities(entry),
        lacks=tuple(dict.fromkeys(_denied(entry))),
        input_usd=read,
        output_usd=written,
    )


def _first_text(entry: JsonObject, keys: tuple[str, ...]) -> str | None:
    return next((value for key in keys if isinstance(value := entry.get(key), str) and value), None)


def _first_count(entry: JsonObject, keys: tuple[str, ...]) -> int | None:
    found = (entry.get(key) for key in keys)
    return next((value for value in found if isinstance(value, int) and value is not True and 0 < value < _MOST_TOKENS), None)


def _created(entry: JsonObject) -> int | None:
    value = entry.get("created", entry.get("created_at"))
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            value = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
        except (ValueError, OverflowError):
            return None
    return value if isinstance(value, int) and value is not True and 0 < value < _LAST_SECOND else None


def _prices(pricing: JsonValue) -> tuple[Decimal | None, Decimal | None]:
    """Dollars for a million tokens, read and written. OpenRouter's are for one token, as text; Together's for a million."""
    if not isinstance(pricing, dict):
        return None, None
    if "prompt" in pricing:
        return _dollars(pricing.get("prompt"), _MILLION), _dollars(pricing.get("completion"), _MILLION)
    if isinstance(pricing.get("input"), int | float):
        return _dollars(pricing.get("input"), Decimal(1)), _dollars(pricing.get("output"), Decimal(1))
    return None, None


def _dollars(value: JsonValue, times: Decimal) -> Decimal | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        price = Decimal(str(value)) * times
    except InvalidOperation:
        return None
    # OpenRouter says -1 where the price depends on the model that its router will choose.
    return price.normalize() if price.is_finite() and 0 <= price < _MILLION else None


def _capabilities(entry: JsonObject) -> tuple[Capability, ...] | None:
    """What an entry says that its model can do; None when it says nothing of it."""
    found = list(_told(entry))
    told = any(key in entry for key in ("capabilities", "supported_parameters", "architecture", "inputModalities"))
    return tuple(dict.fromkeys(found)) if told else None


def _told(entry: JsonObject) -> Iterator[Capability]:
    capabilities = entry.get("capabilities")
    if isinstance(capabilities, dict):
        for word, value in capabilities.items():
            on = value.get("supported") is True if isinstance(value, dict) else value is True
            if on and word in FLAGS:
                yield FLAGS[word]
    elif isinstance(capabilities, list):
        yield from (FLAGS[word] for word in capabilities if isinstance(word, str) and word in FLAGS)
    architecture = entry.get("architecture")
    modes = architecture.get("input_modalities") if isinstance(architecture, dict) else entry.get("inputModalities")
    if isinstance(modes, list):
        yield from (MODALITIES[mode] for mode in modes if isinstance(mode, str) and mode in MODALITIES)
    parameters = entry.get("supported_parameters")
    if isinstance(parameters, list):
        yield from (PARAMETERS[word] for word in parameters if isinstance(word, str) and word in PARAMETERS)


def _denied(entry: JsonObject) -> Iterator[Capability]:
    """What an entry says in so many words that its model cannot do."""
    capabilities = entry.get("capabilities")
    if isinstance(capabilities, dict):
        for word, value in capabilities.items():
            if word in FLAGS and (value.get("supported") is False if isinstance(value, dict) else value is False):
                yield FLAGS[word]
    architecture = entry.get("architecture")
    if isinstance(architecture, dict) and isinstance(modes := architecture.get("input_modalities"), list):
        yield from (MODALITIES[mode] for mode in ("image", "audio", "video", "file") if mode not in modes)
    if isinstance(modes := entry.get("inputModalities"), list):
        yield from (MODALITIES[mode] for mode in ("IMAGE", "SPEECH", "VIDEO") if mode not in modes)
    parameters = entry.get("supported_parameters")
    if isinstance(parameters, list) and "tools" not in parameters:
        yield "tools"
