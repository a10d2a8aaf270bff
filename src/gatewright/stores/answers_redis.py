"""Answers shared over Redis or Valkey.

One rule: a store that is slow or gone costs a request one deadline, once in a while, and never an error. After a few failures
in a row it is left alone, longer each time; the log tells when it goes and when it is back.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

log = logging.getLogger("gatewright")

DEADLINE_S: Final = 0.1
"""For one command, waiting for a connection included: a provider's answer is rarely there sooner, a cache's always."""
CONNECTIONS: Final = 32
IN_A_ROW: Final = 3
"""Failures after which it is left alone."""
REST_S: Final = 1.0
"""For so long at first; twice as long each time, …"""
LONGEST_REST_S: Final = 30.0
"""… up to this."""
PREFIX: Final = "gatewright:answer:1:"

Result = TypeVar("Result")


class RedisAnswers:
    """A `Shared`. Used within one event loop."""

    def __init__(
        self, url: str, *, deadline_s: float = DEADLINE_S, clock: Callable[[], float] = time.monotonic, prefix: str = PREFIX
    ) -> None:
        """`url`: `redis://`, `rediss://` (TLS), `valkey://` or `valkeys://`. Raises ValueError when it cannot be read."""
        self._deadline_s = deadline_s
        self._clock = clock
        self._prefix = prefix
        pool = BlockingConnectionPool.from_url(
            url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
            max_connections=CONNECTIONS,
            timeout=deadline_s,
            socket_timeout=deadline_s,
            socket_connect_timeout=deadline_s,
            retry=Retry(NoBackoff(), 0),
        )
        self._redis = Redis(connection_pool=pool)
        self._failures = 0
        self._rests_until = 0.0

    @property
    def resting(self) -> bool:
        """Whether it is left alone now."""
        return self._clock() < self._rests_until

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
        if self._failures >= IN_A_ROW:
            log.warning("cache: the shared store is back")
        self._failures = 0
        return said

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures < IN_A_ROW:
            return
        doublings = min(self._failures - IN_A_ROW, 10)
        self._rests_until = self._clock() + min(LONGEST_REST_S, REST_S * 2.0**doublings)
        if self._failures == IN_A_ROW:  # once, however long it lasts
            why = str(error) or type(error).__name__
            log.warning("cache: the shared store does not answer (%s); answers are kept in memory alone until it does", why[:200])
