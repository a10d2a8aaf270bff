"""Stored responses: `GET` and `DELETE /v1/responses/{id}`, `/input_items` and `/cancel`, for the key that made them.

Where the provider keeps the response too, it is asked first: only it knows how a background response is getting on.
https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from urllib.parse import urlencode

import msgspec

from gatewright.errors import Refused, refuse
from gatewright.exchange import Exchange, Next, Reply
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.pipeline.admit import Turned
from gatewright.pipeline.attempt import JSON, MAX_ERROR_BYTES, SSE, Attempt, carried
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.pipeline.failures import as_ours
from gatewright.pipeline.health import Health
from gatewright.pipeline.passed import PassSource
from gatewright.pipeline.small_calls import Place, is_up
from gatewright.pipeline.sources import BaseSource
from gatewright.pipeline.state import Keeper, KeepingSource, Record, StateStage
from gatewright.transport import TransportError
from gatewright.wire.json import encode

_TAILS = {"cancel_response": "/cancel", "list_input_items": "/input_items"}
_LOOKS = frozenset(("get_response", "list_input_items"))
"""What the gateway can answer from what it keeps itself."""
_ANSWERS = ("get_response", "cancel_response")
"""What gives the response itself."""
_NOT_THERE = (404, 405, 501)


Screen: TypeAlias = Callable[[Exchange, Reply], Awaitable[Reply]]


class StoredResponses:
    """Innermost stage of get, delete, cancel and input_items."""

    def __init__(
        self,
        stage: StateStage,
        attempt: Attempt,
        endpoints: Mapping[str, Endpoint],
        health: Health,
        screen: Screen | None = None,
    ) -> None:
        """`screen`: lets of an answer go on, and be kept, what rules allow."""
        self.screen = screen
        self.stage = stage
        self.attempt = attempt
        self.endpoints = endpoints
        self.health = health

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        response_id = exchange.params[0]
        record = await self.stage.load(exchange, response_id)
        if record is None:
            raise refuse("not_found", f"Response with id '{response_id[:100]}' not found.", code="response_not_found")
        endpoint = self.endpoints.get(record.provider)
        reply = None if endpoint is None else await self._asked(exchange, endpoint, record)
        if exchange.operation == "delete_response":
            await self.stage.forget(exchange, response_id, record)
        return reply or await self._screened(exchange, self._own(exchange, record))

    async def _screened(self, exchange: Exchange, reply: Reply) -> Reply:
        if self.screen is None or exchange.operation not in _ANSWERS:
            return reply
        return await self.screen(exchange, reply)

    def _own(self, exchange: Exchange, record: Record) -> Reply:
        """What the gateway itself can say."""
        match exchange.operation:
            case "get_response":
                if exchange.call.query.get("stream") in ("true", "1"):
                    raise refuse(
                        "invalid_request", "stream: this response is complete; it was not run in the background.", param="stream"
                    )
                return Reply(200, JSON, encode(record.response))
            case "delete_response":
                return Reply(200, JSON, encode({"id": exchange.params[0], "object": "response", "deleted": True}))
            case "list_input_items":
                return Reply(200, JSON, encode(page(record.input, exchange.call.query.get)))
            case _:
                raise refuse("invalid_request", "Only responses that run in the background can be cancelled.")

    async def _asked(self, exchange: Exchange, endpoint: Endpoint, record: Record) -> Reply | None:
        """As `_ask`, in its turn. What only the provider can do is asked of it whatever is known of it."""
        looks = exchange.operation in _LOOKS
        if looks and not is_up(self.health, Candidate(endpoint, record.served.removeprefix(f"{endpoint.name}/"))):
            return None
        place = Place(endpoint)
        try:
            await place.taken(exchange)
        except Turned as turned:
            if looks:
                return None
            raise Refused(turned.problem) from None
        source = None
        try:
            reply = await self._ask(exchange, endpoint, record)
            source = None if reply is None else reply.source
            if isinstance(source, BaseSource):
                source.when_ended(place.leave)
            return reply
        finally:
            if source is None:
                place.leave()

    async def _ask(self, exchange: Exchange, endpoint: Endpoint, record: Record) -> Reply | None:
        """The provider's own answer; None when it cannot be reached or does not know."""
        pairs = exchange.call.pairs
        query = f"?{urlencode(pairs)}" if pairs else ""
        keeper = Keeper(self.stage, exchange, lambda document: msgspec.structs.replace(record, response=document))
        try:
            incoming = await endpoint.send(
                dialect="openai_responses",
                method=exchange.method,
                path=f"/responses/{exchange.params[0]}{_TAILS.get(exchange.operation, '')}{query}",
                headers=b"",
                body=exchange.call.body,
                client=exchange.call.headers,
            )
            if incoming.status < 400 and b"event-stream" in (incoming.header(b"content-type") or b""):
                dialect = self.attempt.dialects["openai_responses"]
                source = PassSource(incoming, dialect, dialect.watch(exchange.call), exchange.request_id, sse=True)
                reply = await self._screened(exchange, Reply(incoming.status, SSE + carried(incoming), source=source))
                assert reply.source is not None
                reply.source = KeepingSource(reply.source, keeper)
                return reply
            limit = self.attempt.max_answer_bytes if incoming.status < 400 else MAX_ERROR_BYTES
            body = endpoint.scrub(await incoming.read(limit))
        except TransportError:
            return None
        if incoming.status in _NOT_THERE or incoming.status >= 500:
            return None
        reply = Reply(incoming.status, JSON + carried(incoming), body)
        if incoming.status in (401, 403):
            seen = {n.decode("latin-1"): v.decode("latin-1") for n, v in incoming.headers}
            problem = self.attempt.dialects["openai_responses"].parse_error(incoming.status, seen, body)
            if (told := as_ours(Candidate(endpoint, ""), problem)) is not problem:
                return self.attempt.error(exchange, told)
        if incoming.status < 400 and exchange.operation in _ANSWERS:
            reply = await self._screened(exchange, reply)
            if reply.problem is None:
                await keeper.keep_body(reply.body)
        return reply


def page(items: list[JsonValue], query: Callable[[str], str | None]) -> JsonObject:
    """One page as the API lists items: `order` (newest first unless `asc`), `after`, `limit` (1 to 100, 20 by default)."""
    ordered = list(items) if query("order") == "asc" else list(reversed(items))
    after = query("after")
    ids = [item.get("id") if isinstance(item, dict) else None for item in ordered]
    if after in ids:
        start = ids.index(after) + 1
        ordered, ids = ordered[start:], ids[start:]
    asked = query("limit") or "20"
    limit = min(100, max(1, int(asked))) if asked.isdecimal() and len(asked) < 9 else 20
    return {
        "object": "list",
        "data": ordered[:limit],
        "first_id": ids[0] if ids else None,
        "last_id": ids[:limit][-1] if ids else None,
        "has_more": len(ordered) > limit,
    }
