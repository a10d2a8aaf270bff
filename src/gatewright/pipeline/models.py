"""Model lists: what a key may ask for, in the shape its client knows."""

from collections.abc import Sequence

from gatewright.errors import Problem, Refused
from gatewright.exchange import Exchange, Next, Principal, Reply
from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.pipeline.route import Router, may_use
from gatewright.wire.json import encode

JSON = b"content-type: application/json\r\n"
_CREATED = "2026-01-01T00:00:00Z"
"""Anthropic's shape has a creation time; ours is the same for all names: they are the operator's, not a vendor's."""


def listing(dialect: DialectName, names: Sequence[str]) -> JsonObject:
    """The list document of a dialect: OpenAI's `data`, Anthropic's pages, Gemini's `models`."""
    entries: list[JsonValue] = [entry(dialect, name) for name in names]
    match dialect:
        case "anthropic":
            return {
                "data": entries,
                "has_more": False,
                "first_id": names[0] if names else None,
                "last_id": names[-1] if names else None,
            }
        case "gemini":
            return {"models": entries}
        case "openai_chat" | "openai_responses":
            return {"object": "list", "data": entries}


def entry(dialect: DialectName, name: str) -> JsonObject:
    """One model in a dialect's shape."""
    match dialect:
        case "anthropic":
            return {"type": "model", "id": name, "display_name": name, "created_at": _CREATED}
        case "gemini":
            return {
                "name": f"models/{name}",
                "displayName": name,
                "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
            }
        case "openai_chat" | "openai_responses":
            return {"id": name, "object": "model", "created": 0, "owned_by": "gatewright"}


class Models:
    """Answers `list_models` and `get_model`."""

    def __init__(self, router: Router) -> None:
        self.router = router

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        principal = exchange.principal
        assert principal is not None
        if exchange.operation == "get_model":
            name = exchange.params[0]
            route, _ = self.router.resolve(name, exchange.pin)
            if not may_use(principal, name, route, exchange.pin):
                raise Refused(
                    Problem(kind="not_found", code="model_not_found", message=f"The model '{name[:200]}' is not served here.")
                )
            return Reply(200, JSON, encode(entry(exchange.dialect, name)))
        names = self._pinned(principal, exchange.pin) if exchange.pin else self._names(principal)
        return Reply(200, JSON, encode(listing(exchange.dialect, names)))

    def _names(self, principal: Principal) -> list[str]:
        """The names that a key may use; wildcards have no name to show."""
        return [name for name in self.router.names if may_use(principal, name, self.router.resolve(name, "")[0])]

    def _pinned(self, principal: Principal, pin: str) -> list[str]:
        """The provider's models that routes mention, by the provider's names: so they are asked for under its path."""
        routes = self.router.exact.values()
        named = {t.model for r in routes for t in (*r.targets, *r.fallback) if t.provider == pin and "*" not in t.model}
        return sorted(name for name in named if may_use(principal, name, self.router.resolve(name, pin)[0], pin))
