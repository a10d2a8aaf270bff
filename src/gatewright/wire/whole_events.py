"""Server-sent events that pass go on whole: half of one would spoil the error event after it, and nobody could read it earlier.

One rule: what ends with a blank line goes on at once, byte for byte; what follows waits for its own. The search is over new bytes
alone, so that a large event in small pieces costs linear time.
"""

from typing import Final

from gatewright.wire.sse import MAX_EVENT_BYTES

ENDS: Final = (b"\n\n", b"\r\n\r\n")
"""How nearly every read ends: it is whole as it is, where nothing is held."""
_BLANK_LINES: Final = (b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\r\r")


class WholeEvents:
    """feed(bytes) -> the bytes of whole events. Only an event too large to be held, and the last of a stream, go on in parts."""

    __slots__ = ("at_boundary", "held", "max_bytes")

    def __init__(self, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self.held = bytearray()
        """The beginning of an event whose end has not come."""
        self.at_boundary = True
        """Whether what went on ended with a blank line."""
        self.max_bytes = max_bytes

    def feed(self, data: bytes) -> bytes:
        """What may go on now; may be nothing."""
        held = self.held
        if not held and self.at_boundary and data.endswith(ENDS):
            return data
        cut = data.rfind(b"\n\n") + 2  # found near the end in nearly every stream: nothing else is searched for then
        if cut < 2:
            seam = bytes(held[-3:])
            found = seam + data
            cut = max(found.rfind(end) + len(end) if end in found else 0 for end in _BLANK_LINES) - len(seam)
        if cut > 0 and not held:
            held += data[cut:]
            self.at_boundary = True
            return data[:cut]
        whole = b""
        if cut > 0:
            whole = bytes(held) + data[:cut]
            held.clear()
            held += data[cut:]
            self.at_boundary = True
        else:
            held += data
        if len(held) > self.max_bytes:
            whole += held
            held.clear()
            self.at_boundary = False
        return whole

    def close(self) -> bytes:
        """The event that the end of the stream cut off; empty where there is none."""
        rest = bytes(self.held)
        self.held.clear()
        return rest
