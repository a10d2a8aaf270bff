"""Change without stopping: what a new configuration makes takes over from what the old one made, and nobody who waits notices.

One rule: everything that can go wrong goes wrong before anything changes. A file that cannot be used is told, and that is all.
"""

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from gatewright.config import Config, ConfigError
from gatewright.config.watch import FileWatch
from gatewright.errors import GatewrightError
from gatewright.pipeline.authenticate import Authenticate
from gatewright.pipeline.endpoint import Endpoint
from gatewright.pipeline.live_lists import LiveLists
from gatewright.record.usage import UsageCounter
from gatewright.server.gateway import Gateway
from gatewright.server.run import Terminal
from gatewright.stores.accounts import AccountStore
from gatewright.stores.kept import KeptStore

log = logging.getLogger("gatewright.reload")

LOOK_EVERY_S: Final = 0.25
"""A change is taken over after two looks: in half a second, and what reading it takes."""
LAST_WORDS_S: Final = 2.0
"""How long clients have to take the error event that ends an answer beyond the deadline."""
_RETIRED_LOOK_S: Final = 0.1

FIXED: Final = ("host", "port", "workers", "drain_s", "tls_cert_file", "tls_key_file", "state_dir")
"""Settings of `server` that hold until a restart: what is listened on, and where the stores lie."""


class Generation(msgspec.Struct, eq=False, kw_only=True):
    """What one configuration has made. Of what it took over from the one before, it is another holder."""

    config: Config
    gateway: Gateway
    endpoints: Mapping[str, Endpoint]
    lists: LiveLists
    authenticate: Authenticate
    usage: UsageCounter
    """One for all generations, as are the stores."""
    kept: KeptStore
    book: AccountStore | None

    def begin(self) -> None:
        """Start what runs in the background. Within the event loop."""
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
        new.lists.inherit(old.lists)
        new.kept.max_rows = new.config.responses_state.max_items
        new.gateway.others = lambda: sum(generation.gateway.active for generation in self._older)
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
        for endpoint in {id(e): e for generation in generations for e in generation.endpoints.values()}.values():
            await endpoint.close()
        loop = asyncio.get_running_loop()
        end = loop.time() + LAST_WORDS_S
        while self.active() and loop.time() < end:  # noqa: ASYNC110 - once, at the end; an event would cost every request
            await asyncio.sleep(0.02)
        if self.current.book is not None:
            await self.current.book.close()
        await self.current.kept.close()

    def _all(self) -> Iterator[Generation]:
        yield from self._older
        yield self.current

    async def _retire(self, old: Generation) -> None:
        """Close what only `old` uses, once its last answer has ended."""
        try:
            await old.lists.close()
            while old.gateway.active:  # noqa: ASYNC110 - an event would cost every request
                await asyncio.sleep(_RETIRED_LOOK_S)
        except asyncio.CancelledError:  # the gateway stops; `close` sees to it
            return
        del self._older[old]
        held = {id(endpoint) for generation in self._all() for endpoint in generation.endpoints.values()}
        for endpoint in old.endpoints.values():
            if id(endpoint) not in held:
                await endpoint.close()


class Reloader:
    """Watches the files of the configuration, and listens for SIGHUP."""

    def __init__(
        self,
        house: House,
        make: Callable[[Generation], Generation],
        hand_on: Callable[[Gateway], None],
    ) -> None:
        """`make`: read the configuration anew and build what it says, beside what serves now. Called in a thread; blocks."""
        self._house = house
        self._make = make
        self._hand_on = hand_on
        self._started = house.current.config.server
        self._asked = asyncio.Event()
        self._terminal = Terminal()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Within the event loop of the main thread, which takes SIGHUP."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        self._task = loop.create_task(self._watch())

    async def stop(self) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _hung_up(self) -> None:
        if self._terminal.gone():
            signal.raise_signal(signal.SIGTERM)
        else:
            self._asked.set()

    async def _watch(self) -> None:
        files = await asyncio.to_thread(FileWatch, self._house.current.config.files)
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), LOOK_EVERY_S)
            asked = self._asked.is_set()
            self._asked.clear()
            watched = self._house.current.config.server.watch
            if (asked or (watched and await asyncio.to_thread(files.changed))) and await self.reload():
                files = await asyncio.to_thread(FileWatch, self._house.current.config.files)

    async def reload(self) -> bool:
        """Take the configuration over as it is now. False: it cannot be used; why is in the log, and nothing has changed."""
        before = self._house.current
        source = before.config.source
        try:
            new = await asyncio.to_thread(self._make, before)
        except ConfigError as error:
            log.error("%s\n%s: not taken over; what was loaded before goes on", error, source)  # noqa: TRY400 - told, not traced
            return False
        except (GatewrightError, OSError, ValueError) as error:
            log.error("%s: not taken over; what was loaded before goes on: %s", source, error)  # noqa: TRY400
            return False
        except Exception:
            log.exception("%s: not taken over, on a bug of ours; what was loaded before goes on", source)
            return False
        fresh = [line for line in new.config.warnings if line not in before.config.warnings]
        for line in (*fresh, *self._kept_back(new.config)):
            log.warning("warning: %s", line)
        self._house.take_over(new, self._hand_on)
        log.warning("%s: taken over", source)  # as a warning, or nobody sees it where no logging is set up
        return True

    def _kept_back(self, config: Config) -> Iterator[str]:
        """What the new configuration says and cannot have, a line each."""
        for name in FIXED:
            now, asked = getattr(self._started, name), getattr(config.server, name)
            if now != asked:
                yield f"{config.source}: server.{name}: {asked} takes a restart; {now} goes on"
