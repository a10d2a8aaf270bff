"""Reading the configuration again: when its files change, on SIGHUP, and when an admin asks.

One rule: everything that can go wrong goes wrong before anything changes. A file that cannot be used is told, and that is all.
"""

import asyncio
import logging
import secrets
import signal
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from gatewright.changes import changes
from gatewright.config import Config, ConfigError, ConfigProblem
from gatewright.config.tree import show_path
from gatewright.config.watch import FileWatch
from gatewright.errors import GatewrightError
from gatewright.house import Generation, House
from gatewright.pipeline.admin import Fault, Reloaded, Workers
from gatewright.server import hangup
from gatewright.server.gateway import Gateway
from gatewright.stores.peers import PeerName, Peers

log = logging.getLogger("gatewright.reload")

LOOK_EVERY_S: Final = 0.25
LOOK_AGAIN_S: Final = 0.1
"""A change is taken over when it has lain still between two looks: in a third of a second, and what reading it takes."""
ANSWER_WITHIN_S: Final = 10.0
"""How long the admin call waits for the other workers."""
_ANSWER_LOOK_S: Final = 0.02
NO_FILE: Final = "the configuration comes from the environment, which does not change: there is no file to read again"

FIXED: Final = ("host", "port", "workers", "drain_s", "tls_cert_file", "tls_key_file", "state_dir", "trusted_proxies")
"""Settings of `server` that hold until a restart: what is listened on, and where the stores lie."""

RELOAD: Final = "reload"
RELOADED: Final = "reloaded"
"""Topics among peers: have taken the configuration over, do the same; and have done it, or not."""
Outcome: TypeAlias = Literal["taken over", "refused", "elsewhere", "silent"]
"""`elsewhere`: it serves another configuration."""


