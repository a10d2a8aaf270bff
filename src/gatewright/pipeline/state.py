"""Responses state: `previous_response_id` and item references, against any provider.

The gateway keeps every stored response with the items that led to it, scoped by the key that made it. A provider that keeps
responses itself is given its own ids; any other target gets the whole conversation as items. An id that this key did not make
is unknown, whatever the provider would say: providers know one credential, not our tenants.
https://platform.openai.com/docs/guides/conversation-state
"""

import logging
import sqlite3
from collections.abc import Callable

import msgspec

from gatewright.dialects.openai_responses.state import input_items, normalised_input, output_as_input, with_history
from gatewright.errors import Problem, Refused, refuse
from gatewright.exchange import Exchange, Next, Reply, Segment, Source
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.pipeline.choose import Standings
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.limit import Limits
from gatewright.pipeline.route import Route
from gatewright.pipeline.sources import BaseSource, WrappedSource
from gatewright.pipeline.ties import kept_at
from gatewright.pipeline.whole_input import reserve_whole
from gatewright.stores.kept import Kept, KeptStore
from gatewright.wire.json import BadJson, decode_lenient, decode_object, encode
from gatewright.wire.sse import OversizedEvent, SseParser

log = logging.getLogger("gatewright")

KIND = "response"
ITEM_KIND = "item"
_TERMINAL = (b"response.completed", b"response.incomplete", b"response.failed", b"response.cancelled")
_BEGUN = (b"response.created", b"response.queued")
_REFERENCE = b'"item_reference"'
_GONE = "previous_response_not_found"


class _Asked(msgspec.Struct):
    """The top-level fields that state depends on."""

    previous_response_id: str | None = None
    store: bool | None = None
    background: bool | None = None
    conversation: msgspec.Raw = msgspec.Raw()


_asked = msgspec.json.Decoder(_Asked)


class Record(msgspec.Struct, frozen=True):
    """What is kept of one response."""

    provider: str
    """The provider that keeps it under the same id; empty: only the gateway does."""
    response: JsonObject
    input: list[JsonValue]
    """The request's own input items, for `/input_items`."""
    before: list[JsonValue]
    """Everything that led to it, as items: the conversation before, then the request's own input."""
    served: str = ""
    """`provider/model` that gave it: the conversation goes on there. Empty: kept before this was."""

    @property
    def conversation(self) -> list[JsonValue]:
        return [*self.before, *output_as_input(self.response)]


_record = msgspec.json.Decoder(Record)


