"""Answers that a host frames in its own way."""

import pytest

from gatewright.pipeline.unwrapped import Unwrapped
from gatewright.transport.failures import BadAnswer, TooLarge


class Lines:
    """Frames are lines; each holds a piece of the answer. A line that begins with `!` is none."""

    content_type = b"text/event-stream"

    def __init__(self):
        self.held = b""

    def feed(self, data):
        *whole, self.held = (self.held + data).split(b"\n")
        if any(line.startswith(b"!") for line in whole):
            raise ValueError("a line that is none")
        return b"".join(whole)

    def close(self):
        if self.held:
            raise ValueError("cut inside a line")
        return b"."


class Given:
    """An answer of these pieces."""

    status = 200
    headers = ((b"content-type", b"application/x-lines"), (b"x-request-id", b"r"))

    def __init__(self, *pieces):
        self.pieces = list(pieces)
        self.aborted = False

    def header(self, name):
        return dict(self.headers).get(name)

    async def next(self):
        return self.pieces.pop(0) if self.pieces else None

    def abort(self):
        self.aborted = True


async def test_pieces_come_out_as_the_dialect_has_them():
    """What is not yet whole is waited for; the end may have a word of its own."""
    incoming = Unwrapped(Given(b"a", b"b\nc", b"\n"), Lines())
    assert [await incoming.next(), await incoming.next(), await incoming.next(), await incoming.next()] == [
        b"ab",
        b"c",
        b".",
        None,
    ]
    assert await incoming.next() is None


async def test_the_head_tells_what_comes_out():
    """Whoever looks for a stream finds one."""
    incoming = Unwrapped(Given(), Lines())
    assert incoming.header(b"content-type") == b"text/event-stream"
    assert incoming.header(b"x-request-id") == b"r"
    assert dict(incoming.headers) == {b"content-type": b"text/event-stream", b"x-request-id": b"r"}
    assert incoming.status == 200


@pytest.mark.parametrize("pieces", [(b"a\n!b\n",), (b"a\nb",)])
async def test_what_is_not_framed_so_is_the_hosts_failure(pieces):
    """A broken or cut frame never ends an answer cleanly."""
    given = Given(*pieces)
    incoming = Unwrapped(given, Lines())
    with pytest.raises(BadAnswer, match="cannot be read"):
        await incoming.read(100)
    assert given.aborted


async def test_an_answer_is_read_whole_within_bounds():
    """What comes out counts, not what went in."""
    assert await Unwrapped(Given(b"a\nb\n"), Lines()).read(3) == b"ab."
    given = Given(b"a\nb\n")
    with pytest.raises(TooLarge):
        await Unwrapped(given, Lines()).read(2)
    assert given.aborted
