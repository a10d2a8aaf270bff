"""How a Redis or Valkey is reached, and when it is left alone: the same for answers and for counters.

One rule: a store that fails is left alone after a few times in a row, longer each time, and the log tells once.
"""

from collections.abc import Callable
from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

IN_A_ROW: Final = 3
"""Failures after which it is left alone."""
REST_S: Final = 1.0
"""For so long at first; twice as long each time, …"""
LONGEST_REST_S: Final = 30.0
"""… up to this."""


def reached(url: str, *, connections: int, deadline_s: float) -> Redis:
    """`url`: `redis://`, `rediss://` (TLS), `valkey://` or `valkeys://`. Nothing is repeated. Raises ValueError."""
    pool = BlockingConnectionPool.from_url(
        url.replace("valkey", "redis", 1) if url.startswith("valkey") else url,
        max_connections=connections,
        timeout=deadline_s,
        socket_timeout=deadline_s,
        socket_connect_timeout=deadline_s,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis(connection_pool=pool)


class Rests:
    """Whether a store is left alone."""

    __slots__ = ("_clock", "_failures", "_until")

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self._clock = clock
        self._failures = 0
        self._until = 0.0

    @property
    def resting(self) -> bool:
        """Whether it is left alone now."""
        return self._clock() < self._until

    def failed(self) -> bool:
        """It has failed once more; whether the log is to tell: once, however long it lasts."""
        self._failures += 1
        if self._failures < IN_A_ROW:
            return False
        doublings = min(self._failures - IN_A_ROW, 10)
        self._until = self._clock() + min(LONGEST_REST_S, REST_S * 2.0**doublings)
        return self._failures == IN_A_ROW

    def answered(self) -> bool:
        """It has answered in time; whether the log is to tell that it is back."""
        was_away = self._failures >= IN_A_ROW
        self._failures = 0
        return was_away