class StateStage:
    """Beneath `route`: whether an id can be passed on depends on the target. In the stack of Responses clients only."""

    def __init__(
        self,
        store: KeptStore,
        ttl_s: float,
        clock: Callable[[], float],
        *,
        enabled: bool = True,
        health: Standings | None = None,
        limits: Limits | None = None,
    ) -> None:
        """`health`: which targets are down. None: conversations do not keep to their targets. `limits`: by which what is read of
        them is reserved.
        """
        self.store = store
        self.ttl_s = ttl_s
        self.clock = clock
        """Unix seconds, for `created_at`."""
        self.enabled = enabled
        self.health = health
        self.limits = limits

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        try:
            asked = _asked.decode(exchange.call.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise refuse("invalid_request", f"The request body cannot be read: {error}") from None
        native = self._native(exchange)
        if not native:
            _refuse_what_needs_a_provider(asked)
        sent = exchange.call.body
        previous = asked.previous_response_id
        record = await self._previous(exchange, previous) if previous else None
        if record is not None and record.served and len(exchange.plan) > 1:
            self._go_on(exchange, record.served)
        history = record.conversation if record is not None else []
        references = await self._references(exchange, sent) if _REFERENCE in sent else {}
        exchange.answer = self._answer_fields(exchange, previous)
        known = record is not None and native and record.provider == _target(exchange)
        gives = (record is not None and not known) or (bool(references) and not native)
        counts = self.limits is not None and exchange.held is not None and (record is not None or bool(references))
        whole = _with_items(sent, history, references) if gives or counts else b""
        if counts and self.limits is not None:
            await reserve_whole(self.limits, exchange, whole)
        if gives:
            _give(exchange, whole)
        reply = await following(exchange)
        if known and reply.problem is not None and reply.problem.code == _GONE:  # the provider has forgotten; we have not
            _give(exchange, whole or _with_items(sent, history, references))
            reply = await following(exchange)
        if asked.store is False or not self.enabled or reply.problem is not None:
            return reply
        # What was given again has an id of ours, which the provider never heard of.
        provider = exchange.served.partition("/")[0] if native and exchange.cache not in ("hit", "coalesced") else ""
        keeper = Keeper(
            self, exchange, lambda document: _served(_record_of(document, sent, history, references, provider), exchange.served)
        )
        if reply.source is not None:
            reply.source = KeepingSource(reply.source, keeper, early=asked.background is True)
        elif exchange.stream:
            await keeper.keep_from_wire(reply.body)
        else:
            await keeper.keep_body(reply.body)
        return reply

    async def served(self, exchange: Exchange) -> str:
        """`provider/model` that gave the response which a request goes on with; empty: it goes on with none of this key's."""
        try:
            previous = _asked.decode(exchange.call.body).previous_response_id
        except (msgspec.DecodeError, RecursionError):
            return ""
        record = await self.load(exchange, previous) if previous else None
        return "" if record is None else record.served

    def _go_on(self, exchange: Exchange, served: str) -> None:
        """The target that gave the answer before is asked first."""
        route = exchange.route
        if self.health is not None and isinstance(route, Route) and "state" in route.policy.affinity:
            exchange.plan = kept_at(exchange.plan, served, self.health)

    def _native(self, exchange: Exchange) -> bool:
        """Whether every target keeps responses itself, in the client's own dialect."""
        candidates = [c for c in exchange.plan if isinstance(c, Candidate)]
        names = {c.endpoint.name for c in candidates}
        return len(names) == 1 and all(c.endpoint.stores_responses and exchange.dialect in c.dialects for c in candidates)

    def _answer_fields(self, exchange: Exchange, previous: str | None) -> JsonObject:
        """What only the gateway can say of an answer that another API gives: an id of its own, so that none is given twice."""
        fields: JsonObject = {"id": f"resp_{exchange.request_id.removeprefix('req_')}", "created_at": int(self.clock())}
        return {**fields, "previous_response_id": previous} if previous else fields

    async def _previous(self, exchange: Exchange, previous: str) -> Record:
        record = await self.load(exchange, previous)
        if record is None:
            raise Refused(
                Problem(
                    kind="invalid_request",
                    code=_GONE,
                    param="previous_response_id",
                    message=f"Previous response with id '{previous[:100]}' not found.",
                )
            )
        return record

    async def _references(self, exchange: Exchange, body: bytes) -> dict[str, JsonValue]:
        """The items that the input refers to by id; they must be this key's own. Raises Refused."""
        ids = [str(item.get("id")) for item in input_items(_object(body)) if _refers(item) and isinstance(item, dict)]
        if not ids:
            return {}
        owner = exchange.principal
        assert owner is not None
        rows = await self.store.get(owner.name, ITEM_KIND, ids)
        for item_id in ids:
            if item_id not in rows:
                raise refuse("invalid_request", f"Item with id '{item_id[:100]}' not found.", param="input")
        return {item_id: decode_lenient(row) for item_id, row in rows.items()}

    async def load(self, exchange: Exchange, response_id: str) -> Record | None:
        owner = exchange.principal
        assert owner is not None
        rows = await self.store.get(owner.name, KIND, [response_id])
        body = rows.get(response_id)
        return None if body is None else _record.decode(body)

    async def save(self, exchange: Exchange, record: Record) -> None:
        """Keep a record, and its output items for references to them."""
        owner = exchange.principal
        assert owner is not None
        items = [i for i in output_as_input(record.response) if isinstance(i, dict) and isinstance(i.get("id"), str)]
        if items:
            await self.store.put(owner.name, ITEM_KIND, [Kept(str(i["id"]), encode(i)) for i in items], self.ttl_s)
        await self.store.put(owner.name, KIND, [Kept(str(record.response["id"]), encode(record))], self.ttl_s)

    async def forget(self, exchange: Exchange, response_id: str, record: Record) -> None:
        owner = exchange.principal
        assert owner is not None
        await self.store.delete(owner.name, KIND, response_id)
        for item in output_as_input(record.response):
            if isinstance(item, dict) and isinstance(item.get("id"), str):
                await self.store.delete(owner.name, ITEM_KIND, str(item["id"]))


def _target(exchange: Exchange) -> str:
    first = exchange.plan[0]
    assert isinstance(first, Candidate)
    return first.endpoint.name


def _object(body: bytes) -> JsonObject:
    try:
        return decode_object(body)
    except BadJson as error:
        raise refuse("invalid_request", f"The request body is {error}.") from None


def _refers(item: JsonValue) -> bool:
    return isinstance(item, dict) and item.get("type") == "item_reference"


def _resolved(items: list[JsonValue], references: dict[str, JsonValue]) -> list[JsonValue]:
    return [references.get(str(i.get("id")), i) if _refers(i) and isinstance(i, dict) else i for i in items]


def _give(exchange: Exchange, whole: bytes) -> None:
    """Rewrite the call: items where ids stood."""
    exchange.call = msgspec.structs.replace(exchange.call, body=whole, notes={})
    exchange.request = exchange.neutral = None


def _with_items(sent: bytes, history: list[JsonValue], references: dict[str, JsonValue]) -> bytes:
    """The body with the items that its ids stand for."""
    body = with_history(_object(sent), history)
    body["input"] = _resolved(input_items(body), references)
    return encode(body)


def _served(record: Record, target: str) -> Record:
    return msgspec.structs.replace(record, served=target)


def _record_of(
    document: JsonObject, sent: bytes, history: list[JsonValue], references: dict[str, JsonValue], provider: str
) -> Record:
    request = decode_object(sent)
    listed = normalised_input({**request, "input": _resolved(input_items(request), references)}, str(document["id"]))
    return Record(provider, document, listed, [*history, *_resolved(input_items(request), references)])


def _refuse_what_needs_a_provider(asked: _Asked) -> None:
    if asked.background:
        raise refuse(
            "invalid_request",
            "background: this model is served by a provider that cannot run responses in the background; leave it out.",
            param="background",
        )
    if bytes(asked.conversation) not in (b"", b"null"):
        raise refuse(
            "invalid_request",
            "conversation: this model's provider keeps no conversations; use previous_response_id or send the items.",
            param="conversation",
        )


class Keeper:
    """Keeps what becomes of one response. Nonsense is not kept, and a store that fails costs no answer."""

    def __init__(self, stage: StateStage, exchange: Exchange, record_of: Callable[[JsonObject], Record]) -> None:
        self.stage = stage
        self.exchange = exchange
        self.record_of = record_of

    async def keep(self, document: JsonValue) -> None:
        if not isinstance(document, dict) or not isinstance(document.get("id"), str):
            return
        try:
            await self.stage.save(self.exchange, self.record_of(document))
        except (BadJson, sqlite3.Error, OSError):
            log.exception("request %s: its response was not kept", self.exchange.request_id)

    async def keep_body(self, body: bytes) -> None:
        """Store the response that a whole answer is."""
        try:
            document = decode_lenient(body)
        except BadJson:
            return
        await self.keep(document)

    async def keep_from_wire(self, wire: bytes) -> None:
        """Store the response that a whole stream tells as its last word, if one does."""
        parser = SseParser()
        for name, data in (*parser.feed(wire), *parser.close()):
            if tells(name, data, _TERMINAL):
                await self.keep_event(data)

    async def keep_event(self, data: bytes) -> None:
        try:
            event = decode_lenient(data)
        except BadJson:
            return
        if isinstance(event, dict):
            await self.keep(event.get("response"))


def tells(name: bytes, data: bytes, kinds: tuple[bytes, ...]) -> bool:
    """Whether an event is of these kinds; streams without `event:` lines say so in their data."""
    return name in kinds or (not name and any(b'"%b"' % kind in data for kind in kinds))


class KeepingSource(WrappedSource):
    """Passes segments on; keeps the terminal event's response before that event goes out, so that its id can be used at once."""

    __slots__ = ("_keeper", "_kinds", "_parser")

    def __init__(self, inner: Source, keeper: Keeper, *, early: bool = False) -> None:
        """`early`: keep it as soon as it has begun; a background response goes on without its client."""
        assert isinstance(inner, BaseSource)
        super().__init__(inner)
        self._keeper = keeper
        self._kinds = _TERMINAL + _BEGUN if early else _TERMINAL
        self._parser: SseParser | None = SseParser()
        inner.when_ended(self._over)

    async def next(self) -> Segment | None:
        segment = await self._inner.next()
        if segment is not None and self._parser is not None:
            try:
                for name, data in self._parser.feed(segment.wire):
                    if tells(name, data, self._kinds):
                        await self._keeper.keep_event(data)
            except OversizedEvent:
                self._parser = None
        return segment
