"""Content codings undone piece by piece.

One rule: never more than `PIECE` decoded bytes at a time, however well the upstream compressed them.
https://www.rfc-editor.org/rfc/rfc9110#name-content-codings
"""

import importlib
import zlib
from collections.abc import Callable
from typing import Protocol

import brotli  # type: ignore[import-untyped]  # ships no types; `_Brotli` says what we use

PIECE = 262144
"""Most bytes one call of `decode` gives."""
MAX_CODINGS = 4


class Decoder(Protocol):
    """Undoes one content coding."""

    def decode(self, data: bytes) -> bytes:
        """Up to about `PIECE` bytes more. `data` may be empty to get what is pending. Raises ValueError."""
        ...

    @property
    def pending(self) -> bool:
        """Whether calling `decode(b"")` would give more."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the data may end here."""
        ...


class Gzip:
    """gzip, of one or more members; what follows the last one is ignored, as browsers do."""

    __slots__ = ("_full", "_inflate", "_rest", "_started")

    def __init__(self) -> None:
        self._full = False
        """The last piece was as long as allowed: there may be more inside, even when all input was taken."""
        self._inflate = zlib.decompressobj(31)
        self._rest = b""
        self._started = False

    def decode(self, data: bytes) -> bytes:
        data = self._rest + data if self._rest else data
        if not data and not self._full:
            return b""
        self._rest = b""
        self._full = False
        if self._inflate.eof:
            if not b"\x1f\x8b\x08".startswith(data[:3]):
                return b""
            if len(data) < 3:
                self._rest = data
                return b""
            self._inflate = zlib.decompressobj(31)
        self._started = True
        try:
            out = self._inflate.decompress(data, PIECE)
        except zlib.error as error:
            raise ValueError(f"bad gzip data ({error})") from None
        self._full = len(out) == PIECE and not self._inflate.eof
        self._rest = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        return out

    @property
    def pending(self) -> bool:
        return len(self._rest) > 2 if self._inflate.eof else self._full or bool(self._rest)

    @property
    def complete(self) -> bool:
        return self._inflate.eof or not self._started


class Deflate:
    """deflate: zlib by the standard, raw by some servers; the first two bytes tell."""

    __slots__ = ("_full", "_inflate", "_rest")

    def __init__(self) -> None:
        self._full = False
        self._inflate: zlib._Decompress | None = None
        self._rest = b""

    def decode(self, data: bytes) -> bytes:
        data = self._rest + data if self._rest else data
        self._rest = b""
        self._full = False
        if self._inflate is None:
            if len(data) < 2:
                self._rest = data
                return b""
            is_zlib = data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0
            self._inflate = zlib.decompressobj(15 if is_zlib else -15)
        if self._inflate.eof:
            return b""
        try:
            out = self._inflate.decompress(data, PIECE)
        except zlib.error as error:
            raise ValueError(f"bad deflate data ({error})") from None
        self._full = len(out) == PIECE and not self._inflate.eof
        self._rest = self._inflate.unconsumed_tail
        return out

    @property
    def pending(self) -> bool:
        return self._full or (self._inflate is not None and bool(self._rest))

    @property
    def complete(self) -> bool:
        return self._inflate.eof if self._inflate is not None else not self._rest


class _BrotliObject(Protocol):
    def process(self, data: bytes, output_buffer_limit: int) -> bytes: ...
    def can_accept_more_data(self) -> bool: ...
    def is_finished(self) -> bool: ...


class Brotli:
    """br."""

    __slots__ = ("_brotli", "_full", "_rest", "_started")

    def __init__(self) -> None:
        self._brotli: _BrotliObject = brotli.Decompressor()
        self._full = False
        self._rest = b""
        self._started = False

    def decode(self, data: bytes) -> bytes:
        data = self._rest + data if self._rest else data
        self._rest = b""
        self._started = self._started or bool(data)
        if self._brotli.is_finished():
            return b""
        if not self._brotli.can_accept_more_data():
            self._rest, data = data, b""
        try:
            out = self._brotli.process(data, output_buffer_limit=PIECE)
        except brotli.error:
            raise ValueError("bad br data") from None
        self._full = len(out) >= PIECE and not self._brotli.is_finished()
        return out

    @property
    def pending(self) -> bool:
        more = self._full or bool(self._rest) or not self._brotli.can_accept_more_data()
        return more and not self._brotli.is_finished()

    @property
    def complete(self) -> bool:
        return self._brotli.is_finished() or not self._started