class Reloader:
    """Watches the files of the configuration, and listens for SIGHUP, for the admin call and for peers that were called."""

    def __init__(
        self,
        house: House,
        make: Callable[[Generation], Generation],
        hand_on: Callable[[Gateway], None],
        peers: Peers,
    ) -> None:
        """`make`: read the configuration anew and build what it says, beside what serves now. Called in a thread; blocks."""
        self._house = house
        self._make = make
        self._hand_on = hand_on
        self._peers = peers
        self._started = house.current.config.server
        self._books = (house.current.config.ledger, house.current.config.database)
        self._asked = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._files: FileWatch | None = None
        self._terminal = hangup.terminal()
        self._tasks: set[asyncio.Task[None]] = set()
        self._rounds: dict[str, dict[PeerName, Outcome]] = {}
        """Of the admin calls that wait: what each peer has answered."""

    def start(self) -> None:
        """Within the event loop of the main thread, which takes SIGHUP."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        if hangup.came_early():
            self._hung_up()
        self._peers.subscribe(RELOAD, self._told)
        self._peers.subscribe(RELOADED, self._answered)
        self._begin(self._watch())

    async def stop(self) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _hung_up(self) -> None:
        if self._terminal.gone():
            signal.raise_signal(signal.SIGTERM)
        else:
            self._asked.set()

    async def _watch(self) -> None:
        self._files = await asyncio.to_thread(FileWatch, self._house.current.config.files)
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), LOOK_AGAIN_S if self._files.moving else LOOK_EVERY_S)
            asked = self._asked.is_set()
            self._asked.clear()
            config = self._house.current.config
            if asked or (config.server.watch and config.files and await asyncio.to_thread(self._files.changed)):
                await self.reload()

    async def reload(self) -> Reloaded:
        """Take the configuration over as it is now, here. What keeps it from being used is in the log, too."""
        async with self._one_at_a_time:
            return await self._reload()

    async def _reload(self) -> Reloaded:
        before = self._house.current
        source = before.config.source
        if not before.config.files:
            log.warning("%s", NO_FILE)
            return Reloaded(source, faults=(Fault(source, 0, 0, "", NO_FILE),))
        try:
            new = await asyncio.to_thread(self._make, before)
        except ConfigError as error:
            log.error("%s\n%s: not taken over; what was loaded before goes on", error, source)  # noqa: TRY400 - told, not traced
            return Reloaded(source, faults=tuple(_fault(error.file, problem) for problem in error.problems))
        except (GatewrightError, OSError, ValueError) as error:
            log.error("%s: not taken over; what was loaded before goes on: %s", source, error)  # noqa: TRY400
            return Reloaded(source, faults=(Fault(source, 0, 0, "", str(error)),))
        except Exception:
            log.exception("%s: not taken over, on a bug of ours; what was loaded before goes on", source)
            return Reloaded(source, faults=(Fault(source, 0, 0, "", "a bug of the gateway; its log says more"),))
        fresh = [line for line in new.config.warnings if line not in before.config.warnings]
        warnings = (*fresh, *self._kept_back(new.config))
        for line in warnings:
            log.warning("warning: %s", line)
        self._house.take_over(new, self._hand_on)
        log.warning("%s: taken over", source)  # as a warning, or nobody sees it where no logging is set up
        self._files = await asyncio.to_thread(FileWatch, new.config.files)
        return Reloaded(source, changes(before.config, new.config), warnings)

    def _kept_back(self, config: Config) -> Iterator[str]:
        """What the new configuration says and cannot have, a line each."""
        for name in FIXED:
            now, asked = getattr(self._started, name), getattr(config.server, name)
            if now != asked:
                yield f"{config.source}: server.{name}: {asked} takes a restart; {now} goes on"
        for name, now, asked in zip(("ledger", "database"), self._books, (config.ledger, config.database), strict=True):
            if now != asked:
                yield f"{config.source}: {name}: what is new takes a restart; what was goes on"

    # -- all workers ---------------------------------------------------------------------------------------------------------

    async def reload_everywhere(self) -> Reloaded:
        """As `reload`; where it was taken over, all others that serve this configuration do the same, and are waited for."""
        done = await self.reload()
        if done.changes is None:
            return done
        number = secrets.token_hex(8)
        answers = self._rounds[number] = {}
        try:
            told = set(self._peers.tell(RELOAD, msgspec.json.encode(_Ask(number, _path(done.source)))))
            loop = asyncio.get_running_loop()
            end = loop.time() + ANSWER_WITHIN_S
            while told - answers.keys() and loop.time() < end:
                await asyncio.sleep(_ANSWER_LOOK_S)
                told &= {*answers, *self._peers.present()}  # who has ended is not waited for
        finally:
            del self._rounds[number]
        count = Counter(answers.get(name, "silent") for name in told)
        workers = Workers(
            told=len(told) - count["elsewhere"],
            took_over=count["taken over"],
            refused=count["refused"],
            silent=count["silent"],
        )
        return msgspec.structs.replace(done, workers=workers)

    def _told(self, payload: bytes, sender: PeerName) -> None:
        """A peer was called, and has taken its configuration over."""
        self._begin(self._follow(msgspec.json.decode(payload, type=_Ask), sender))

    async def _follow(self, ask: "_Ask", sender: PeerName) -> None:
        outcome: Outcome = "elsewhere"
        if _path(self._house.current.config.source) == ask.source:
            outcome = "refused" if (await self.reload()).changes is None else "taken over"
        self._peers.tell(RELOADED, msgspec.json.encode(_Answer(ask.number, outcome)), to=sender)

    def _answered(self, payload: bytes, sender: PeerName) -> None:
        answer = msgspec.json.decode(payload, type=_Answer)
        if (answers := self._rounds.get(answer.number)) is not None:
            answers[sender] = answer.outcome


class _Ask(msgspec.Struct, frozen=True):
    number: str
    source: str


class _Answer(msgspec.Struct, frozen=True):
    number: str
    outcome: Outcome


def _path(source: str) -> str:
    """By which processes tell whether they serve the same configuration."""
    return str(Path(source).absolute())


def _fault(file: str, problem: ConfigProblem) -> Fault:
    return Fault(file, problem.place.line, problem.place.column, show_path(problem.path), problem.message)
