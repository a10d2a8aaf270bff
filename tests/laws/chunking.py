"""The same stream as other networks would bring it: law 3's variants."""

import re
from collections.abc import Iterator

SLOW_BYTES = 1 << 18
"""Beyond this a stream is not fed byte by byte but in threes: one huge event held back is copied with every byte."""


def feeds(wire: bytes, read_sizes: tuple[int, ...], *, binary: bool = False) -> Iterator[tuple[str, list[bytes]]]:
    """(what it is, chunks) of every way that must give the same events as feeding `wire` at once."""
    yield "byte by byte", in_sizes(wire, 1 if len(wire) < SLOW_BYTES else 3)
    yield "seven at a time", in_sizes(wire, 7)
    if read_sizes:
        yield "as recorded", _recorded(wire, read_sizes)
    if binary:
        return  # frames have no lines
    if wire.lstrip().startswith((b"[", b"{")):
        return  # a JSON array, not server-sent events: its white space is JSON's
    lines = wire.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    yield "LF", [lines]
    crlf = lines.replace(b"\n", b"\r\n")
    yield "CRLF", [crlf]
    yield "CRLF byte by byte", in_sizes(crlf, 1 if len(wire) < SLOW_BYTES else 3)
    yield "CR", [lines.replace(b"\n", b"\r")]
    yield "no last blank line", [lines.rstrip(b"\n")]
    yield "data: without a space", [re.sub(rb"(?m)^data: ", b"data:", lines)]
    yield "comments between", [b": hello\n\n" + lines.replace(b"\n\n", b"\n\n: still here\n\n")]
    yield "comments within", [re.sub(rb"(?m)^data:", b": note\ndata:", lines)]
    yield "BOM", [b"\xef\xbb\xbf" + lines]
    yield "BOM byte by byte", [*in_sizes(b"\xef\xbb\xbf" + lines[:4096], 1), lines[4096:]]


def in_sizes(wire: bytes, size: int) -> list[bytes]:
    return [wire[i : i + size] for i in range(0, len(wire), size)]


def _recorded(wire: bytes, sizes: tuple[int, ...]) -> list[bytes]:
    chunks, start = [], 0
    for size in sizes:
        chunks.append(wire[start : start + size])
        start += size
    return [*chunks, wire[start:]] if start < len(wire) else chunks
