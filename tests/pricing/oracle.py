"""What genai-prices itself makes of a recorded answer: its own extraction of the usage, its own sum. Nothing here is ours.

One rule: the oracle reads the wire by itself; what it does not cover is said by reason.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from botocore.eventstream import ParserError
from botocore.exceptions import EventStreamError
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, Provider, Usage

from tests.laws import bedrock_oracle
from tests.laws.cases import Case

HOSTS = {
    "anthropic": "anthropic", "azure": "azure", "azure-ai": "azure", "bedrock": "aws", "bedrock-mantle": "aws",
    "cerebras": "cerebras", "cloudflare": "cloudflare", "cohere": "cohere", "databricks": "databricks", "deepseek": "deepseek",
    "gemini": "google", "gemini-openai": "google", "groq": "groq", "mistral": "mistral", "openai": "openai",
    "openrouter": "openrouter", "perplexity": "perplexity", "together": "together", "vertexai": "google", "xai": "x-ai",
    "zai": "zai",
}  # fmt: skip
"""The recordings' provider → its name in the price list. The others have none there."""
FLAVORS = {
    "openai_chat": ("chat", "default"),
    "openai_responses": ("responses", "default"),
    "anthropic": ("anthropic", "default"),
    "gemini": ("default",),
    "bedrock_converse": ("default",),
}


class NotCovered(Exception):
    """Says why genai-prices has nothing to say."""


@dataclass(frozen=True)
class Oracle:
    """One answer, as genai-prices understands it."""

    provider: Provider
    model: ModelInfo
    name: str
    """Of the model, as the answer or else the request has it."""
    usage: Usage
    context: dict[str, str]

    def micros(self, when: datetime) -> int:
        total = self.model.calc_price(
            self.usage, self.provider, genai_request_timestamp=when, price_context=self.context
        ).total_price
        return int((total * 1_000_000).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def covered(case: Case) -> Oracle:
    """Raises NotCovered."""
    host = HOSTS.get(case.provider)
    if host is None:
        raise NotCovered(f"no price list for {case.provider}")
    provider = next(p for p in get_snapshot().providers if p.id == host)
    if case.failed:
        raise NotCovered("an error")
    document = answer_of(case)
    if document is None:
        raise NotCovered("no usage in the answer")
    extracted = None
    for flavor in FLAVORS[case.dialect]:
        if host != "anthropic" and flavor == "default" and case.dialect == "anthropic":
            continue
        try:
            extracted = provider.extract_usage(document, api_flavor=flavor)
            break
        except ValueError:
            continue
        except AttributeError:
            raise NotCovered("genai-prices breaks on it: a modality by number") from None
    if extracted is None:
        raise NotCovered("genai-prices extracts nothing from it")
    name = extracted[0] or asked_model(case)
    model = provider.find_model(name, all_providers=get_snapshot().providers) if name else None
    if not name or model is None:
        raise NotCovered("no price for its model")
    return Oracle(provider, model, name, extracted[1], context_of(document))


def answer_of(case: Case) -> dict | None:
    """The document that tells the usage: the answer's own, or what the events of a stream put together."""
    if case.text is None:
        document = case.document
        if isinstance(document, list):
            document = next((d for d in reversed(document) if isinstance(d, dict) and "usageMetadata" in d), None)
        return (
            document
            if isinstance(document, dict) and isinstance(document.get("usage") or document.get("usageMetadata"), dict)
            else None
        )
    if case.binary:
        try:
            told = [event["metadata"] for event in bedrock_oracle.read_stream(case.body) if "metadata" in event]
        except (EventStreamError, ParserError):
            return None
        return told[-1] if told else None
    events = [event for event in _events(case.text) if isinstance(event, dict)]
    match case.dialect:
        case "openai_chat":
            for event in reversed(events):
                usage = event.get("usage") or (event.get("x_groq") or {}).get("usage")
                if isinstance(usage, dict):
                    named = next((e["model"] for e in (event, *events) if e.get("model")), None)
                    tier = next((e["service_tier"] for e in (event, *events) if e.get("service_tier")), None)
                    return {**event, "usage": usage, "model": named, "service_tier": tier}
        case "openai_responses":
            for event in reversed(events):
                response = event.get("response")
                if isinstance(response, dict) and isinstance(response.get("usage"), dict):
                    return response
        case "anthropic":
            message: dict = {}
            for event in events:
                if event.get("type") == "message_start":
                    message = {**event["message"], "usage": dict(event["message"].get("usage") or {})}
                elif event.get("type") == "message_delta" and message:
                    message["usage"].update({k: v for k, v in (event.get("usage") or {}).items() if v is not None})
            return message or None
        case _:
            for event in reversed(events):
                if isinstance(event.get("usageMetadata"), dict):
                    return event
    return None


def asked_model(case: Case) -> str:
    """Where the answer names none."""
    if case.dialect == "bedrock_converse" and case.call is not None:
        return case.call.path.split("/")[2]
    return str((case.request or {}).get("model") or "")


def context_of(document: dict) -> dict[str, str]:
    """The tier that served, in the price list's words."""
    usage = document.get("usage") or document.get("usageMetadata") or {}
    tier = document.get("service_tier") or usage.get("service_tier") or usage.get("serviceTier")
    context: dict[str, str] = {}
    if isinstance(tier, str):
        context |= {"processing": "batch"} if tier == "batch" else {"service_tier": tier.lower()}
    if isinstance(usage.get("speed"), str):
        context["speed"] = usage["speed"]
    return context


def _events(text: str) -> list[object]:
    if text.lstrip().startswith("["):
        try:
            return list(json.loads(text))
        except ValueError:
            return []
    found: list[object] = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].strip() for line in block.split("\n") if line.startswith("data:"))
        if data and data != "[DONE]":
            try:
                found.append(json.loads(data))
            except ValueError:
                continue
    return found
