"""Answers that are not what their head says: streams under another content type, pages and errors under a 200.

One rule: a look at the first bytes, only where the head leaves a doubt; nothing is read twice.
"""

from gatewright.transport import Incoming
from gatewright.wire.json import BadJson, decode_lenient

_EVENT_STARTS = (b"data:", b"event:", b":", b"id:", b"retry:")
_ANSWERS = ("choices", "content", "candidates", "output", "promptFeedback", "prompt_feedback")
"""Fields without which no dialect's document is an answer."""


class Begun:
    """An `Incoming` whose first piece has been looked at."""

    def __init__(self, incoming: Incoming, first: bytes) -> None:
        self._incoming = incoming
        self.first = first
        self._given = not first

    @property
    def status(self) -> int:
        return self._incoming.status

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        return self._incoming.headers

    def header(self, name: bytes) -> bytes | None:
        return self._incoming.header(name)

    async def next(self) -> bytes | None:
        if not self._given:
            self._given = True
            return self.first
        return await self._incoming.next()

    async def read(self, max_bytes: int) -> bytes:
        """As any `Incoming`; the first piece counts towards `max_bytes` too."""
        first = b"" if self._given else self.first
        self._given = True
        return first + await self._incoming.read(max_bytes - len(first))

    def abort(self) -> None:
        self._incoming.abort()


def looks_like_a_stream(first: bytes, *, array: bool) -> bool:
    """Whether a body that begins so is server-sent events or, where one may come, a JSON array of chunks."""
    start = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    return start.startswith(_EVENT_STARTS) or (array and start.startswith(b"["))


def tells_an_answer(body: bytes) -> bool:
    """Whether a whole document is an answer of some dialect, by its fields alone."""
    try:
        document = decode_lenient(body)
    except BadJson:
        return False
    if not isinstance(document, dict) or document.get("status") == "failed":  # a Responses document has an output even so
        return False
    return any(document.get(key) is not None for key in _ANSWERS)
