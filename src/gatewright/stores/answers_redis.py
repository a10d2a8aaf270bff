"""Answers shared over Redis or Valkey.

One rule: a store that is slow or gone costs a request one deadline, once in a while, and never an error. After a few failures
in a row it is left alone, longer each time; the log tells when it goes and when it is back.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.exceptions import RedisError

from gatewright.stores.redis_link import Rests, reached

log = logging.getLogger("gatewright")

DEADLINE_S: Final = 0.1
"""For one command, waiting for a connection included: a provider's answer is rarely there sooner, a cache's always."""
CONNECTIONS: Final = 32
PREFIX: Final = "gatewright:answer:1:"

Result = TypeVar("Result")


class RedisAnswers:
    """A `Shared`. Used within one event loop."""

    def __init__(
        self, url: str, *, deadline_s: float = DEADLINE_S, clock: Callable[[], float] = time.monotonic, prefix: str = PREFIX
    ) -> None:
        """`url`: `redis://`, `rediss://` (TLS), `valkey://` or `valkeys://`. Raises ValueError when it cannot be read."""
        self._deadline_s = deadline_s
        self._prefix = prefix
        self._redis = reached(url, connections=CONNECTIONS, deadline_s=deadline_s)
        self._rests = Rests(clock)

    @property
    def resting(self) -> bool:
        """Whether it is left alone now."""
        return self._rests.resting

    async def get(self, key: bytes) -> bytes | None:
        found = await self._ask(lambda: self._redis.get(self._name(key)))
        return found if isinstance(found, bytes) else None

    async def put(self, key: bytes, kept: bytes, ttl_s: float) -> None:
        await self._ask(lambda: self._redis.set(self._name(key), kept, px=max(1, round(ttl_s * 1000))))

    async def close(self) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._redis.aclose(close_connection_pool=True)
        except (RedisError, OSError):  # the deadline's error is one of them
            return

    def _name(self, key: bytes) -> str:
        return self._prefix + key.hex()

    async def _ask(self, command: Callable[[], Awaitable[Result]]) -> Result | None:
        """What the store says; None when it cannot say it in time, or is left alone."""
        if self.resting:
            return None
        try:
            async with asyncio.timeout(self._deadline_s):
                said = await command()
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._failed(error)
            return None
        if self._rests.answered():
            log.warning("cache: the shared store is back")
        return said

    def _failed(self, error: Exception) -> None:
        if self._rests.failed():
            why = str(error) or type(error).__name__
            log.warning("cache: the shared store does not answer (%s); answers are kept in memory alone until it does", why[:200])
