"""Kept answers: in memory, bounded in bytes, the least recently used go first; behind it, perhaps, a store that is shared.

One rule: it is a cache. Losing it costs calls and nothing else, so nothing here raises, and nobody waits long for it.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

OVERHEAD: Final = 200
"""Bytes that an answer costs beside its own, about."""
LARGEST_SHARE: Final = 4
"""An answer larger than one in so many of all bytes is not kept: it would push out everybody else's."""


class Shared(Protocol):
    """A store that several processes use. Neither method raises; both end within a deadline of their own."""

    async def get(self, key: bytes) -> bytes | None: ...

    async def put(self, key: bytes, kept: bytes, ttl_s: float) -> None: ...

    async def close(self) -> None: ...


class _Kept(msgspec.Struct, frozen=True, gc=False):
    body: bytes
    ends: float


class Answers:
    """Answers of this process. `near` is at once; `far` asks the shared store."""

    def __init__(
        self, max_bytes: int, *, shared: Shared | None = None, url: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`url`: where `shared` lies, by which a later configuration knows whether it is still the one."""
        self.max_bytes = max_bytes
        """May be changed; the next `put` holds it."""
        self.shared = shared
        self.url = url
        self._clock = clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self.size = 0
        """Bytes that are held, as counted here."""

    def __len__(self) -> int:
        return len(self._kept)

    def near(self, key: bytes) -> bytes | None:
        """What this process holds and what has not ended."""
        found = self._kept.get(key)
        if found is None:
            return None
        if found.ends <= self._clock():
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return found.body

    async def far(self, key: bytes, ttl_s: float) -> bytes | None:
        """What others have left; held here from now on, `ttl_s` at most. To be awaited in a task."""
        if self.shared is None:
            return None
        body = await self.shared.get(key)
        if body is not None:
            self.hold(key, body, ttl_s)
        return body

    def hold(self, key: bytes, body: bytes, ttl_s: float) -> None:
        """Keep an answer here."""
        if key in self._kept:
            self._drop(key)
        size = _size(key, body)
        if size * LARGEST_SHARE > self.max_bytes:
            return
        self._kept[key] = _Kept(body, self._clock() + ttl_s)
        self.size += size
        while self.size > self.max_bytes:
            self._drop(next(iter(self._kept)))

    async def share(self, key: bytes, body: bytes, ttl_s: float) -> None:
        """Leave an answer to others. To be awaited in a task."""
        if self.shared is not None:
            await self.shared.put(key, body, ttl_s)

    def _drop(self, key: bytes) -> None:
        self.size -= _size(key, self._kept.pop(key).body)

    async def close(self) -> None:
        self._kept.clear()
        self.size = 0
        if self.shared is not None:
            await self.shared.close()


def _size(key: bytes, body: bytes) -> int:
    return len(key) + len(body) + OVERHEAD
