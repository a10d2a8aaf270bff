"""Attempt: one try at one candidate, and its answer given back in the client's dialect.

How far it came is written in the attempt's record. What follows a failure is decided above, in `attempts.py`: here nothing is
tried again, and what has failed is a reply with a problem.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import msgspec

from gatewright.dialects.protocol import Dialect, StreamRenderer
from gatewright.errors import Problem, Refused, UpstreamFailed, scrubbed
from gatewright.exchange import AttemptRecord, Exchange, Reply
from gatewright.ir.blocks import DialectName
from gatewright.ir.fold import Folder, unfold
from gatewright.ir.loss import Loss
from gatewright.ir.paths import path_of
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.pipeline.begun import Begun, looks_like_a_stream, tells_an_answer
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.framed import FRAMES, FrameSource, are_frames, named
from gatewright.pipeline.media import inline_media
from gatewright.pipeline.names import client_names
from gatewright.pipeline.passed import PassSource
from gatewright.pipeline.replayed import Marker, mark
from gatewright.pipeline.seals import (
    KIND,
    TTL_S,
    has_seals,
    name_calls,
    refused_for_a_seal,
    refused_for_want_of_reasoning,
    restore,
    sealed_rows,
    without_seals,
)
from gatewright.pipeline.sources import BaseSource
from gatewright.pipeline.trace import Tap
from gatewright.pipeline.translate import Dialects, Prepared, loss_lines, prepare
from gatewright.pipeline.translated import TranslatedSource
from gatewright.routing.retry_after import retry_after_s
from gatewright.stores.kept import Kept, KeptStore
from gatewright.transport import Incoming, TransportError, header_lines
from gatewright.transport.fetch import MediaFetcher
from gatewright.wire.json import BadJson, encode
from gatewright.wire.sse import without_line_separators

JSON = b"content-type: application/json\r\n"
SSE = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"

_CARRIED = (
    b"retry-after",
    b"x-ratelimit-",
    b"anthropic-ratelimit-",
    b"openai-processing-ms",
    b"x-request-id",
    b"request-id",
    b"x-amzn-requestid",
)


def _carried_as(name: bytes) -> bytes:
    """How the line of an upstream's header begins that the client sees; empty: it does not."""
    if name in (b"x-request-id", b"request-id"):
        return b"x-gatewright-upstream-request-id: "
    return name + b": " if name.startswith(_CARRIED) else b""


class _CarriedOf(dict[tuple[bytes, ...], tuple[tuple[bytes, bytes], ...]]):
    """The names of a head → those of them that the client sees, and how their lines begin. Remembered: there are few heads."""

    def __missing__(self, names: tuple[bytes, ...]) -> tuple[tuple[bytes, bytes], ...]:
        found = tuple((name, told) for name in names if (told := _carried_as(name)))
        if len(self) < _HEADS and sum(map(len, names)) < _LONG_HEAD:
            self[names] = found
        return found


_HEADS = 512
_LONG_HEAD = 2048
"""Bytes of the names of a head that is not remembered."""
_CARRIED_OF = _CarriedOf()

MAX_ERROR_BYTES = 1 << 20

_SERVER_ADDS = frozenset(("x-request-id", "request-id", "content-type", "content-length"))


