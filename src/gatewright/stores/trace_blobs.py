"""Traces packed: their documents, several behind one another in a compressed blob, which may be sealed.

One rule: a blob is small enough to be opened for one trace of it, and large enough that what conversations repeat costs nothing.
https://facebook.github.io/zstd/, RFC 8878
"""

import secrets
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
import zstandard

from gatewright.stores.sealed import CannotUnseal, Sealer
from gatewright.stores.trace_document import MANY_BYTES, CannotOpen, Documents, as_written, trace_of
from gatewright.stores.trace_terms import Trace

LEVEL: Final = 1
LARGEST_BYTES: Final = 1 << 30
"""Uncompressed; nothing of ours is."""
PURPOSE: Final = "traces"

_encode = msgspec.msgpack.Encoder().encode
_decode_lengths = msgspec.msgpack.Decoder(list[int]).decode


class Packed(msgspec.Struct, frozen=True):
    """A blob of several traces."""

    data: bytes
    seal: str
    """What it is sealed for. Empty: it is not."""
    last: int
    """When the youngest of them came."""
    lengths: bytes
    """Of each document, uncompressed."""
    count: int
    """Of its documents."""


class Packer:
    """Packs documents. Used by one thread."""

    def __init__(self, sealer: Sealer | None = None) -> None:
        """`sealer`: by whom blobs are sealed. None: they are not."""
        self._sealer = sealer
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)

    def pack(self, documents: Documents, last: int) -> Packed:
        """A blob of some. `last`: when the youngest of them came."""
        data = self._compressor.compress(documents.joined)
        seal = ""
        if self._sealer is not None:
            seal = secrets.token_hex(8)
            data = self._sealer.seal(seal, data)
        return Packed(data, seal, last, _encode(documents.lengths), len(documents.lengths))

    def pack_all(self, traces: Iterable[Trace]) -> Iterator[Packed]:
        """As many blobs as they need."""
        documents, last = Documents(), 0
        for trace in traces:
            documents.add(as_written(trace))
            last = max(last, trace.at)
            if len(documents.joined) >= MANY_BYTES:
                yield self.pack(documents, last)
                documents, last = Documents(), 0
        if documents.lengths:
            yield self.pack(documents, last)


class Opener:
    """Opens blobs. Used by one thread at a time."""

    def __init__(self, sealer: Sealer | None = None) -> None:
        self._sealer = sealer
        self._decompressor = zstandard.ZstdDecompressor()

    @property
    def is_blind(self) -> bool:
        """Whether it cannot open what is sealed."""
        return self._sealer is None

    def open(self, data: bytes, seal: str) -> bytes:
        """The documents. Raises CannotOpen."""
        if seal:
            if self._sealer is None:
                raise CannotOpen("it is encrypted, and no secret key was given")
            try:
                data = self._sealer.unseal(seal, data)
            except CannotUnseal as error:
                raise CannotOpen(str(error)) from None
        try:
            return self._decompressor.decompress(data, max_output_size=LARGEST_BYTES)
        except zstandard.ZstdError as error:
            raise CannotOpen(f"it is damaged ({error})") from None


def count_in(lengths: bytes) -> int:
    """How many traces a blob has."""
    return len(_decode_lengths(lengths))


def traces_in(opened: bytes, lengths: bytes) -> Iterator[tuple[int, int, Trace]]:
    """Start and length of each document, and what it is. Raises CannotOpen."""
    start = 0
    for length in _decode_lengths(lengths):
        yield start, length, trace_of(opened[start : start + length])
        start += length


class Rest(msgspec.Struct, frozen=True, array_like=True):
    """What a summary tells beside the columns of its line, in the order of its own fields."""

    ttft_us: int | None
    method: str
    path: str
    stream: bool
    error: str
    cache: str
    attempts: int
    losses: int
    findings: int
    input: int | None
    output: int | None
    size: int


_REST: Final = Rest.__struct_fields__
_decode_rest = msgspec.msgpack.Decoder(Rest).decode


def rest_of(trace: Trace) -> bytes:
    return _encode([getattr(trace, name) for name in _REST])


def rest_in(written: bytes) -> Rest:
    """Raises CannotOpen."""
    try:
        return _decode_rest(written)
    except msgspec.MsgspecError as error:
        raise CannotOpen(f"it is damaged, or was written by a newer version ({error})") from None
