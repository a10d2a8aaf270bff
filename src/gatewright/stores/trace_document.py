"""A trace as a document: msgpack, as it is kept. What stands in it stands there byte for byte, and can be looked for.

One rule: bytes that are there twice, for they have passed from one leg to the other, are written once.
https://github.com/msgpack/msgpack/blob/master/spec.md
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from gatewright.stores.trace_terms import Trace, UpstreamCall

FRAMES: Final = rb"(?s:[\xc4\xd9].|[\xc5\xda]..|[\xc6\xdb]....)"
"""What may stand before a text or bytes in a document: its length, whose own bytes may look like letters. Shorter texts have a
byte there that is none. A pattern of bytes."""
MANY_BYTES: Final = 256 << 10
"""Of documents that are kept together: the last one may exceed it. Few enough to be opened for one of them."""
_WORTH: Final = 256
"""Bytes of a body that are worth a second look."""
_encode_into = msgspec.msgpack.Encoder().encode_into
_decode = msgspec.msgpack.Decoder(Trace).decode


class CannotOpen(Exception):
    """What was kept and cannot be read. The message says why, for a person."""


class Documents:
    """Several, one behind the other, in one piece of memory: large ones of their own would be new pages each."""

    __slots__ = ("_memory", "lengths", "size")

    def __init__(self, traces: Iterable[Trace] = (), *, memory: bytearray | None = None) -> None:
        """`memory`: where they are written. What stands there is gone, the pages stay."""
        self._memory = bytearray() if memory is None else memory
        self.lengths: list[int] = []
        self.size = 0
        """Bytes of all of them."""
        for trace in traces:
            self.add(trace)

    @property
    def joined(self) -> bytes | bytearray:
        return self._memory if self.lengths else b""

    def add(self, trace: Trace) -> None:
        """One `as_written`. All of it, or nothing."""
        start = self.size
        try:
            _encode_into(trace, self._memory, start)
        except BaseException:
            del self._memory[start:]
            raise
        self.size = len(self._memory)
        self.lengths.append(self.size - start)


def document_of(trace: Trace) -> bytes:
    return bytes(Documents((as_written(trace),)).joined)


def trace_of(document: bytes) -> Trace:
    """Raises CannotOpen."""
    try:
        return whole(_decode(document))
    except msgspec.MsgspecError as error:
        raise CannotOpen(f"it is damaged, or was written by a newer version ({error})") from None


def is_same(own: bytes, client: bytes) -> bool:
    """Whether a provider's leg had the client's very bytes, and they are worth a word about it."""
    return own is client and len(client) > _WORTH


def as_written(trace: Trace) -> Trace:
    """Without bytes that a leg shares with the client's."""
    asked, told = trace.request.body, trace.answer.body
    calls = [_without_bytes(call, asked, told) for call in trace.upstream]
    return msgspec.structs.replace(trace, upstream=tuple(calls)) if any(call.passed or call.sent_on for call in calls) else trace


def whole(trace: Trace) -> Trace:
    """With all bytes of each leg: of one `as_written`."""
    if not any(call.passed or call.sent_on for call in trace.upstream):
        return trace
    return msgspec.structs.replace(trace, upstream=tuple(_with_bytes(call, trace) for call in trace.upstream))


def _without_bytes(call: UpstreamCall, asked: bytes, told: bytes) -> UpstreamCall:
    request, answer = call.request, call.answer
    if is_same(request.body, asked):
        call = msgspec.structs.replace(call, request=msgspec.structs.replace(request, body=b""), sent_on=True)
    if answer is not None and is_same(answer.body, told):
        call = msgspec.structs.replace(call, answer=msgspec.structs.replace(answer, body=b""), passed=True)
    return call


def _with_bytes(call: UpstreamCall, trace: Trace) -> UpstreamCall:
    if call.sent_on:
        request = msgspec.structs.replace(call.request, body=trace.request.body)
        call = msgspec.structs.replace(call, request=request, sent_on=False)
    if call.passed and call.answer is not None:
        answer = msgspec.structs.replace(call.answer, body=trace.answer.body)
        call = msgspec.structs.replace(call, answer=answer, passed=False)
    return call
