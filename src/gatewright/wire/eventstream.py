"""AWS event streams (`application/vnd.amazon.eventstream`), sans I/O: bytes in any chunking -> messages; messages -> bytes.

    total length (4) | headers length (4) | CRC-32 of these (4) | headers | payload | CRC-32 of all before (4)

One rule: nothing is believed before its checksum was; a length comes from a prelude that was checked, and is bounded.
https://smithy.io/2.0/aws/amazon-eventstream.html
"""

import struct
from collections.abc import Mapping
from typing import Final, TypeAlias
from zlib import crc32

import msgspec

CONTENT_TYPE: Final = "application/vnd.amazon.eventstream"
PRELUDE_BYTES: Final = 12
LEAST_BYTES: Final = PRELUDE_BYTES + 4
"""A message with neither headers nor payload."""
MAX_HEADERS_BYTES: Final = 128 << 10
MAX_PAYLOAD_BYTES: Final = 24 << 20
"""Both as the format itself has them."""
_SEEN: Final = 64
"""Header blocks remembered by a decoder: a stream has a handful of them, thousands of times."""


class BadFrame(ValueError):
    """Bytes that are not a message of this format; the message says where it fails, without the bytes."""


class Byte(int):
    """A header of 8 bits."""


class Short(int):
    """A header of 16 bits."""


class Integer(int):
    """A header of 32 bits. A plain `int` has 64."""


class Timestamp(int):
    """Milliseconds since 1970."""


class Uuid(bytes):
    """16 bytes."""


HeaderValue: TypeAlias = bool | int | str | bytes
Headers: TypeAlias = Mapping[str, HeaderValue]

_FIXED: Final[Mapping[int, tuple[struct.Struct, type[int]]]] = {
    2: (struct.Struct("!b"), Byte),
    3: (struct.Struct("!h"), Short),
    4: (struct.Struct("!i"), Integer),
    5: (struct.Struct("!q"), int),
    8: (struct.Struct("!q"), Timestamp),
}
_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9
_CODE_OF: Final[Mapping[type, int]] = {kind: code for code, (_, kind) in _FIXED.items()}
_PRELUDE: Final = struct.Struct("!III")
_LENGTHS: Final = struct.Struct("!II")
_CRC: Final = struct.Struct("!I")
_LENGTH: Final = struct.Struct("!H")


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message: its headers by name, and what it carries."""

    headers: Headers
    payload: bytes


def encode_headers(headers: Headers) -> bytes:
    """The header block, to be encoded once for many messages. Raises BadFrame for what the format cannot hold."""
    out: list[bytes] = []
    for name, value in headers.items():
        word = name.encode("utf-8", "replace")
        if len(word) > 255:
            raise BadFrame(f"a header's name has {len(word)} bytes, 255 is the most")
        out += (bytes((len(word),)), word, _encode_value(name, value))
    block = b"".join(out)
    if len(block) > MAX_HEADERS_BYTES:
        raise BadFrame(f"the headers have {len(block)} bytes, {MAX_HEADERS_BYTES} is the most")
    return block


def _encode_value(name: str, value: HeaderValue) -> bytes:
    if isinstance(value, bool):
        return bytes((_TRUE if value else _FALSE,))
    if isinstance(value, int):
        code = _CODE_OF[type(value)]
        try:
            return bytes((code,)) + _FIXED[code][0].pack(value)
        except struct.error:
            raise BadFrame(f"the header {name!r} does not fit its integer type") from None
    if isinstance(value, Uuid):
        if len(value) != 16:
            raise BadFrame(f"the header {name!r} is not a UUID of 16 bytes")
        return bytes((_UUID,)) + value
    code, data = (_STRING, value.encode("utf-8", "replace")) if isinstance(value, str) else (_BYTES, value)
    if len(data) > 0x7FFF:
        raise BadFrame(f"the header {name!r} has {len(data)} bytes, 32767 is the most")
    return bytes((code,)) + _LENGTH.pack(len(data)) + data


def frame(block: bytes, payload: bytes) -> bytes:
    """A message with an encoded header block. Raises BadFrame for a payload beyond the format's bound."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise BadFrame(f"the payload has {len(payload)} bytes, {MAX_PAYLOAD_BYTES} is the most")
    lengths = _LENGTHS.pack(LEAST_BYTES + len(block) + len(payload), len(block))
    whole = b"".join((lengths, _CRC.pack(crc32(lengths)), block, payload))
    return whole + _CRC.pack(crc32(whole))


def encode(headers: Headers, payload: bytes) -> bytes:
    """One message on the wire, the headers in their order."""
    return frame(encode_headers(headers), payload)


def decode_headers(block: bytes) -> dict[str, HeaderValue]:
    """The headers of a block. Raises BadFrame for a type that nobody knows, a name told twice, or a block that is cut."""
    headers: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(block):
            end = at + 1 + block[at]
            name = _cut(block, at + 1, end).decode()
            value, at = _decode_value(block, end + 1, block[end])
            if name in headers:
                raise BadFrame("a header is told twice")
            headers[name] = value
    except (IndexError, struct.error):
        raise BadFrame("the headers break off") from None
    except UnicodeDecodeError:
        raise BadFrame("a header is not UTF-8") from None
    return headers


