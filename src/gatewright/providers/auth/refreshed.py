"""A value that expires and is obtained anew: one request for it at a time, ahead of its end, while the old one still serves.

    fresh ──▶ due: refreshed in the background, the old value serves ──▶ spent: callers wait, together, for one refresh

One rule: whoever waits may leave; the refresh goes on, and ends by itself within a bounded time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import msgspec

from gatewright.errors import GatewrightError

T = TypeVar("T")

FOREVER: Final = float("inf")


class Lease(msgspec.Struct, Generic[T], frozen=True):
    """A value and when it ends."""

    value: T
    expires_at: float = FOREVER
    """Seconds of the clock that `Refreshed` was given."""
    refresh_at: float | None = None
    """When its issuer wants it refreshed, where it said so. None: `ahead_s` before its end."""


class Pace(msgspec.Struct, frozen=True):
    """Seconds: how early, how long, how often."""

    ahead_s: float = 300.0
    """A refresh begins so long before the end; of a short life, no more than its last quarter."""
    skew_s: float = 10.0
    """A value is spent so long before its end: it must arrive, and clocks differ. Of a short life a tenth at most."""
    obtain_s: float = 30.0
    """One refresh may last so long."""
    wait_s: float = 35.0
    """A caller with no value to go on with waits so long."""
    again_s: float = 1.0
    """After a failure the next refresh waits so long; twice as long after each further one."""
    again_at_most_s: float = 60.0
    forced_every_s: float = 20.0
    """A refused value is replaced early no oftener: an upstream that refuses everything must not cost the issuer."""


class RefreshTookTooLong(Exception):
    """Nothing came in the time that a refresh or a caller has. Its message says how long."""


class Refreshed(Generic[T]):
    """Holds one value. Belongs to the event loop that first asks for it.

    `obtain` gets a new lease or raises; what it raises is what callers see. `clock` gives seconds, `chance` a number in [0, 1):
    many gateways that began together should not refresh together.
    """

    def __init__(
        self,
        obtain: Callable[[], Awaitable[Lease[T]]],
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
    ) -> None:
        self._obtain = obtain
        self._clock = clock
        self._chance = chance
        self._pace = pace
        self._lease: Lease[T] | None = None
        self._refresh_at = 0.0
        self._spent_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        self._failures = 0
        self._again_at = 0.0
        self._forced_at = -FOREVER

    @property
    def current(self) -> T | None:
        """What there is, spent or not."""
        return None if self._lease is None else self._lease.value

    @property
    def again_in_s(self) -> float:
        """Seconds until another refresh may begin after a failure; 0 when it may now."""
        return self._again_at - self._clock() if self._rests(self._clock()) else 0.0

    async def get(self) -> T:
        """A value that serves now. Raises what `obtain` raised, or RefreshTookTooLong."""
        now = self._clock()
        lease = self._lease
        if lease is not None and now < self._spent_at:
            if now >= self._refresh_at and self._task is None and not self._rests(now):
                self._begin()
            return lease.value
        if self._task is None and self._failure is not None and self._rests(now):
            raise self._failure.with_traceback(None)
        return await self._renewed()

    async def replace(self, refused: T) -> T:
        """Another value than `refused`, which its user did not accept; the same one when it is too early to ask for another.

        Raises as `get` does.
        """
        lease = self._lease
        if lease is None or lease.value != refused:
            return await self.get()
        now = self._clock()
        if self._task is None:
            if self._forced_at <= now < self._forced_at + self._pace.forced_every_s:
                return refused
            self._forced_at = now
        self._spent_at = self._again_at = now
        return await self._renewed()

    async def close(self) -> None:
        """End a refresh that runs; nobody waits for it any more."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    def _rests(self, now: float) -> bool:
        """Whether a failure is too fresh for another try. A pause longer than any is a clock that was set back."""
        return 0 < self._again_at - now <= self._pace.again_at_most_s * 1.2

    async def _renewed(self) -> T:
        task = self._task or self._begin()
        # `wait` neither cancels the task when this caller leaves nor when its time is up.
        done, _ = await asyncio.wait((task,), timeout=self._pace.wait_s)
        if not done:
            raise RefreshTookTooLong(f"no answer within {self._pace.wait_s:g} s")
        if self._failure is not None:
            raise self._failure.with_traceback(None)  # one exception for many: it must not grow by each
        assert self._lease is not None, "a refresh ends with a lease or a failure"
        return self._lease.value

    def _begin(self) -> asyncio.Task[None]:
        self._task = task = asyncio.create_task(self._refresh())
        return task

    async def _refresh(self) -> None:
        """One refresh. Never raises: how it ended is kept for those who wait and those who come."""
        try:
            async with asyncio.timeout(self._pace.obtain_s):
                lease = await self._obtain()
        except asyncio.CancelledError:
            self._fail(RefreshTookTooLong("it was called off: the gateway is stopping"))
            raise
        except TimeoutError:
            self._fail(RefreshTookTooLong(f"no answer within {self._pace.obtain_s:g} s"))
        except Exception as error:  # noqa: BLE001 - kept, and raised to whoever asks
            self._fail(error)
        else:
            self._keep(lease)
        finally:
            self._task = None

    def _keep(self, lease: Lease[T]) -> None:
        now = self._clock()
        life = max(0.0, lease.expires_at - now)
        ahead = min(self._pace.ahead_s, life / 4)
        due = lease.expires_at - ahead if lease.refresh_at is None else lease.refresh_at
        self._lease = lease
        self._spent_at = lease.expires_at - min(self._pace.skew_s, life / 10)
        # Up to a fifth earlier, by chance. An issuer may hand out what it had already handed out: then a little later.
        self._refresh_at = max(due - ahead * self._chance() / 5, now + min(30.0, life / 8))
        self._failure = None
        self._failures = 0
        self._again_at = 0.0

    def _fail(self, error: Exception) -> None:
        pause = min(self._pace.again_s * 2.0 ** min(self._failures, 16), self._pace.again_at_most_s)
        if isinstance(error, GatewrightError) and error.problem.retry_after_s is not None:
            pause = max(pause, min(error.problem.retry_after_s, self._pace.again_at_most_s))
        self._failures += 1
        self._failure = error
        self._again_at = self._clock() + pause * (1 + self._chance() / 5)
