"""Whole exchanges without sockets: a mutated request meets a mutated answer inside the real gateway, all stages in place.

One rule: the upstream is a script of bytes; everything else is what serves. A bug that a stage catches and logs is a fault here.
"""

import asyncio
import atexit
import logging
import shutil
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from random import Random

from gatewright.app import generation_of
from gatewright.config import load_config
from gatewright.exchange import Reply
from gatewright.ir.blocks import DialectName
from gatewright.ir.events import StreamError
from gatewright.server.gateway import Gateway
from gatewright.transport import Cut, Incoming, Outgoing, TooLarge
from gatewright.wire import eventstream
from gatewright.wire import json as wire_json
from tests.fuzz.oracle import ASKED, Fault, must
from tests.fuzz.streams import are_frames, is_array
from tests.laws.dialects import DIALECTS

KEY = "gw-fuzz-key"
CONFIG = f"""
providers:
  openai_chat: {{kind: openai, base_url: "http://127.0.0.1:9/v1", dialects: [openai_chat], api_key: sk-up}}
  openai_responses: {{kind: openai, base_url: "http://127.0.0.1:9/v1", dialects: [openai_responses], api_key: sk-up}}
  anthropic: {{base_url: "http://127.0.0.1:9", api_key: sk-up}}
  gemini: {{base_url: "http://127.0.0.1:9", api_key: sk-up}}
  bedrock_converse:
    {{kind: bedrock, base_url: "http://127.0.0.1:9", dialects: [bedrock_converse], api_key: sk-up}}
keys: [{{name: fuzz, key: {KEY}}}]
"""
JSON_TYPES = (b"application/json", b"application/json; charset=utf-8", b"text/html", b"text/plain", b"text/event-stream", b"")
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"retry-after", b"3"), (b"x-ratelimit-remaining-requests", b"\xff"), (b"x-request-id", b"up-1"), (b"set-cookie", b"a=b"),
)  # fmt: skip


class Scripted:
    """An `Incoming` that gives its chunks and then ends, or breaks off."""

    def __init__(self, status: int, content_type: bytes, chunks: Sequence[bytes], *, cut: bool) -> None:
        self.status = status
        self.headers = ((b"content-type", content_type), *HEADERS) if content_type else HEADERS
        self._chunks = [chunk for chunk in chunks if chunk]
        self._cut = cut
        self.aborted = False

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)

    async def next(self) -> bytes | None:
        if self._chunks:
            return self._chunks.pop(0)
        if self._cut:
            raise Cut("up:9 closed the connection in the middle of its answer", phase="body", sent=True)
        return None

    async def read(self, max_bytes: int) -> bytes:
        pieces = []
        while (piece := await self.next()) is not None:
            pieces.append(piece)
        body = b"".join(pieces)
        if len(body) > max_bytes:
            raise TooLarge("up:9 sent too much", phase="body", sent=True)
        return body

    def abort(self) -> None:
        self.aborted = True
        self._chunks.clear()


class ScriptedTransport:
    def __init__(self) -> None:
        self.answer: Scripted | None = None
        self.sent: list[Outgoing] = []

    async def send(self, outgoing: Outgoing) -> Incoming:
        self.sent = [outgoing]
        must(
            b"\r" not in outgoing.path and b"\n" not in outgoing.path and b" " not in outgoing.path, "a path that breaks its line"
        )
        must(outgoing.headers.count(b"\r\n") == outgoing.headers.count(b"\n"), "a header that breaks its line")
        assert self.answer is not None
        return self.answer

    async def close(self) -> None:
        return


class _Bugs(logging.Handler):
    """Keeps the exceptions that stages caught and logged as bugs."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.found.append(record.exc_info[1])


@lru_cache
def stage() -> tuple[Gateway, ScriptedTransport, asyncio.AbstractEventLoop, _Bugs]:
    """The gateway, built as it is served, its transports replaced by one script."""
    home = Path(tempfile.mkdtemp(prefix="gatewright-fuzz-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    file = home / "gatewright.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    generation = generation_of(load_config(file, {"GATEWRIGHT_HOME": str(home)}), {})
    transport = ScriptedTransport()
    for endpoint in generation.endpoints.values():
        endpoint.transport = transport
        endpoint._transports = dict.fromkeys(endpoint._transports, transport)
    bugs = _Bugs()
    log = logging.getLogger("gatewright")
    log.addHandler(bugs)
    return generation.gateway, transport, asyncio.new_event_loop(), bugs


def exchange_holds(client: DialectName, target: bytes, body: bytes, answer: Scripted, *, cut: bool) -> str:
    """Judges one exchange. `cut`: the upstream's answer is a true stream that broke off before it told its end."""
    gateway, transport, loop, bugs = stage()
    transport.answer = answer
    bugs.found.clear()
    status, wire, broken, head = loop.run_until_complete(_exchange(gateway, target, body))
    if bugs.found:
        raise bugs.found[0]
    must(100 < status < 600, f"status {status}")
    for line in head.split(b"\r\n")[:-1]:
        must(b": " in line and b"\n" not in line and b"\r" not in line, f"a broken header line {line[:80]!r}")
    if status >= 400:
        wire_json.decode_lenient(wire)
        return f"{status}"
    if cut and (b"event-stream" in head or b"eventstream" in head):
        parser = DIALECTS[client].stream_parser(ASKED)
        events = [*parser.feed(wire), *parser.close()]
        must(broken or (events and isinstance(events[-1], StreamError)), "a cut stream ended cleanly")
    if cut and is_array(wire):
        must(broken or b'"error"' in wire, "a cut array ended cleanly")
    return "broken off" if broken else "answered"


async def _exchange(gateway: Gateway, target: bytes, body: bytes) -> tuple[int, bytes, bool, bytes]:
    headers = {b"authorization": b"Bearer " + KEY.encode()}
    exchange = gateway.exchange(b"POST", target, headers, body)
    reply: Reply = await gateway.handle(exchange)
    source = reply.source
    if source is None:
        return reply.status, reply.body, False, reply.headers
    pieces = []
    while (segment := await source.next()) is not None:
        must(segment.wire, "an empty segment: it would end a chunked body")
        source.keepalive()
        pieces.append(segment.wire)
        if len(pieces) > 5000:
            raise Fault("a stream without end")
    broken = bool(getattr(source, "broken", False))
    source.abort()
    return reply.status, b"".join(pieces), broken, reply.headers


def script(random: Random, chunks: Sequence[bytes], *, stream: bool, status: int, cut: bool) -> Scripted:
    """An answer with these chunks under a content type that fits, mostly."""
    kind = b"text/event-stream" if stream else b"application/json"
    if stream and are_frames(b"".join(chunks)):
        kind = eventstream.CONTENT_TYPE.encode()
    if random.random() < 0.1:
        kind = random.choice(JSON_TYPES)
    return Scripted(status, kind, chunks, cut=cut)
