"""A stream as (event name, payload), and back: server-sent events or binary frames, whichever the dialect has."""

from collections.abc import Iterable

from gatewright.ir.blocks import DialectName
from gatewright.wire import eventstream
from gatewright.wire.sse import SseParser, sse
from tests.laws.dialects import DIALECTS


def events_of(dialect: DialectName, wire: bytes) -> list[tuple[bytes, bytes]]:
    """Every event's name and data; an exception frame's name begins with `!`."""
    if DIALECTS[dialect].framing == "sse":
        parser = SseParser()
        return parser.feed(wire) + parser.close()
    found: list[tuple[bytes, bytes]] = []
    for message in eventstream.Decoder().feed(wire):
        name = message.headers.get(":event-type") or f"!{message.headers.get(':exception-type')}"
        found.append((str(name).encode(), message.payload))
    return found


def wire_of(dialect: DialectName, events: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The events on the wire."""
    if DIALECTS[dialect].framing == "sse":
        return b"".join(sse(data, name) for name, data in events)
    return b"".join(_frame(name.decode(), data) for name, data in events)


def _frame(name: str, data: bytes) -> bytes:
    kind = "exception" if name.startswith("!") else "event"
    headers = {f":{kind}-type": name.removeprefix("!"), ":content-type": "application/json", ":message-type": kind}
    return eventstream.encode(headers, data)


def lines_of(dialect: DialectName, wire: bytes) -> list[str]:
    """For people: the lines of server-sent events, or a line for each frame."""
    if DIALECTS[dialect].framing == "sse":
        return [line for line in wire.decode().split("\n") if line]
    return [f"{name.decode()} {data.decode()}" for name, data in events_of(dialect, wire)]
