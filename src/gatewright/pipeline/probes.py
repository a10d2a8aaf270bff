"""Probes: small calls of our own, that find out whether a provider answers before a client has to.

Off unless a provider asks for them. One rule: a probe is a call like any other: it is let through, counted and recorded as the
clients' are, and it costs as many tokens as an answer of one word.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from gatewright.errors import Refused
from gatewright.exchange import Exchange, Principal
from gatewright.pipeline.asking import Asking
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.settle import Recorder
from gatewright.principals.records import PROBER as NAME
from gatewright.wire.http import Call
from gatewright.wire.json import encode

log = logging.getLogger("gatewright")

PROBER: Final = Principal(NAME, models=())
"""Whose calls they are in the counts of usage. It has no key, and no key may have its name, so nobody else can call by it."""
MAX_TOKENS: Final = 16
"""The least that every API takes."""


class Probe(msgspec.Struct, frozen=True):
    candidate: Candidate
    every_s: float


class Probes:
    """Belongs to the event loop that starts it."""

    def __init__(self, probes: tuple[Probe, ...], asking: Asking, recorder: Recorder, chance: Callable[[], float]) -> None:
        """`chance`: a number in [0, 1), so that the workers' probes do not come all at once."""
        self.probes = probes
        self.asking = asking
        self.recorder = recorder
        self.chance = chance
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._name = os.urandom(6).hex()
        self._count = 0

    def start(self) -> None:
        """Within the event loop."""
        loop = asyncio.get_running_loop()
        self._tasks = tuple(loop.create_task(self._keep(probe)) for probe in self.probes)

    async def close(self) -> None:
        """No more probes. One that runs is given up."""
        tasks, self._tasks = self._tasks, ()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, probe: Probe) -> None:
        while True:
            await asyncio.sleep(probe.every_s * (0.5 + self.chance()))
            try:
                await self.probe(probe.candidate)
            except Exception:
                log.exception("a probe of %s failed on a bug of ours", probe.candidate.name)

    async def probe(self, candidate: Candidate) -> None:
        """One call, if its circuits let it through. What comes of it is in the health of its target."""
        self._count += 1
        exchange = asked(candidate, f"probe_{self._name}{self._count:x}", self.asking.health.clock())
        status, problem = 499, None
        try:
            reply = await self.asking.ask(exchange, candidate, hold=False, last=True)
            status, problem = reply.status, reply.problem
        except Refused as error:
            status, problem = error.problem.http_status, error.problem
        finally:
            self.recorder.settle(exchange, status, problem)


def asked(candidate: Candidate, request_id: str, now: float) -> Exchange:
    """The exchange of a probe. `now`: monotonic seconds."""
    document: Mapping[str, object] = {
        "model": candidate.model,
        "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": "Say ok."}],
    }
    call = Call(path="/v1/chat/completions", body=encode(document))
    exchange = Exchange(request_id=request_id, dialect="openai_chat", operation="generate", method="POST", call=call, started=now)
    exchange.principal = PROBER
    exchange.model = candidate.name
    exchange.plan = (candidate,)
    return exchange
