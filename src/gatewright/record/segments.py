"""The journal's files: how records lie in a segment, and how they are read again, whoever was killed while writing.

    segment   "gwj1", its number (u32), records, and an end mark where the next segment goes on
    record    length (u32), CRC-32 of the payload (u32), payload

One rule: what cannot be read whole was never written. A segment is zeros before it is written to, so where a length is 0 nothing
has come yet; where the checksum is wrong, somebody died in the middle of the last record.
"""

import os
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

MAGIC: Final = b"gwj1"
HEAD: Final = struct.Struct("<II")
START: Final = 8
"""Where the first record begins."""
END_MARK: Final = b"\xff\xff\xff\xff"
LARGEST: Final = 64 << 10
"""Bytes of a record, with its head."""
WINDOW: Final = 1 << 20
"""Bytes that are read in one go."""

_END: Final = 0xFFFFFFFF
_NAME: Final = re.compile(r"(\d{10})\.seg")

Why = Literal[
    "open",  # all has been read that was written so far
    "over",  # the next segment goes on
    "torn",  # the last record is not whole
]


class Stretch(NamedTuple):
    """What was read in one go."""

    payloads: list[bytes]
    position: int
    """Where the next record begins."""
    why: Why | None
    """Why no more was read; None: it was enough for one go."""


def file_name(number: int) -> str:
    return f"{number:010d}.seg"


def numbers(folder: Path) -> list[int]:
    """Of the segments that there are, ascending. Raises OSError."""
    return sorted(int(found[1]) for file in folder.iterdir() if (found := _NAME.fullmatch(file.name)))


def head_of(number: int) -> bytes:
    return MAGIC + number.to_bytes(4, "little")


def record_of(payload: bytes) -> bytes:
    return HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def stretch(data: bytes, *, last: bool = True, most: int = 1 << 62) -> Stretch:
    """At most `most` records at the beginning of these bytes of a segment. `last`: the segment ends with them."""
    payloads: list[bytes] = []
    at, size = 0, len(data)
    unpack, crc32 = HEAD.unpack_from, zlib.crc32
    while len(payloads) < most:
        if size - at < HEAD.size:
            return Stretch(payloads, at, "over" if last else None)
        length, crc = unpack(data, at)
        if length == 0:
            return Stretch(payloads, at, "open" if crc == 0 else "torn")
        if length == _END:
            return Stretch(payloads, at, "over")
        begin, end = at + HEAD.size, at + HEAD.size + length
        if length > LARGEST or (end > size and last):
            return Stretch(payloads, at, "torn")
        if end > size:
            return Stretch(payloads, at, None)
        payload = data[begin:end]
        if crc32(payload) != crc:
            return Stretch(payloads, at, "torn")
        payloads.append(payload)
        at = end
    return Stretch(payloads, at, None)


def read(path: Path, position: int, most: int = 1 << 62, window: int = WINDOW) -> Stretch:
    """As `stretch`, of a file from `position` on (0: from its first record); of at most `window` bytes, which is no less than a
    record may have. Raises OSError.
    """
    at = max(position, START)
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(at)
        data = file.read(min(size - at, window)) if at < size else b""
    found = stretch(data, last=at + len(data) >= size, most=most)
    return Stretch(found.payloads, at + found.position, found.why)


def every_record(folder: Path) -> Iterator[tuple[int, int, bytes]]:
    """All records of a journal that are still there: segment, where the record ends, payload. Raises OSError."""
    for number in numbers(folder):
        at, why = START, None
        while why is None:
            payloads, end, why = read(folder / file_name(number), at)
            for payload in payloads:
                at += HEAD.size + len(payload)
                yield number, at, payload
            at = end
