"""Token counting: asked of the provider where it can count, in its own dialect; else estimated, and said to be an estimate.

So it is where the provider is left alone (`small_calls.py`), and where it has no place for one call more.
"""

from collections.abc import Callable
from urllib.parse import quote

from gatewright.errors import Refused
from gatewright.exchange import Exchange, Next, Reply
from gatewright.ir.blocks import DialectName
from gatewright.ir.request import Target
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.admit import Turned
from gatewright.pipeline.attempt import JSON, MAX_ERROR_BYTES, Attempt
from gatewright.pipeline.endpoint import Candidate, forwarded_headers
from gatewright.pipeline.failures import as_ours
from gatewright.pipeline.health import Health
from gatewright.pipeline.needs import estimate
from gatewright.pipeline.small_calls import Place, is_up
from gatewright.pipeline.translate import bytes_may_pass, fit, prepare
from gatewright.transport import TransportError, header_lines
from gatewright.wire.json import decode_lenient, decode_object, encode
from gatewright.wire.splice import splice

PATHS: dict[DialectName, str] = {"anthropic": "/v1/messages/count_tokens", "openai_responses": "/responses/input_tokens"}
COUNTED = {
    "anthropic": frozenset(
        (
            "cache_control",
            "context_management",
            "mcp_servers",
            "messages",
            "model",
            "output_config",
            "system",
            "thinking",
            "tool_choice",
            "tools",
        )
    ),
    "openai_responses": frozenset(
        ("input", "instructions", "model", "parallel_tool_calls", "reasoning", "text", "tool_choice", "tools", "truncation")
    ),
}
"""The fields of a request that the counting endpoints take: what else is asked costs no input."""
TOLD: dict[DialectName, str] = {"anthropic": "input_tokens", "openai_responses": "input_tokens", "gemini": "totalTokens"}
COUNTED_BY: dict[DialectName, bool] = {
    "openai_chat": False,
    "openai_responses": True,
    "anthropic": True,
    "gemini": True,
    "bedrock_converse": False,
}
"""Whether an upstream of the dialect can be expected to count tokens itself."""


_ANSWER: dict[DialectName, Callable[[int], JsonObject]] = {
    "openai_chat": lambda n: {"object": "response.input_tokens", "input_tokens": n},
    "openai_responses": lambda n: {"object": "response.input_tokens", "input_tokens": n},
    "anthropic": lambda n: {"input_tokens": n},
    "gemini": lambda n: {"totalTokens": n},
    "bedrock_converse": lambda n: {"inputTokens": n},
}


_CANNOT = b"support counting tokens"
"""Bedrock counts for some models only, and answers 400 for the others. Seen 2026-05."""


def path_of(dialect: DialectName, model: str) -> str:
    """Of the counting endpoint, under the provider's base URL."""
    return PATHS.get(dialect) or f"/v1beta/models/{quote(model, safe='/@._~-')}:countTokens"


class CountTokens:
    """Innermost stage of `count_tokens`."""

    def __init__(self, attempt: Attempt, health: Health) -> None:
        self.attempt = attempt
        self.health = health

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        candidate = exchange.plan[0]
        assert isinstance(candidate, Candidate)
        dialect = candidate.dialect_for(exchange.dialect)
        place = Place(candidate.endpoint)
        if COUNTED_BY[dialect] and is_up(self.health, candidate):
            try:
                await place.taken(exchange)
                reply = await self._told(exchange, candidate, dialect)
            except Turned:
                reply = None
            finally:
                place.leave()
            if reply is not None:
                return reply
        request = self.attempt.dialects[exchange.dialect].parse_request(exchange.call)
        exchange.served = candidate.name
        head = JSON + candidate.served_line + b"x-gatewright-token-count: estimate\r\n"
        return Reply(200, head, encode(_ANSWER[exchange.dialect](estimate(request))))

    async def _told(self, exchange: Exchange, candidate: Candidate, dialect: DialectName) -> Reply | None:
        """What the provider says; None: it cannot."""
        if bytes_may_pass(exchange, candidate, dialect):
            return await self._ask(exchange, candidate)
        count = await self._ask_abroad(exchange, candidate, dialect)
        if count is None:
            return None
        exchange.served = candidate.name
        return Reply(200, JSON + candidate.served_line, encode(_ANSWER[exchange.dialect](count)))

    async def _ask_abroad(self, exchange: Exchange, candidate: Candidate, dialect: DialectName) -> int | None:
        """The provider's count of the request in its own words; None when it cannot say: an estimate is better than an error."""
        try:
            prepared = prepare(exchange, candidate, self.attempt.dialects)
            asked = decode_object(prepared.body)
            if dialect == "gemini":
                asked = {"generateContentRequest": {**asked, "model": f"models/{candidate.model}"}}
            else:
                asked = {key: value for key, value in asked.items() if key in COUNTED[dialect]}
            incoming = await candidate.endpoint.send(
                dialect=dialect,
                method="POST",
                path=path_of(dialect, candidate.model),
                headers=prepared.headers,
                body=encode(asked),
                model=candidate.model,
                client=exchange.call.headers,
            )
            answer = decode_lenient(await incoming.read(MAX_ERROR_BYTES))
        except (Refused, TransportError, ValueError):
            return None
        count = answer.get(TOLD[dialect]) if isinstance(answer, dict) and incoming.status < 400 else None
        return count if isinstance(count, int) else None

    async def _ask(self, exchange: Exchange, candidate: Candidate) -> Reply | None:
        """The provider's own count; None when it has no such endpoint (404, 405) or cannot be reached."""
        call = exchange.call
        dialect = self.attempt.dialects[exchange.dialect]
        target = Target(model=candidate.model, issuer=candidate.endpoint.name)
        headers = forwarded_headers(exchange.dialect, call.headers)
        if exchange.dialect == "anthropic" and call.headers.get("anthropic-version") is None:
            headers += (("anthropic-version", "2023-06-01"),)
        edits = {k: v for k, v in dialect.pass_edits(call, target).items() if k in ("model", "generateContentRequest")}
        try:
            headers, fitted, _ = fit(candidate, exchange.dialect, headers, splice(call.body, edits) if edits else call.body)
            incoming = await candidate.endpoint.send(
                dialect=exchange.dialect,
                method="POST",
                path=path_of(exchange.dialect, candidate.model),
                headers=header_lines(headers),
                body=fitted,
                model=candidate.model,
                client=call.headers,
            )
            body = candidate.endpoint.scrub(await incoming.read(MAX_ERROR_BYTES))
        except (TransportError, ValueError):
            return None
        if incoming.status in (404, 405, 501) or (incoming.status == 400 and _CANNOT in body):
            return None
        exchange.served = candidate.name
        if incoming.status >= 400:
            seen = {n.decode("latin-1"): v.decode("latin-1") for n, v in incoming.headers}
            return self.attempt.error(exchange, as_ours(candidate, dialect.parse_error(incoming.status, seen, body)))
        return Reply(incoming.status, JSON + candidate.served_line, body)
