"""Damaged HTTP into the fast lane: whatever bytes a client sends, what comes back is HTTP, and nothing leaves the protocol."""

import asyncio
from random import Random
from types import SimpleNamespace

import httptools

from gatewright.server.lane import FastLane
from gatewright.wire.http import Call
from tests.fuzz.documents import mutate_bytes
from tests.fuzz.exchanges import KEY, Scripted, stage
from tests.laws import cases
from tests.laws.dialects import DIALECTS

MUTANTS = 1500
ENDS = (b"\r\n", b"\n", b"\r", b"\r\n ", b"\x00\r\n", b"")
HEADERS = (
    b"content-length: 5", b"content-length: -1", b"content-length: 99999999999999999999", b"content-length: 0x5", b"content-length:",
    b"transfer-encoding: chunked", b"transfer-encoding: gzip, chunked", b"transfer-encoding: identity", b"connection: close",
    b"connection: upgrade", b"upgrade: websocket", b"upgrade: h2c", b"expect: 100-continue", b"expect: nonsense", b"content-encoding: br",
    b": no name", b"no colon", b"x-api-key: \xff\xfe", b"authorization: Basic x", b"authorization: Bearer", b"host: a\r\nhost: b",
    b"cookie: " + b"a" * 70_000,
)  # fmt: skip
TARGETS = (
    b"/v1/messages", b"/v1/chat/completions", b"/v1/responses", b"/v1beta/models/gemini/m:generateContent", b"*", b"http://x/v1/messages", b"//",
    b"/%", b"/%ff%00", b"/v1/../v1/messages", b"/v1/responses/%0d%0a/cancel", b"/v1/models?key=%ff", b"/?" + b"a=b&" * 2000, b"\xff\xfe", b"/health",
)  # fmt: skip


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closing = False

    def write(self, data):
        self.written += data

    def writelines(self, parts):
        self.written += b"".join(parts)

    def close(self):
        self.closing = True

    abort = close

    def is_closing(self):
        return self.closing

    def set_write_buffer_limits(self, high=None, low=None):
        return

    def pause_reading(self):
        return

    def resume_reading(self):
        return


class Answers:
    """Reads what came back, as HTTP."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self):
        self.statuses.append(self.parser.get_status_code())


def request(random: Random) -> bytes:
    name = random.choice(list(DIALECTS))
    call: Call = cases.minimal_call(name, stream=random.random() < 0.5)
    target = call.path.encode() if random.random() < 0.6 else random.choice(TARGETS)
    method = random.choice((b"POST", b"POST", b"POST", b"GET", b"HEAD", b"DELETE", b"CONNECT", b"PRI", b"post"))
    lines = [
        method + b" " + target + random.choice((b" HTTP/1.1", b" HTTP/1.1", b" HTTP/1.0", b" HTTP/2.0", b"", b" HTTP/1.1 x")),
        b"host: x",
    ]
    lines += [b"authorization: Bearer " + KEY.encode(), b"content-length: %d" % len(call.body)]
    if random.random() < 0.5:
        lines.insert(random.randrange(1, len(lines) + 1), random.choice(HEADERS))
    end = b"\r\n" if random.random() < 0.8 else random.choice(ENDS)
    return end.join(lines) + end * 2 + call.body


async def test_whatever_bytes_come_the_lane_answers_in_http_or_closes():
    """No exception reaches the event loop, no bug is logged, no answer is half an answer."""
    gateway, transport, _, bugs = stage()
    loop = asyncio.get_running_loop()
    raised: list[dict] = []
    loop.set_exception_handler(lambda _, context: raised.append(context))
    answered = 0
    for number in range(MUTANTS):
        random = Random(f"lane {number}")
        data = request(random)
        if random.random() < 0.5:
            data = mutate_bytes(random, data)
        if random.random() < 0.2:
            data += request(random)
        transport.answer = Scripted(200, b"application/json", [b"{}"], cut=False)
        bugs.found.clear()
        state = SimpleNamespace(connections=set(), tasks=set(), total_requests=0, default_headers=[])
        lane = FastLane(SimpleNamespace(loaded_app=SimpleNamespace(gateway=gateway)), state, {}, loop)
        wire = Wire()
        lane.connection_made(wire)
        cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.choice((0, 1, 4))))
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            if start < end and not wire.closing:
                lane.data_received(data[start:end])
        for _ in range(200):
            if lane._exchange is None and not lane._queue:
                break
            await asyncio.sleep(0)
        await asyncio.sleep(0)  # what a turn has written leaves at its end
        lane.connection_lost(None)
        assert not bugs.found, (number, data[:300], bugs.found)
        assert not raised, (number, data[:300], raised)
        read = Answers()
        if not data.startswith((b"HEAD", b"CONNECT")):
            read.parser.feed_data(wire.written)
            answered += bool(read.statuses)
    assert answered > MUTANTS // 3
