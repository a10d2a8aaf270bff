"""What a stream's watch is given and what comes of it: pieces of any size, made whole events as the gateway makes them."""

from collections.abc import Iterable, Iterator

from gatewright.dialects.protocol import Watch
from gatewright.wire.whole_events import WholeEvents


def pieces(wire: bytes, size: int) -> list[bytes]:
    """The wire in reads of `size` bytes."""
    return [wire[at : at + size] for at in range(0, len(wire), size)]


def watched(watch: Watch, chunks: Iterable[bytes], *, sse: bool = True) -> bytes:
    """What passes on of these reads. `sse`: they are server-sent events; other framings come as they are."""
    return b"".join(watch.feed(part) for part in (_whole(chunks) if sse else chunks))


def _whole(chunks: Iterable[bytes]) -> Iterator[bytes]:
    events = WholeEvents()
    for chunk in chunks:
        if part := events.feed(chunk):
            yield part
    if rest := events.close():
        yield rest