def _cut(block: bytes, start: int, end: int) -> bytes:
    if end > len(block):
        raise BadFrame("the headers break off")
    return block[start:end]


def _decode_value(block: bytes, at: int, code: int) -> tuple[HeaderValue, int]:
    """The value and where the next header begins."""
    if code in _FIXED:
        layout, kind = _FIXED[code]
        return kind(layout.unpack_from(block, at)[0]), at + layout.size
    if code in (_TRUE, _FALSE):
        return code == _TRUE, at
    if code == _UUID:
        return Uuid(_cut(block, at, at + 16)), at + 16
    if code not in (_BYTES, _STRING):
        raise BadFrame(f"a header has the unknown type {code}")
    end = at + 2 + _LENGTH.unpack_from(block, at)[0]
    data = _cut(block, at + 2, end)
    return (data.decode() if code == _STRING else data), end


class Splitter:
    """feed(bytes) -> whole frames, each checked at both ends, none read.

    What is complete goes first; a bad frame behind it raises with the next call.
    """

    __slots__ = ("_flaw", "_held", "_need", "_size", "max_payload_bytes")

    def __init__(self, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self._held: list[bytes] = []
        self._size = 0  # bytes held
        self._need = PRELUDE_BYTES  # bytes without which nothing new can be said
        self._flaw: BadFrame | None = None
        self.max_payload_bytes = max_payload_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes. Raises BadFrame, and ever after, once the bytes are no frame."""
        if self._flaw is not None:
            raise self._flaw
        if self._size:
            # Joined once when enough is here: with every read, a large frame would cost its square.
            self._held.append(data)
            self._size += len(data)
            if self._size < self._need:
                return []
            data = b"".join(self._held)
            self._held.clear()
            self._size = 0
        frames: list[bytes] = []
        try:
            rest = self._cut(data, frames)
        except BadFrame as flaw:
            self._flaw = flaw
            if not frames:
                raise
            return frames
        if rest:
            self._held.append(rest)
            self._size = len(rest)
        return frames

    def _cut(self, data: bytes, frames: list[bytes]) -> bytes:
        """Put whole frames into `frames`; what is left of `data`."""
        at, end = 0, len(data)
        self._need = PRELUDE_BYTES
        while end - at >= PRELUDE_BYTES:
            total, headers, checksum = _PRELUDE.unpack_from(data, at)
            if crc32(data[at : at + 8]) != checksum:
                raise BadFrame("a prelude's checksum does not match")
            payload = total - headers - LEAST_BYTES
            if not (0 <= payload <= self.max_payload_bytes and headers <= MAX_HEADERS_BYTES):
                raise self._wrong(headers, payload)
            if end - at < total:
                self._need = total
                break
            whole = data if total == end else data[at : at + total]
            if crc32(memoryview(whole)[:-4]) != _CRC.unpack_from(whole, total - 4)[0]:
                raise BadFrame("a message's checksum does not match")
            frames.append(whole)
            at += total
        return data[at:]

    def _wrong(self, headers: int, payload: int) -> BadFrame:
        """Why lengths whose checksum is right are refused."""
        if headers > MAX_HEADERS_BYTES:
            return BadFrame(f"the headers have {headers} bytes, {MAX_HEADERS_BYTES} is the most")
        if payload < 0:
            return BadFrame("a message is shorter than its headers")
        return BadFrame(f"the payload has {payload} bytes, {self.max_payload_bytes} is the most")

    def close(self) -> None:
        """The bytes have ended. Raises BadFrame when they ended within a message, or were none."""
        if self._flaw is None and self._size:
            self._flaw = BadFrame(f"the stream breaks off {self._size} bytes into a message")
            self._held.clear()
            self._size = 0
        if self._flaw is not None:
            raise self._flaw


class Decoder:
    """feed(bytes) -> complete messages, of any chunking."""

    __slots__ = ("_flaw", "_frames", "_seen")

    def __init__(self, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self._frames = Splitter(max_payload_bytes)
        self._seen: dict[bytes, Headers] = {}
        self._flaw: BadFrame | None = None

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises BadFrame, and ever after, once the bytes are no message."""
        if self._flaw is not None:
            raise self._flaw
        messages: list[Message] = []
        for whole in self._frames.feed(data):
            end = PRELUDE_BYTES + _PRELUDE.unpack_from(whole)[1]
            try:
                messages.append(Message(self._headers(whole[PRELUDE_BYTES:end]), whole[end:-4]))
            except BadFrame as flaw:
                self._flaw = flaw
                if not messages:
                    raise
                return messages
        return messages

    def close(self) -> None:
        """The bytes have ended. Raises BadFrame when they ended within a message, or were none."""
        if self._flaw is not None:
            raise self._flaw
        self._frames.close()

    def _headers(self, block: bytes) -> Headers:
        known = self._seen.get(block)
        if known is None:
            known = decode_headers(block)
            if len(self._seen) < _SEEN and len(block) < 1 << 10:
                self._seen[block] = known
        return known
