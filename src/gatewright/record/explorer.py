"""Traces for Invariant's Explorer: those that wait, and how they are pushed.

    put ─▶ queue (bounded) ─▶ make (beside the loop) ─▶ POST {explorer}/api/v1/push/trace

One rule: no request waits for it or fails by it. What finds the queue full, or Explorer away, is dropped, counted and told.
https://github.com/invariantlabs-ai/invariant-sdk (PushTracesRequest)
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import msgspec

from gatewright.record.explorer_link import Asks, NoAnswer
from gatewright.wire.json import decode_lenient

log = logging.getLogger("gatewright")

PATH: Final = "/api/v1/push/trace"
MOST_BYTES: Final = 128 << 20
"""That those who wait hold on to."""
AT_ONCE: Final = 8
"""Pushes that run at the same time."""
TRIES: Final = 3
PAUSE_S: Final = 0.5
"""Before the second try; twice as long before the third."""
IN_A_ROW: Final = 5
"""So many failures, and Explorer is left alone …"""
REST_S: Final = 30.0
"""… for so long. What comes meanwhile is dropped."""
TOLD_EVERY_S: Final = 60.0
CLOSING_S: Final = 2.0
"""How long a stop waits for what waits."""

Make: TypeAlias = Callable[[], Awaitable[bytes | None]]
"""Makes the body of a push, when its turn has come. None: it is not to be pushed after all."""


class Counts(msgspec.Struct):
    """Since the start."""

    pushed: int = 0
    dropped: int = 0
    """The queue was full, or Explorer was left alone."""
    failed: int = 0
    """Explorer refused them, or did not answer."""


class Explorer:
    """Pushes traces. Within one event loop."""

    def __init__(
        self, link: Asks, clock: Callable[[], float], *, size: int = 1000, deadline_s: float = 20.0, pause_s: float = PAUSE_S
    ) -> None:
        """`clock`: monotonic seconds. `size`: how many may wait."""
        self.link = link
        self.counts = Counts()
        self.size = size
        self.deadline_s = deadline_s
        self._pause_s = pause_s
        self._clock = clock
        self._waiting: deque[tuple[str, Make, int]] = deque()
        self._bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._rests_until = 0.0
        self._told = -TOLD_EVERY_S
        self._closed = False

    def put(self, key: str, make: Make, size: int = 0) -> None:
        """Have a trace pushed in the name of a key. Never raises nor waits. `size`: bytes that it holds on to until then."""
        if self._closed or len(self._waiting) >= self.size or self._bytes + size > MOST_BYTES:
            self._drop("more traces wait than may")
            return
        if self._clock() < self._rests_until:
            self._drop("Explorer is left alone for a while")
            return
        self._waiting.append((key, make, size))
        self._bytes += size
        if len(self._tasks) < AT_ONCE:
            task = asyncio.get_running_loop().create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Push what waits, for a moment; the rest is dropped. Idempotent."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=CLOSING_S)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.counts.dropped += len(self._waiting)
        self._waiting.clear()

    async def _work(self) -> None:
        while self._waiting:
            key, make, size = self._waiting.popleft()
            self._bytes -= size
            try:
                if (body := await make()) is not None:
                    await self._push(key, body)
            except asyncio.CancelledError:
                self.counts.dropped += 1
                raise
            except Exception:
                self.counts.failed += 1
                log.exception("explorer: a trace could not be made on a bug of ours")

    async def _push(self, key: str, body: bytes) -> None:
        why = ""
        for tried in range(TRIES):
            if tried:
                await asyncio.sleep(self._pause_s * tried)
            if self._clock() < self._rests_until:
                self._drop("Explorer is left alone for a while")
                return
            try:
                status, answer = await self.link.ask("POST", PATH, key, body, deadline_s=self.deadline_s)
            except NoAnswer as error:
                why = error.problem.message
                self._failed()
                if error.sent:  # it may be there: a second one would be a trace more
                    break
                continue
            if status < 300:
                self._failures = 0
                self.counts.pushed += 1
                return
            why = f"it answered {status}{_words(answer)}"
            if status < 500 and status != 429:
                break
            self._failed()
        self.counts.failed += 1
        self._tell(f"a trace was not taken: {why[:300]}")

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= IN_A_ROW:
            self._failures = 0
            self._rests_until = self._clock() + REST_S

    def _drop(self, why: str) -> None:
        self.counts.dropped += 1
        self._tell(f"{why}: {self.counts.dropped} were dropped so far")

    def _tell(self, what: str) -> None:
        now = self._clock()
        if now - self._told >= TOLD_EVERY_S:
            self._told = now
            log.warning("warning: explorer: %s", what)


def _words(answer: bytes) -> str:
    """What a refusal says, where it is short and plain."""
    try:
        document = decode_lenient(answer[:4096])
    except ValueError:
        return ""
    detail = document.get("detail") if isinstance(document, dict) else None
    return f": {detail[:200]}" if isinstance(detail, str) else ""
