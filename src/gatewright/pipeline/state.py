"""Responses state: `previous_response_id`, `GET /v1/responses/{id}` and its kin, against any provider.

The gateway keeps every stored response with the items that led to it, scoped by the key that made it. A provider that keeps
responses itself is given its own ids; any other target gets the whole conversation as items. An id that this key did not make
is unknown, whatever the provider would say: providers know one credential, not our tenants.
https://platform.openai.com/docs/api-reference/responses
"""

import logging
import sqlite3
from collections.abc import Callable

import msgspec

from gatewright.dialects.openai_responses.state import normalised_input, output_as_input, with_history
from gatewright.errors import Problem, Refused, refuse
from gatewright.exchange import Exchange, Next, Reply, Segment, Source
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.pipeline.attempt import JSON, MAX_ERROR_BYTES, Attempt
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.pipeline.sources import BaseSource
from gatewright.stores.kept import Kept, KeptStore
from gatewright.transport import TransportError
from gatewright.wire.json import BadJson, decode_lenient, decode_object, encode
from gatewright.wire.sse import OversizedEvent, SseParser

log = logging.getLogger("gatewright")

KIND = "response"
_TERMINAL = ("response.completed", "response.incomplete", "response.failed")
_MARK = b'"response.'


class _Asked(msgspec.Struct):
    """The top-level fields that state depends on."""

    previous_response_id: str | None = None
    store: bool | None = None
    background: bool | None = None
    conversation: msgspec.Raw | None = None


_asked = msgspec.json.Decoder(_Asked)


class Record(msgspec.Struct):
    """What is kept of one response."""

    provider: str
    """The provider that keeps it under the same id; empty: only the gateway does."""
    response: JsonObject
    input: list[JsonValue]
    """The request's own input items, for `/input_items`."""
    items: list[JsonValue]
    """The whole conversation as items: everything before, the input, the output."""


_record = msgspec.json.Decoder(Record)


