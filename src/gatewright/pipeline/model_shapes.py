"""A list of models in the words of each client. Pure.

One rule: what the client's own API has a field for goes there; sizes and prices that it has none for stand beside them, in
OpenRouter's names, where SDKs keep what they do not know.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from gatewright.errors import Malformed
from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.providers.facts import NOTHING, Facts

MOST_A_PAGE: Final = 1000
"""What Anthropic and Google allow, and what is given when the client says nothing."""
UNKNOWN_DATE: Final = "1970-01-01T00:00:00Z"
"""What Anthropic's own list has where the release date is not known."""
_MILLION: Final = Decimal(1_000_000)


class Shown(msgspec.Struct, frozen=True):
    """One name that a client can ask for."""

    name: str
    owner: str = "gatewright"
    """The provider that it leads to."""
    facts: Facts = NOTHING


def listing(dialect: DialectName, shown: Sequence[Shown], query: Mapping[str, str]) -> JsonObject:
    """The list document of a dialect, or the page of it that `query` asks for. Raises Malformed."""
    match dialect:
        case "anthropic":
            page, before, after = _window(shown, query)
            return {
                "data": [entry(dialect, one) for one in page],
                "has_more": before if "before_id" in query else after,
                "first_id": page[0].name if page else None,
                "last_id": page[-1].name if page else None,
            }
        case "gemini":
            size = _count(query, "pageSize", at_most=MOST_A_PAGE, least=0) or MOST_A_PAGE
            token = query.get("pageToken")
            start = _position(shown, token, "pageToken") + 1 if token else 0
            document: JsonObject = {"models": [entry(dialect, one) for one in shown[start : start + size]]}
            if start + size < len(shown):
                document["nextPageToken"] = shown[start + size - 1].name
            return document
        case _:
            return {"object": "list", "data": [entry(dialect, one) for one in shown]}


def entry(dialect: DialectName, shown: Shown) -> JsonObject:
    """One model in a dialect's shape."""
    match dialect:
        case "anthropic":
            return _anthropic(shown)
        case "gemini":
            return _gemini(shown)
        case _:
            return _openai(shown)


def _openai(shown: Shown) -> JsonObject:
    facts = shown.facts
    document: JsonObject = {"id": shown.name, "object": "model", "created": facts.created or 0, "owned_by": shown.owner}
    beside: tuple[tuple[str, JsonValue], ...] = (
        ("name", facts.title),
        ("context_length", facts.context),
        ("max_completion_tokens", facts.max_output),
        ("capabilities", None if facts.capabilities is None else list(facts.capabilities)),
        ("pricing", _pricing(facts)),
    )
    return document | {key: value for key, value in beside if value is not None}


def _anthropic(shown: Shown) -> JsonObject:
    facts = shown.facts
    created = UNKNOWN_DATE
    if facts.created is not None:
        created = datetime.fromtimestamp(facts.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    document: JsonObject = {
        "type": "model",
        "id": shown.name,
        "display_name": facts.title or shown.name,
        "created_at": created,
        "lifecycle": "active",
    }
    beside: tuple[tuple[str, JsonValue], ...] = (
        ("max_input_tokens", facts.context),
        ("max_tokens", facts.max_output),
        ("pricing", _pricing(facts)),
    )
    return document | {key: value for key, value in beside if value is not None}


def _gemini(shown: Shown) -> JsonObject:
    facts = shown.facts
    document: JsonObject = {
        "name": f"models/{shown.name}",
        "displayName": facts.title or shown.name,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    }
    beside: tuple[tuple[str, JsonValue], ...] = (
        ("inputTokenLimit", facts.context),
        ("outputTokenLimit", facts.max_output),
        ("thinking", None if facts.capabilities is None else "reasoning" in facts.capabilities),
    )
    return document | {key: value for key, value in beside if value is not None}


def _pricing(facts: Facts) -> JsonObject | None:
    """US dollars for one token, as text: no float can tell them exactly."""
    told = {"prompt": facts.input_usd, "completion": facts.output_usd}
    prices: JsonObject = {name: format((price / _MILLION).normalize(), "f") for name, price in told.items() if price is not None}
    return prices or None


def _window(shown: Sequence[Shown], query: Mapping[str, str]) -> tuple[Sequence[Shown], bool, bool]:
    """Anthropic's page: behind `after_id`, or just before `before_id`. Whether more lies before it, and after it."""
    size = _count(query, "limit", at_most=MOST_A_PAGE, least=1) or MOST_A_PAGE
    if before := query.get("before_id"):
        end = _position(shown, before, "before_id")
        start = max(0, end - size)
    else:
        start = _position(shown, query["after_id"], "after_id") + 1 if query.get("after_id") else 0
        end = min(len(shown), start + size)
    return shown[start:end], start > 0, end < len(shown)


def _position(shown: Sequence[Shown], name: str, parameter: str) -> int:
    found = next((i for i, one in enumerate(shown) if one.name == name), None)
    if found is None:
        raise Malformed(parameter, "a model of this list, which may have changed; start again", f'"{name[:100]}"')
    return found


def _count(query: Mapping[str, str], name: str, *, at_most: int, least: int) -> int | None:
    """A number in the query; larger ones are taken for the largest. Raises Malformed."""
    text = query.get(name)
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10) or int(text) < least:
        raise Malformed(name, f"a whole number from {least} to {at_most}", f'"{text[:40]}"')
    return min(int(text), at_most)
