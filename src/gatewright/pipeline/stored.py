"""Stored responses: `GET` and `DELETE /v1/responses/{id}`, `/input_items` and `/cancel`, for the key that made them.

Where the provider keeps the response too, it is asked first: only it knows how a background response is getting on.
https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import msgspec

from gatewright.errors import refuse
from gatewright.exchange import Exchange, Next, Reply
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.pipeline.attempt import JSON, MAX_ERROR_BYTES, SSE, Attempt, carried
from gatewright.pipeline.endpoint import Endpoint
from gatewright.pipeline.passed import PassSource
from gatewright.pipeline.state import Keeper, KeepingSource, Record, StateStage
from gatewright.transport import TransportError
from gatewright.wire.json import encode

_TAILS = {"cancel_response": "/cancel", "list_input_items": "/input_items"}
_NOT_THERE = (404, 405, 501)


class StoredResponses:
    """Innermost stage of get, delete, cancel and input_items."""

    def __init__(self, stage: StateStage, attempt: Attempt, endpoints: Mapping[str, Endpoint]) -> None:
        self.stage = stage
        self.attempt = attempt
        self.endpoints = endpoints

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        response_id = exchange.params[0]
        record = await self.stage.load(exchange, response_id)
        if record is None:
            raise refuse("not_found", f"Response with id '{response_id[:100]}' not found.", code="response_not_found")
        endpoint = self.endpoints.get(record.provider)
        reply = None if endpoint is None else await self._ask(exchange, endpoint, record)
        if exchange.operation == "delete_response":
            await self.stage.forget(exchange, response_id, record)
        return reply or self._own(exchange, record)

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
                return Reply(incoming.status, SSE + carried(incoming), source=KeepingSource(source, keeper))
            limit = self.attempt.max_answer_bytes if incoming.status < 400 else MAX_ERROR_BYTES
            body = endpoint.scrub(await incoming.read(limit))
        except TransportError:
            return None
        if incoming.status in _NOT_THERE or incoming.status >= 500:
            return None
        if incoming.status < 400 and exchange.operation in ("get_response", "cancel_response"):
            await keeper.keep_body(body)
        return Reply(incoming.status, JSON + carried(incoming), body)


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
