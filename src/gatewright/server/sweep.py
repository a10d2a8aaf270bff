"""One timer for all connections of a loop: keep-alives, slow requests, idle connections. No timer per request."""

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from gatewright.server.gateway import Gateway
    from gatewright.server.lane import FastLane

TICK_S = 1.0
REQUEST_S = 30.0
"""A request that began and sends nothing for so long is given up."""
REQUEST_TOTAL_S = 300.0
"""A request that is not complete after so long is given up, however steadily it drips (slow loris)."""
IDLE_S = 75.0
"""An idle connection is closed after this; longer than the usual load balancer's 60 s."""
UNREAD_S = 600.0
"""A client that takes nothing of what waits for it is given up after this; its upstream waits too."""


class Sweeper:
    """Looks at every connection once a second."""

    _sweepers: "WeakKeyDictionary[asyncio.AbstractEventLoop, Sweeper]" = WeakKeyDictionary()

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lanes: set[FastLane] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.date_line = b""
        """The `date` header, at most a second old while there are connections."""

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "Sweeper":
        sweeper = cls._sweepers.get(loop)
        if sweeper is None:
            sweeper = cls._sweepers[loop] = cls(loop)
        return sweeper

    def hand_on(self, old: "Gateway", new: "Gateway") -> None:
        """Every connection of `old` asks `new` from its next request on. What runs has taken its gateway already."""
        for lane in self._lanes:
            if lane.gateway is old:
                lane.gateway = new

    def add(self, lane: "FastLane") -> None:
        self._lanes.add(lane)
        lane.since = self._loop.time()
        if self._timer is None:
            self._set_date()
            self._timer = self._loop.call_later(TICK_S, self._tick)

    def discard(self, lane: "FastLane") -> None:
        self._lanes.discard(lane)

    def counts(self) -> tuple[int, int]:
        """Connections, and those on which a streamed answer runs."""
        return len(self._lanes), sum(lane.streaming for lane in self._lanes)

    def _set_date(self) -> None:
        self.date_line = b"date: %b\r\n" % formatdate(usegmt=True).encode("ascii")

    def _tick(self) -> None:
        self._set_date()
        now = self._loop.time()
        for lane in tuple(self._lanes):
            self._look(lane, now)
        self._timer = self._loop.call_later(TICK_S, self._tick) if self._lanes else None

    def _look(self, lane: "FastLane", now: float) -> None:
        silent = now - lane.since
        if silent > UNREAD_S and (lane.unread or lane.idle):
            lane.transport.abort()  # a close waits for the client to take what is there
        elif lane.idle:
            if silent > IDLE_S:
                lane.close()
        elif lane.waiting_body and (silent > REQUEST_S or now - lane.began > REQUEST_TOTAL_S):
            lane.timed_out()
        elif silent > lane.gateway.keepalive_s:
            lane.keep_alive(now)
