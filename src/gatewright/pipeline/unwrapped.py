"""An answer that a host frames in its own way, read as the dialect frames it."""

from gatewright.providers.shapes import Unwrapper
from gatewright.transport import Incoming
from gatewright.transport.failures import BadAnswer, TooLarge


class Unwrapped:
    """An `Incoming` whose bytes go through an unwrapper. What is not framed as the host frames is the host's failure."""

    def __init__(self, incoming: Incoming, unwrapper: Unwrapper) -> None:
        self._incoming = incoming
        self._unwrapper = unwrapper
        self._ended = False

    @property
    def status(self) -> int:
        return self._incoming.status

    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        kept = tuple(pair for pair in self._incoming.headers if pair[0] != b"content-type")
        return (*kept, (b"content-type", self._unwrapper.content_type))

    def header(self, name: bytes) -> bytes | None:
        return self._unwrapper.content_type if name == b"content-type" else self._incoming.header(name)

    async def next(self) -> bytes | None:
        while not self._ended:
            data = await self._incoming.next()
            self._ended = data is None
            try:
                told = self._unwrapper.close() if data is None else self._unwrapper.feed(data)
            except ValueError as error:
                self._incoming.abort()
                self._ended = True
                raise BadAnswer(f"the provider's answer cannot be read: {error}", phase="body", sent=True) from None
            if told:
                return told
        return None

    async def read(self, max_bytes: int) -> bytes:
        """The whole rest. Raises TooLarge beyond `max_bytes` of what it was wrapped around."""
        pieces: list[bytes] = []
        size = 0
        while (data := await self.next()) is not None:
            size += len(data)
            if size > max_bytes:
                self.abort()
                raise TooLarge(f"the provider's answer is longer than {max_bytes} bytes", phase="body", sent=True)
            pieces.append(data)
        return b"".join(pieces)

    def abort(self) -> None:
        self._incoming.abort()
