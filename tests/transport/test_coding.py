"""Content codings: undone piece by piece, cut anywhere, never more than a bounded piece at a time."""

import gzip
import zlib

import brotli
import pytest

from gatewright.transport import ACCEPTED, BadAnswer, Cut, TooLarge
from gatewright.transport.coding import DECODERS, PIECE, Zstd, decoding_of
from tests.transport.upstream import CHUNKED, OK, answering, client, on_both_loops, post, upstream, whole

PLAIN = b"".join(b"data: {%d}\n\n" % index for index in range(60))


def raw_deflate(data):
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


ENCODED = {
    "gzip": (b"gzip", gzip.compress(PLAIN)),
    "x-gzip": (b"x-gzip", gzip.compress(PLAIN)),
    "two gzip members": (b"GZIP", gzip.compress(PLAIN[:99]) + gzip.compress(PLAIN[99:])),
    "gzip and padding": (b"gzip", gzip.compress(PLAIN) + b"\0" * 9),
    "zlib deflate": (b"deflate", zlib.compress(PLAIN)),
    "raw deflate": (b"deflate", raw_deflate(PLAIN)),
    "br": (b"br", brotli.compress(PLAIN)),
    "gzip then br": (b"gzip, br", brotli.compress(gzip.compress(PLAIN))),
    "identity": (b"identity", PLAIN),
}


def undone(coding, pieces):
    decoding = decoding_of(coding)
    if decoding is None:
        return b"".join(pieces)
    out = b""
    for piece in pieces:
        out += decoding.decode(piece)
        while decoding.pending:
            out += decoding.decode(b"")
    assert decoding.complete
    return out


@pytest.mark.parametrize("case", ENCODED)
def test_a_coding_is_undone_wherever_it_is_cut(case):
    """Every split in two, and byte by byte, gives the same text."""
    coding, data = ENCODED[case]
    for cut in range(len(data) + 1):
        assert undone(coding, [piece for piece in (data[:cut], data[cut:]) if piece]) == PLAIN
    assert undone(coding, [data[index : index + 1] for index in range(len(data))]) == PLAIN


@pytest.mark.parametrize("case", ENCODED)
@on_both_loops
async def test_a_compressed_stream_reads_as_a_plain_one(case):
    """Through a real connection, in one-byte chunks."""
    coding, data = ENCODED[case]
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ntransfer-encoding: chunked\r\n\r\n" % coding
    chunks = b"".join(b"1\r\n%b\r\n" % data[index : index + 1] for index in range(len(data)))
    async with upstream(answering(head + chunks + b"0\r\n\r\n", OK)) as server, client(server.url) as transport:
        assert await whole(await transport.send(post())) == (200, PLAIN)
        assert await whole(await transport.send(post())) == (200, b"ok")
        assert len(server.peers) == 1


@on_both_loops
async def test_codings_in_two_header_lines_are_one_list():
    """The second line was applied last, so it is undone first."""
    data = brotli.compress(gzip.compress(PLAIN))
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-encoding: br\r\ncontent-length: %d\r\n\r\n" % len(data)
    async with upstream(answering(head + data)) as server, client(server.url) as transport:
        assert await whole(await transport.send(post())) == (200, PLAIN)


@on_both_loops
async def test_an_event_is_readable_as_soon_as_it_is_flushed():
    """A compressed event stream is a stream: nothing is held back for the end."""
    deflate = zlib.compressobj(wbits=31)
    first = deflate.compress(b"data: 1\n\n") + deflate.flush(zlib.Z_SYNC_FLUSH)
    answer = CHUNKED.replace(b"transfer", b"content-encoding: gzip\r\ntransfer") + b"%x\r\n%b\r\n" % (len(first), first)
    async with upstream(answering(answer)) as server, client(server.url) as transport:
        incoming = await transport.send(post())
        assert await incoming.next() == b"data: 1\n\n"
        incoming.abort()


@pytest.mark.parametrize("case", ["gzip", "two gzip members", "zlib deflate", "raw deflate", "br"])
@on_both_loops
async def test_compressed_data_that_stops_early_is_a_cut(case):
    """The HTTP message is whole, its content is not: never a clean end."""
    coding, data = ENCODED[case]
    data = data[:-5]
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n%b" % (coding, len(data), data)
    async with upstream(answering(answer)) as server, client(server.url) as transport:
        with pytest.raises(Cut):
            await whole(await transport.send(post()))


@pytest.mark.parametrize("ending", [b"", b"0\r\n\r\n"])
@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br"])
@on_both_loops
async def test_data_that_is_not_compressed_is_a_bad_answer(coding, ending):
    """A lie about the coding is found out, whether or not the answer is complete."""
    head = CHUNKED.replace(b"transfer", b"content-encoding: %b\r\ntransfer" % coding)
    async with (
        upstream(answering(head + b"14\r\n\xff\xfethis is not it at all"[:26] + b"\r\n" + ending)) as server,
        client(server.url) as transport,
    ):
        incoming = await transport.send(post())
        for _ in range(2):
            with pytest.raises(BadAnswer):
                await incoming.next()


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br"])
@on_both_loops
async def test_an_empty_body_needs_no_coding(coding):
    """Servers label empty answers too."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: 0\r\n\r\n" % coding
    async with upstream(answering(answer)) as server, client(server.url) as transport:
        assert await whole(await transport.send(post())) == (200, b"")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
@on_both_loops
async def test_a_bomb_goes_off_in_pieces(coding):
    """20 MB in a few KB: each piece is bounded, and `read` stops at its limit."""
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "br": lambda data: brotli.compress(data, quality=4)}[coding]
    bomb = pack(bytes(20_000_000))
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: %d\r\n\r\n%b" % (coding.encode(), len(bomb), bomb)
    async with upstream(answering(answer, answer)) as server, client(server.url) as transport:
        with pytest.raises(TooLarge):
            await (await transport.send(post())).read(1_000_000)
        incoming = await transport.send(post())
        total = 0
        while (piece := await incoming.next()) is not None:
            assert len(piece) <= 4 * PIECE
            total += len(piece)
        assert total == 20_000_000


def test_what_is_accepted_can_be_undone():
    """The value for accept-encoding promises nothing that is not there."""
    assert ACCEPTED.startswith(b"gzip, deflate, br")
    assert all(name in DECODERS for name in ACCEPTED.split(b", "))


class FakeZstd:
    """What Python 3.14's decompressor does, for a coding where a frame is `<digit><that many bytes>`."""

    def __init__(self):
        self.eof = False
        self.needs_input = True
        self.unused_data = b""
        self._left = -1

    def decompress(self, data, max_length):
        if self._left < 0:
            if not data.isdigit() and not data[:1].isdigit():
                raise RuntimeError("no frame")
            self._left, data = data[0] - 48, data[1:]
        out, rest = data[: self._left], data[self._left :]
        self._left -= len(out)
        if not self._left:
            self.eof, self.needs_input, self.unused_data = True, False, rest
        return out


def test_zstd_frames_follow_one_another():
    """Where Python has zstd, a body of several frames is one text and a half one is seen."""
    zstd = Zstd(FakeZstd)
    out = b""
    for piece in (b"3ab", b"c2d", b"e1f"):
        out += zstd.decode(piece)
        while zstd.pending:
            out += zstd.decode(b"")
    assert out == b"abcdef"
    assert zstd.complete
    zstd.decode(b"2x")
    assert not zstd.complete
    with pytest.raises(ValueError, match="bad zstd"):
        Zstd(FakeZstd).decode(b"x")