class Attempt:
    """Sets `exchange.served`, `losses` and, for a whole answer, `usage`."""

    def __init__(
        self, dialects: Dialects, vault: KeptStore, fetcher: MediaFetcher | None = None, max_answer_bytes: int = 256 << 20
    ) -> None:
        self.dialects = dialects
        self.vault = vault
        self.fetcher = fetcher
        self._keeping: set[asyncio.Task[None]] = set()
        self.max_answer_bytes = max_answer_bytes
        self.tap: Tap | None = None
        """Who keeps what goes to upstreams and comes from them. None: nobody."""

    async def once(
        self,
        exchange: Exchange,
        candidate: Candidate,
        record: AttemptRecord,
        *,
        until_content: bool = False,
        lost: tuple[Loss, ...] = (),
    ) -> Reply:
        """One try. A failure is a reply with a problem; Refused is raised where the candidate cannot be asked this at all.

        `until_content`: hold a stream back for as long as nothing that a client can see has come.
        `lost`: what was taken out of the request for this try; nothing is put back into it then.
        """
        if not lost and (dialect := record.dialect) != exchange.dialect:
            await self._complete(exchange, dialect)
        prepared = prepare(exchange, candidate, self.dialects)
        if lost:
            prepared = msgspec.structs.replace(prepared, losses=(*lost, *prepared.losses))
        try:
            headers, tap = prepared.headers, self.tap
            if tap is not None:
                asked = (prepared.dialect, "POST", prepared.path, headers, prepared.body)
                headers = tap.asks(exchange, candidate.endpoint, record, *asked)
            incoming = await candidate.endpoint.send(
                dialect=prepared.dialect,
                method="POST",
                path=prepared.path,
                headers=headers,
                body=prepared.body,
                model=candidate.model,
                stream=exchange.stream,
                client=exchange.call.headers,
                trail=record,
            )
            if tap is not None:
                incoming = tap.heard(record, incoming)
        except TransportError as error:
            if error.sent:
                record.sent, record.stage = True, "waiting"
            return self.error(exchange, attributed(candidate, error.problem))
        except ValueError as error:  # what the client named cannot stand in a request line
            raise Refused(Problem(kind="invalid_request", message=f"This cannot be sent upstream: {error}.")) from None
        record.sent = True
        record.status = incoming.status
        try:
            if incoming.status >= 400:
                record.stage = "answered"
                return await self._refused(exchange, candidate, prepared, incoming, record)
            record.stage = "streaming"
            exchange.served = candidate.name
            exchange.losses = prepared.losses
            if prepared.passing and not exchange.stream and (reply := self._passed(exchange, candidate, prepared, incoming)):
                return reply
            return await self._answer(exchange, candidate, prepared, incoming, until_content=until_content)
        except TransportError as error:
            return self.error(exchange, attributed(candidate, error.problem))
        except UpstreamFailed as error:
            incoming.abort()
            return self.error(exchange, scrubbed(error.problem, candidate.endpoint.scrub_for(exchange.call.headers)))
        except (Refused, BadJson) as error:  # the answer, not the request, is malformed
            incoming.abort()
            why = error.problem.message if isinstance(error, Refused) else str(error)
            nonsense = Problem(kind="upstream", message=f"{candidate.name} answered nonsense: {why}")
            return self.error(exchange, scrubbed(nonsense, candidate.endpoint.scrub_for(exchange.call.headers)))

    def mended(self, exchange: Exchange, problem: Problem) -> tuple[Loss, ...]:
        """What is taken out of the request, now, so that the target that refused it will take it; empty: that would not help."""
        if refused_for_a_seal(problem):
            return self._unseal(exchange)
        return self._unthink(exchange) if refused_for_want_of_reasoning(problem) else ()

    async def _complete(self, exchange: Exchange, dialect: DialectName) -> None:
        """For a call that will cross into `dialect`: put back what the client dropped, fetch what the upstream will not."""
        if exchange.request is None:
            exchange.request = exchange.understood(self.dialects)
        if exchange.principal is not None:
            exchange.request = await restore(exchange.request, self.vault, exchange.principal.name)
        if self.fetcher is not None:
            exchange.request = await inline_media(exchange.request, dialect, self.fetcher)

    def keep_seals(self, exchange: Exchange, rows: list[Kept]) -> None:
        """Keep seals beside the answer's way back: nobody waits for the disk."""
        if rows and exchange.principal is not None:
            task = asyncio.ensure_future(self.vault.put(exchange.principal.name, KIND, rows, TTL_S))
            self._keeping.add(task)
            task.add_done_callback(self._keeping.discard)

    def _unseal(self, exchange: Exchange) -> tuple[Loss, ...]:
        """Take the seals out of the request; what that loses, or nothing when there are none."""
        request = exchange.understood(self.dialects)
        if not has_seals(request):
            return ()
        exchange.request = without_seals(request)
        why = "the upstream refused the reasoning of earlier turns"
        return (Loss(path=path_of(request, "messages"), why=why, weight="hint"),)

    def _unthink(self, exchange: Exchange) -> tuple[Loss, ...]:
        """Take the wish for reasoning out of the request; what that loses, or nothing when it is taken out already."""
        request = exchange.understood(self.dialects)
        if exchange.request is not None and request.thinking is None:
            return ()
        exchange.request = msgspec.structs.replace(request, thinking=None)
        why = "the calls before were made by another model, and this one thinks on only after its own reasoning"
        return (Loss(path=path_of(request, "thinking"), why=why, value=None, weight="dropped"),)

    async def _refused(
        self, exchange: Exchange, candidate: Candidate, prepared: Prepared, incoming: Incoming, record: AttemptRecord
    ) -> Reply:
        """An HTTP error of the upstream, in the client's dialect: its own bytes where the dialects match and they are JSON."""
        body = candidate.endpoint.scrub(await incoming.read(MAX_ERROR_BYTES))
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in incoming.headers}
        problem = self.dialects[prepared.dialect].parse_error(incoming.status, headers, body)
        record.asked_s = retry_after_s(headers.items(), problem.raw, time.time())
        record.repeatable = headers.get("x-should-retry") != "false"
        reply = self.error(exchange, problem)
        if prepared.dialect == exchange.dialect and problem.raw is not None:
            reply.body = body
            reply.status = incoming.status
        return reply

    def _passed(self, exchange: Exchange, candidate: Candidate, prepared: Prepared, incoming: Incoming) -> Reply | None:
        """The answer whose bytes pass, where it is all there, as nearly all are; None: it must be waited for.

        Raises Refused for what is no answer, with the words of an error that came as a 200.
        """
        content_type = incoming.header(b"content-type") or b"application/json"
        if content_type.find(b"stream") >= 0:
            return None
        at_once = getattr(incoming, "at_once", None)  # a pooled connection's answer has it
        if at_once is None or (body := at_once(self.max_answer_bytes)) is None:
            return None
        client = self.dialects[exchange.dialect]
        exchange.usage = client.read_usage(body)
        if exchange.usage is None and not tells_an_answer(body):
            client.parse_response(body, prepared.asked)
        head = b"content-type: " + content_type + b"\r\n" + carried(incoming) + candidate.served_line
        if prepared.losses:
            head += loss_lines(prepared.losses)
        return Reply(incoming.status, head, body)

    async def _answer(
        self, exchange: Exchange, candidate: Candidate, prepared: Prepared, incoming: Incoming, *, until_content: bool
    ) -> Reply:
        client = self.dialects[exchange.dialect]
        content_type = incoming.header(b"content-type") or b""
        streamed = content_type.find(b"stream") >= 0 and (b"event-stream" in content_type or are_frames(content_type))
        if exchange.stream and not streamed:
            incoming = Begun(incoming, await incoming.next() or b"")
            streamed = looks_like_a_stream(incoming.first, array=prepared.passing and wants_array(client, exchange))
            if streamed and not incoming.first.lstrip().startswith(b"["):
                content_type = b"text/event-stream"
        head = carried(incoming) + candidate.served_line
        if prepared.losses:
            head += loss_lines(prepared.losses)
        if exchange.stream and streamed:
            scrub = candidate.endpoint.scrub_for(exchange.call.headers)
            return await self._stream(exchange, prepared, incoming, head, content_type, scrub=scrub, until_content=until_content)
        if prepared.passing and not exchange.stream and not streamed:
            body = await incoming.read(self.max_answer_bytes)
            exchange.usage = client.read_usage(body)
            if exchange.usage is None and not tells_an_answer(body):
                client.parse_response(body, prepared.asked)  # raises, with the words of an error that came as a 200
            return Reply(incoming.status, b"content-type: %b\r\n" % (content_type or b"application/json") + head, body)
        response = name_calls(await self._whole(prepared, incoming, streamed=streamed), exchange.request_id)
        response = told = client_names(response, prepared.names)
        self.keep_seals(exchange, sealed_rows(response.blocks))
        if prepared.dialect != exchange.dialect:
            response = mark(response, exchange.dialect, prepared.asked.issuer)
        exchange.usage = response.usage
        # Where bytes would have passed, the upstream streamed unasked or did not when asked: it is told anew, as it was asked.
        request = answered(exchange.request or client.parse_request(exchange.call), exchange)
        if exchange.stream:
            wire = renderer_of(client, request, exchange).render(unfold(response))
            head = stream_type(client, request.client.get("alt")) + named(head, client, exchange.request_id)
            return Reply(200, head, without_line_separators(wire) if client.framing == "sse" else wire, response=told)
        rendered = client.render_response(response, request)
        exchange.losses = prepared.losses + rendered.losses
        head = carried(incoming) + candidate.served_line + loss_lines(exchange.losses)
        return Reply(200, JSON + named(head, client, exchange.request_id), encode(rendered.body), response=told)

    async def _whole(self, prepared: Prepared, incoming: Incoming, *, streamed: bool) -> Response:
        upstream = self.dialects[prepared.dialect]
        body = await incoming.read(self.max_answer_bytes)
        if not streamed:
            return upstream.parse_response(body, prepared.asked)
        parser = upstream.stream_parser(prepared.asked)
        folder = Folder()
        for event in (*parser.feed(body), *parser.close()):
            folder.add(event)
        if folder.problem is not None:
            raise UpstreamFailed(folder.problem)
        return folder.response

    async def _stream(
        self,
        exchange: Exchange,
        prepared: Prepared,
        incoming: Incoming,
        head: bytes,
        content_type: bytes,
        *,
        scrub: Callable[[bytes], bytes],
        until_content: bool,
    ) -> Reply:
        client = self.dialects[exchange.dialect]
        source: BaseSource
        if prepared.passing:
            sse = b"event-stream" in content_type
            watch = client.watch(exchange.call)
            if are_frames(content_type):
                source = FrameSource(incoming, client, watch, exchange.request_id)
                head = FRAMES + head
            else:
                source = PassSource(incoming, client, watch, exchange.request_id, sse=sse)
                head = (SSE if sse else b"content-type: %b\r\n" % content_type) + head
        else:
            assert exchange.request is not None
            request = answered(exchange.request, exchange)
            parser = self.dialects[prepared.dialect].stream_parser(prepared.asked)
            marker = None if prepared.dialect == client.name else Marker(client.name, prepared.dialect, prepared.asked.issuer)
            renderer = renderer_of(client, request, exchange)
            source = translated = TranslatedSource(
                incoming,
                parser,
                renderer,
                exchange.request_id,
                marker=marker,
                names=prepared.names,
                sse=client.framing == "sse",
            )
            source.when_ended(lambda: self.keep_seals(exchange, translated.seals.rows()))
            head = stream_type(client, request.client.get("alt")) + named(head, client, exchange.request_id)
        source.scrub = scrub
        try:
            await source.begin(until_content=until_content)
        except BaseException:
            source.abort()
            raise
        if source.problem is not None and not source.content:
            source.abort()
            return self.error(exchange, source.problem)
        return Reply(200, head, source=source)

    def error(self, exchange: Exchange, problem: Problem) -> Reply:
        """A problem as the client's dialect tells it."""
        return error_reply(self.dialects[exchange.dialect], problem, exchange.request_id)