class _ZstdObject(Protocol):
    needs_input: bool
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Zstd:
    """zstd, of one or more frames; only where Python brings it (3.14 and later)."""

    __slots__ = ("_make", "_rest", "_started", "_zstd")

    def __init__(self, make: Callable[[], _ZstdObject]) -> None:
        self._make = make
        self._zstd = make()
        self._rest = b""
        self._started = False

    def decode(self, data: bytes) -> bytes:
        data = self._rest + data if self._rest else data
        self._rest = b""
        if self._zstd.eof:
            if not data:
                return b""
            self._zstd = self._make()
        self._started = self._started or bool(data)
        try:
            out = self._zstd.decompress(data, PIECE)
        except Exception as error:  # noqa: BLE001 - its error type exists only where the module does
            raise ValueError(f"bad zstd data ({error})") from None
        if self._zstd.eof:
            self._rest = self._zstd.unused_data
        return out

    @property
    def pending(self) -> bool:
        return bool(self._rest) if self._zstd.eof else self._started and not self._zstd.needs_input

    @property
    def complete(self) -> bool:
        return self._zstd.eof or not self._started


def _zstd_maker() -> Callable[[], _ZstdObject] | None:
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError:
        return None
    maker: Callable[[], _ZstdObject] = module.ZstdDecompressor
    return maker


_ZSTD = _zstd_maker()

DECODERS: dict[bytes, Callable[[], Decoder]] = {b"gzip": Gzip, b"x-gzip": Gzip, b"deflate": Deflate, b"br": Brotli}
if _ZSTD is not None:
    _MAKE_ZSTD = _ZSTD
    DECODERS[b"zstd"] = lambda: Zstd(_MAKE_ZSTD)

ACCEPTED = b", ".join(name for name in DECODERS if name != b"x-gzip")
"""Value for an `accept-encoding` header: what can be undone here."""


class Decoding:
    """Every coding of one body, undone in the right order."""

    __slots__ = ("_steps",)

    def __init__(self, steps: tuple[Decoder, ...]) -> None:
        self._steps = steps

    def decode(self, data: bytes) -> bytes:
        """About `PIECE` bytes more; `data` must be empty while something is pending. Raises ValueError."""
        first = 0
        for index in range(len(self._steps) - 1, -1, -1):
            if self._steps[index].pending:
                first = index
                break
        for step in self._steps[first:]:
            data = step.decode(data)
        return data

    @property
    def pending(self) -> bool:
        return any(step.pending for step in self._steps)

    @property
    def complete(self) -> bool:
        return all(step.complete for step in self._steps)

    @property
    def steps(self) -> tuple[Decoder, ...]:
        """Outermost, the last applied, first."""
        return self._steps


def decoding_of(content_encoding: bytes, then: Decoding | None = None) -> Decoding | None:
    """What undoes a `content-encoding` value, before `then` undoes those of an earlier header line.

    None: nothing is encoded. Raises ValueError for a coding that cannot be undone here, or too many of them.
    """
    steps: list[Decoder] = []
    for part in reversed(content_encoding.lower().split(b",")):
        name = part.strip()
        if name in (b"", b"identity"):
            continue
        make = DECODERS.get(name)
        if make is None:
            raise ValueError(f"content-encoding {name[:32].decode('latin-1')!r}, which cannot be undone")
        if len(steps) == MAX_CODINGS:
            raise ValueError(f"more than {MAX_CODINGS} content codings")
        steps.append(make())
    if then is not None:
        steps.extend(then.steps)
    return Decoding(tuple(steps)) if steps else None
