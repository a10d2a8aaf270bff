"""A head that comes again is known by its bytes; whatever is not the same to the byte goes to the parser."""

import asyncio
import json

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.server.test_lane import CHAT, WHOLE, config
from tests.serving import KEY, answer, gateway, read_answer, upstream

from gatewright.server.heading import Heading, repeat_of

LINES = [
    b"host: x",
    b"authorization: Bearer k",
    b"content-type: application/json",
    b"Content-Length: %d",
    b"x-a: content-length: 3",
]
TARGET = b"/v1/chat/completions"


def request(body: bytes, lines=LINES, *, length: int | None = None) -> bytes:
    head = b"POST " + TARGET + b" HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"
    return head.replace(b"%d", b"%d" % (len(body) if length is None else length)) + body


class Parsed:
    """What httptools reads, the judge of what a request is."""

    def __init__(self, data: bytes) -> None:
        self.target, self.headers, self.body, self.done, self.extra = b"", {}, b"", 0, False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(data)

    def on_url(self, url):
        self.target += url

    def on_header(self, name, value):
        self.headers.setdefault(name.lower(), value)

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        self.done += 1


def remembered(body: bytes = b"{}", lines=LINES):
    raw = request(body, lines)
    return repeat_of(raw, body, Heading(b"POST", TARGET, Parsed(raw).headers))


def plain(lines):
    return [line for line in lines if not line.startswith(b"x-a")]


@given(before=st.binary(max_size=40), after=st.binary(max_size=40))
def test_the_same_head_with_another_body_is_known(before, after):
    """Bodies differ from request to request, and with them the length."""
    repeat = remembered(before, plain(LINES))
    assert repeat is not None
    assert repeat.body_of(request(after, plain(LINES))) == after


@given(st.data())
@example(None)
def test_what_is_taken_for_a_repetition_is_what_the_parser_would_read(data):
    """Bytes changed, doubled, cut: either the parser is asked, or it would have said the same."""
    repeat = remembered(b'{"a":1}', plain(LINES))
    raw = bytearray(request(b'{"b":22}', plain(LINES)))
    if data is not None:
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(raw) - 1))
            kind = data.draw(st.sampled_from(["change", "insert", "drop", "double"]))
            byte = data.draw(st.sampled_from([*b"\r\n:0123456789 abc\x00\xff{}"]))
            if kind == "change":
                raw[at] = byte
            elif kind == "insert":
                raw.insert(at, byte)
            elif kind == "drop":
                del raw[at]
            else:
                raw += raw[at:]
    body = repeat.body_of(bytes(raw))
    if body is None:
        return
    parsed = Parsed(bytes(raw))
    assert (parsed.done, parsed.target, parsed.body) == (1, TARGET, body)
    same = {k: v for k, v in parsed.headers.items() if k != b"content-length"}
    assert same == {k: v for k, v in repeat.heading.headers.items() if k != b"content-length"}


@pytest.mark.parametrize(
    "line",
    [
        b"expect: 100-continue",
        b"Transfer-Encoding: chunked",
        b"upgrade: h2c",
        b"connection: close",
        b"content-length: 2",
        b"x-a: content-length",
    ],
)
def test_heads_that_say_more_are_not_remembered(line):
    """What asks for an answer in between, frames the body otherwise or ends the connection is the parser's, each time."""
    raw = request(b"{}", [*plain(LINES), line])
    assert repeat_of(raw, b"{}", Heading(b"POST", TARGET, {})) is None


@pytest.mark.parametrize("size", [8 << 10, 1 << 20])
def test_large_heads_are_not_remembered(size):
    """Memory that every connection may take must have an end."""
    raw = request(b"{}", [*plain(LINES), b"x-large: " + b"x" * size])
    assert repeat_of(raw, b"{}", Heading(b"POST", TARGET, {})) is None


@pytest.mark.parametrize("bad", [b"{}x", b"{", b""])
def test_a_body_of_another_length_goes_to_the_parser(bad):
    """More may be the next request, less may be followed by more."""
    repeat = remembered(b"{}", plain(LINES))
    assert repeat.body_of(request(bad, plain(LINES), length=2)) is None


async def test_a_kept_connection_tells_its_requests_apart(tmp_path):
    """Other bodies, another path, another key, then the first again: each is answered for what it is."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]] * 50
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)

        async def ask(body: bytes, key: str = KEY, path: bytes = b"/v1/chat/completions"):
            lines = b"host: x\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n" % (key.encode(), len(body))
            writer.write(b"POST %b HTTP/1.1\r\n%b%b" % (path, lines, body))
            return await read_answer(reader)

        long = json.dumps({**json.loads(CHAT), "user": "x" * 5000}).encode()
        for body in (CHAT, long, CHAT, b"{", CHAT):
            assert (await ask(body)).status == (400 if body == b"{" else 200)
        sent = [json.loads(sent.partition(b"\r\n\r\n")[2]) for sent in up.requests]
        assert [len(body.get("user", "")) for body in sent] == [0, 5000, 0, 0]
        assert (await ask(CHAT, key="sk-wrong-key-of-somebody")).status == 401
        assert (await ask(CHAT)).status == 200
        assert (await ask(CHAT, path=b"/nowhere")).status == 404
        assert (await ask(CHAT)).status == 200
        assert len(up.requests) == 6
        writer.close()


async def test_a_repetition_in_pieces_or_in_pairs_is_read_as_ever(tmp_path):
    """TCP may cut the second request anywhere, or bring two at once."""
    async with upstream() as up, gateway(config(up.port), tmp_path) as gw:
        up.answers = [[answer(WHOLE)]] * 50
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port)
        wire = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b" % (
            KEY.encode(),
            len(CHAT),
            CHAT,
        )
        writer.write(wire)
        assert (await read_answer(reader)).status == 200
        for cut in (1, 30, len(wire) - len(CHAT), len(wire) - 1):
            writer.write(wire[:cut])
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.write(wire[cut:])
            assert (await read_answer(reader)).status == 200
        writer.write(wire + wire + wire[:50])
        assert [(await read_answer(reader)).status for _ in range(2)] == [200, 200]
        writer.write(wire[50:] + wire)
        assert [(await read_answer(reader)).status for _ in range(2)] == [200, 200]
        assert len(up.requests) == 9
        writer.close()
