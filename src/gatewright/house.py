"""Change without stopping: what a new configuration makes takes over from what the old one made, and nobody who waits notices.

One rule: what runs finishes with what it began with, and what only it uses is closed behind it.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from gatewright.admitting import Directory
from gatewright.bookkeeping import Books
from gatewright.config import Config
from gatewright.costing import rules_of
from gatewright.exploring import Exploring
from gatewright.measuring import Measures
from gatewright.pipeline.admin import ReloadDesk
from gatewright.pipeline.authenticate import Authenticate
from gatewright.pipeline.endpoint import Endpoint
from gatewright.pipeline.health import Health
from gatewright.pipeline.live_lists import LiveLists
from gatewright.pipeline.probes import Probes
from gatewright.providers.pricing import Prices
from gatewright.server.gateway import Gateway
from gatewright.stores.accounts import AccountStore
from gatewright.stores.answers import Answers
from gatewright.stores.counters import Counters
from gatewright.stores.kept import KeptStore
from gatewright.tracing import Tracing
from gatewright.transport import Transport

LAST_WORDS_S: Final = 2.0
"""How long clients have to take the error event that ends an answer beyond the deadline."""
_RETIRED_LOOK_S: Final = 0.1


class Generation(msgspec.Struct, eq=False, kw_only=True):
    """What one configuration has made. Of what it took over from the one before, it is another holder."""

    config: Config
    gateway: Gateway
    endpoints: Mapping[str, Endpoint]
    lists: LiveLists
    authenticate: Authenticate
    directory: Directory
    """One for all generations: it knows the stored keys."""
    books: Books
    """One for all generations, as are the stores."""
    measures: Measures
    """One for all generations."""
    kept: KeptStore
    answers: Answers
    counters: Counters
    tracing: Tracing
    """One for all generations."""
    book: AccountStore | None
    prices: Prices
    """One for all generations: it follows the configuration that answers."""
    health: Health
    """One for all generations: what is known of a target that stays is not forgotten."""
    desk: ReloadDesk
    probes: Probes
    exploring: Exploring | None = None
    """What stands in for Invariant's gateway; another generation's, too, where that asks for the same."""
    opened: Sequence[Transport] = ()
    """Connections of its own beside its endpoints': of guards that ask somebody."""
    stop: Callable[[], None]
    """Have whoever waits for a time to pass go on at once: what it waits for is closed."""

    def begin(self) -> None:
        """Start what runs in the background. Within the event loop."""
        self.books.start()
        for begin in self.gateway.starting:
            begin()


class House:
    """The generation that answers, and older ones that have not finished."""

    def __init__(self, first: Generation) -> None:
        self.current = first
        self._older: dict[Generation, asyncio.Task[None]] = {}

    def active(self) -> int:
        """Answers that run."""
        return sum(generation.gateway.active for generation in self._all())

    def take_over(self, new: Generation, hand_on: Callable[[Gateway], None]) -> None:
        """From now on `new` answers. At once: between two turns of the loop there is no moment without an answerer."""
        old = self.current
        new.authenticate.inherit(old.authenticate)
        new.directory.serve(new.authenticate)
        new.lists.inherit(old.lists)
        new.kept.max_rows = new.config.responses_state.max_items
        new.answers.max_bytes = new.config.cache.max_bytes
        new.gateway.others = lambda: sum(generation.gateway.active for generation in self._older)
        new.prices.follow(rules_of(new.config))
        new.health.follow(new.endpoints, new.config.routing.breaker)
        self.current = new
        hand_on(new.gateway)
        new.begin()
        self._older[old] = asyncio.get_running_loop().create_task(self._retire(old))

    async def close(self) -> None:
        """The gateway is stopping: streams that outlasted the deadline lose their upstream here, and tell their clients so."""
        self.current.gateway.draining = True
        for task in self._older.values():
            task.cancel()
        generations = tuple(self._all())
        for generation in generations:
            await generation.lists.close()
            await generation.probes.close()
        for endpoint in {id(e): e for generation in generations for e in generation.endpoints.values()}.values():
            await endpoint.close()
        for generation in generations:
            for transport in generation.opened:
                await transport.close()
            generation.stop()
        loop = asyncio.get_running_loop()
        end = loop.time() + LAST_WORDS_S
        while self.active() and loop.time() < end:  # noqa: ASYNC110 - once, at the end; an event would cost every request
            await asyncio.sleep(0.02)
        if self.current.book is not None:
            await self.current.book.close()
        for answers in {id(g.answers): g.answers for g in generations}.values():
            await answers.close()
        for counters in {id(g.counters): g.counters for g in generations}.values():
            await counters.close()
        for exploring in {id(g.exploring): g.exploring for g in generations}.values():
            if exploring is not None:
                await exploring.close()
        await self.current.directory.close()
        await self.current.kept.close()
        await asyncio.to_thread(self.current.tracing.close)
        await asyncio.to_thread(self.current.books.close)

    def _all(self) -> Iterator[Generation]:
        yield from self._older
        yield self.current

    async def _retire(self, old: Generation) -> None:
        """Close what only `old` uses, once its last answer has ended."""
        try:
            await old.lists.close()
            await old.probes.close()
            while old.gateway.active:  # noqa: ASYNC110 - an event would cost every request
                await asyncio.sleep(_RETIRED_LOOK_S)
        except asyncio.CancelledError:  # the gateway stops; `close` sees to it
            return
        del self._older[old]
        held = {id(endpoint) for generation in self._all() for endpoint in generation.endpoints.values()}
        for endpoint in old.endpoints.values():
            if id(endpoint) not in held:
                await endpoint.close()
        for transport in old.opened:
            await transport.close()
        if all(generation.answers is not old.answers for generation in self._all()):
            await old.answers.close()
        if all(generation.counters is not old.counters for generation in self._all()):
            await old.counters.close()
        if old.exploring is not None and all(generation.exploring is not old.exploring for generation in self._all()):
            await old.exploring.close()