class StateStage:
    """Beneath `route`: whether an id can be passed on depends on the target. In the stack of Responses clients only."""

    def __init__(self, store: KeptStore, ttl_s: float, *, enabled: bool = True) -> None:
        self.store = store
        self.ttl_s = ttl_s
        self.enabled = enabled

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        try:
            asked = _asked.decode(exchange.call.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise refuse("invalid_request", f"The request body cannot be read: {error}") from None
        native = self._native(exchange)
        if not native:
            _refuse_what_needs_a_provider(asked)
        history: list[JsonValue] = []
        if asked.previous_response_id:
            history = await self._resume(exchange, asked.previous_response_id, native)
        reply = await following(exchange)
        if asked.store is False or not self.enabled or reply.problem is not None:
            return reply
        keeper = _Keeper(self, exchange, history, exchange.served.partition("/")[0] if native else "")
        if reply.source is not None:
            reply.source = _KeepingSource(reply.source, keeper)
        elif exchange.stream:
            await keeper.keep_from_wire(reply.body)
        else:
            await keeper.keep_body(reply.body)
        return reply

    def _native(self, exchange: Exchange) -> bool:
        """Whether every target keeps responses itself, in the client's own dialect."""
        candidates = [c for c in exchange.plan if isinstance(c, Candidate)]
        names = {c.endpoint.name for c in candidates}
        return len(names) == 1 and all(
            c.endpoint.stores_responses and exchange.dialect in c.endpoint.dialects for c in candidates
        )

    async def _resume(self, exchange: Exchange, previous: str, native: bool) -> list[JsonValue]:  # noqa: FBT001 - what the plan says
        """The conversation before this request; the call is rewritten unless the provider knows the id itself."""
        record = await self.load(exchange, previous)
        if record is None:
            raise Refused(
                Problem(
                    kind="invalid_request",
                    code="previous_response_not_found",
                    param="previous_response_id",
                    message=f"Previous response with id '{previous[:100]}' not found.",
                )
            )
        target = exchange.plan[0]
        assert isinstance(target, Candidate)
        if not (native and record.provider == target.endpoint.name):
            try:
                body = with_history(decode_object(exchange.call.body), record.items)
                if not any(isinstance(c, Candidate) and exchange.dialect in c.endpoint.dialects for c in exchange.plan):
                    body["previous_response_id"] = previous  # resolved, and no provider will see it: the answer repeats it
            except BadJson as error:
                raise refuse("invalid_request", f"The request body is {error}.") from None
            exchange.call = msgspec.structs.replace(exchange.call, body=encode(body))
        return record.items

    async def load(self, exchange: Exchange, response_id: str) -> Record | None:
        owner = exchange.principal
        assert owner is not None
        rows = await self.store.get(owner.name, KIND, [response_id])
        body = rows.get(response_id)
        return None if body is None else _record.decode(body)


def _refuse_what_needs_a_provider(asked: _Asked) -> None:
    if asked.background:
        raise refuse(
            "invalid_request",
            "background: this model is served by a provider that cannot run responses in the background; leave it out.",
            param="background",
        )
    if asked.conversation is not None and bytes(asked.conversation) != b"null":
        raise refuse(
            "invalid_request",
            "conversation: this model's provider keeps no conversations; use previous_response_id or send the items.",
            param="conversation",
        )


class _Keeper:
    """Keeps one response when it is complete."""

    def __init__(self, stage: StateStage, exchange: Exchange, history: list[JsonValue], provider: str) -> None:
        self.stage = stage
        self.exchange = exchange
        self.history = history
        self.provider = provider
        self.own_body = exchange.call.body

    async def keep_body(self, body: bytes) -> None:
        """Store the response that a whole answer is."""
        try:
            document = decode_lenient(body)
        except BadJson:
            return
        await self.keep(document)

    async def keep(self, document: JsonValue) -> None:
        """Store a response document. Nonsense is not kept: the client sees it as it is. A store that fails costs no answer."""
        if not isinstance(document, dict) or not isinstance(document.get("id"), str):
            return
        try:
            await self._keep(document)
        except (BadJson, sqlite3.Error, OSError):
            log.exception("request %s: its response was not kept", self.exchange.request_id)

    async def _keep(self, document: JsonObject) -> None:
        owner = self.exchange.principal
        assert owner is not None
        sent = normalised_input(decode_object(self.own_body))
        own = sent[len(self.history) :] if sent[: len(self.history)] == self.history else sent
        record = Record(self.provider, document, own, [*self.history, *own, *output_as_input(document)])
        row = Kept(str(document["id"]), encode(record))
        await self.stage.store.put(owner.name, KIND, [row], self.stage.ttl_s)

    async def keep_from_wire(self, wire: bytes) -> None:
        """Store the response that an event of a stream tells as its last word, if one does."""
        parser = SseParser()
        for _, data in (*parser.feed(wire), *parser.close()):
            await self.keep_event(data)

    async def keep_event(self, data: bytes) -> None:
        try:
            event = decode_lenient(data)
        except BadJson:
            return
        if isinstance(event, dict) and event.get("type") in _TERMINAL:
            await self.keep(event.get("response"))


class _KeepingSource(BaseSource):
    """Passes segments on; keeps the terminal event's response before that event goes out, so that its id can be used at once."""

    __slots__ = ("_inner", "_keeper", "_parser")

    def __init__(self, inner: Source, keeper: _Keeper) -> None:
        assert isinstance(inner, BaseSource)
        super().__init__(inner._incoming)  # noqa: SLF001 - the same answer, seen through
        self._inner = inner
        self._keeper = keeper
        self._parser: SseParser | None = SseParser()
        inner.when_ended(self._inner_ended)

    def _inner_ended(self) -> None:
        self.usage = self._inner.usage
        self.problem = self._inner.problem
        self.broken = self._inner.broken
        self._end()

    async def next(self) -> Segment | None:
        segment = await self._inner.next()
        if segment is not None and self._parser is not None:
            try:
                for _, data in self._parser.feed(segment.wire):
                    if _MARK in data[:64]:
                        await self._keeper.keep_event(data)
            except OversizedEvent:
                self._parser = None
        return segment

    def abort(self) -> None:
        self._inner.abort()

    def keepalive(self) -> bytes:
        return self._inner.keepalive()


class StoredResponses:
    """Innermost stage of get, delete, cancel and input_items."""

    def __init__(self, stage: StateStage, attempt: Attempt, endpoints: dict[str, Endpoint]) -> None:
        self.stage = stage
        self.attempt = attempt
        self.endpoints = endpoints

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        response_id = exchange.params[0]
        record = await self.stage.load(exchange, response_id)
        if record is None:
            raise refuse("not_found", f"Response with id '{response_id[:100]}' not found.", code="response_not_found")
        endpoint = self.endpoints.get(record.provider)
        reply = None if endpoint is None else await self._ask(exchange, endpoint, response_id)
        if exchange.operation == "delete_response":
            owner = exchange.principal
            assert owner is not None
            await self.stage.store.delete(owner.name, KIND, response_id)
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

    async def _ask(self, exchange: Exchange, endpoint: Endpoint, response_id: str) -> Reply | None:
        """The provider's own answer; None when it cannot be reached."""
        tail = {"cancel_response": "/cancel", "list_input_items": "/input_items"}.get(exchange.operation, "")
        query = "&".join(f"{k}={v}" for k, v in exchange.call.query.items() if k != "key" and v.isalnum())
        try:
            incoming = await endpoint.send(
                dialect="openai_responses",
                method=exchange.method,
                path=f"/responses/{response_id}{tail}" + (f"?{query}" if query else ""),
                headers=b"",
                body=exchange.call.body,
            )
            body = endpoint.scrub(
                await incoming.read(self.attempt.max_answer_bytes if incoming.status < 400 else MAX_ERROR_BYTES)
            )
        except TransportError:
            return None
        return Reply(incoming.status, JSON, body)


def page(items: list[JsonValue], query: Callable[[str], str | None]) -> JsonObject:
    """One page as the API lists items: `order` (newest first unless `asc`), `after`, `limit` (1 to 100, 20 by default)."""
    ordered = list(items) if query("order") == "asc" else list(reversed(items))
    after = query("after")
    ids = [item.get("id") if isinstance(item, dict) else None for item in ordered]
    if after in ids:
        start = ids.index(after) + 1
        ordered, ids = ordered[start:], ids[start:]
    asked = query("limit") or "20"
    limit = min(100, max(1, int(asked))) if asked.isdecimal() else 20
    return {
        "object": "list",
        "data": ordered[:limit],
        "first_id": ids[0] if ids else None,
        "last_id": ids[:limit][-1] if ids else None,
        "has_more": len(ordered) > limit,
    }