def answered(request: Request, exchange: Exchange) -> Request:
    """The request as the answer's renderer sees it: with what the gateway itself tells of the answer."""
    return msgspec.structs.replace(request, answer=exchange.answer) if exchange.answer else request


def renderer_of(client: Dialect, request: Request, exchange: Exchange) -> StreamRenderer:
    """What tells the client a stream, with what a stage above has put around it."""
    renderer = client.stream_renderer(request)
    return renderer if exchange.over is None else exchange.over(renderer)


def wants_array(client: Dialect, exchange: Exchange) -> bool:
    """Whether the client streams in the framing that only Gemini has: one JSON array."""
    return client.name == "gemini" and exchange.call.query.get("alt") != "sse"


def stream_type(client: Dialect, alt: object) -> bytes:
    """The head of a stream we frame ourselves. Gemini without `alt=sse` is one JSON array."""
    if client.framing == "eventstream":
        return FRAMES
    return JSON if client.name == "gemini" and alt != "sse" else SSE


def attributed(candidate: Candidate, problem: Problem) -> Problem:
    """A failure of ours with an upstream, with who it was: the transport knows no more than a host and a port."""
    if f"'{candidate.endpoint.name}'" in problem.message:
        return problem  # a credential's, which names provider and account
    who = candidate.name[:200] if candidate.model else candidate.endpoint.name
    return msgspec.structs.replace(problem, message=f"{who}: {problem.message}")


def error_reply(dialect: Dialect, problem: Problem, request_id: str) -> Reply:
    answer = dialect.render_error(problem, request_id)
    carried_over = tuple((name, value) for name, value in answer.headers if name.lower() not in _SERVER_ADDS)
    return Reply(answer.status, JSON + header_lines(carried_over), answer.body, problem=problem)


def carried(incoming: Incoming) -> bytes:
    """The upstream's rate-limit headers, as lines; its request id under a name that cannot be mistaken for ours."""
    fields: Mapping[bytes, bytes] | None = getattr(incoming, "fields", None)  # a pooled connection's answer has it
    if fields is None:
        return b"".join(told + value + b"\r\n" for name, value in incoming.headers if (told := _carried_as(name)))
    lines = b""
    for name, told in _CARRIED_OF[tuple(fields)]:
        lines += told + fields[name] + b"\r\n"
    return lines
