"""Runs cells: a real gateway before the lab's upstreams, one request a cell, and what is seen of it from all sides.

One rule: a cell's outcome is compared with what the causes' table wants; nothing here knows what the gateway would do.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple
from unittest import mock

from gatewright.app import generation_of
from gatewright.config import load_config
from gatewright.config.model import Config
from gatewright.errors import Problem
from gatewright.exchange import Exchange
from gatewright.record.usage import UsageCounter
from gatewright.reload import House
from gatewright.server import sweep
from gatewright.server.lane import FastLane
from tests.faults import reading, saying
from tests.faults.cells import Cell, asking, configuration
from tests.faults.fates import Expected
from tests.faults.fault import MAX_ANSWER_BYTES, Fault
from tests.faults.upstreams import Target, Upstreams, closed_port, full_backlog, healthy, upstreams
from tests.serving import KEY, Answer, call

GIVEN_UP_S = 60.0
"""An answer that has not come by then never will."""
SLACK_S = 6.0
"""What a loaded machine may take beyond what is waited for."""
BUFFERED_BYTES = 14 << 20
"""What the kernel may take of an answer, on both sides, though nobody reads it."""
KEEP_ALIVE_S = 0.2
"""In rows that are about it; the sweeper looks as often."""
PASSED_OVER = ("open", "resting", "full")
"""Causes of attempts that were not made."""
AT_ONCE = 10
"""Cells that are asked together where nothing waits."""


class Settled(NamedTuple):
    """How the gateway's books have it."""

    exchange: Exchange
    status: int
    problem: Problem | None


class Books:
    """A recorder that keeps what it is told, and tells the gateway's own."""

    def __init__(self, behind: UsageCounter) -> None:
        self.behind = behind
        self.counter: UsageCounter = getattr(behind, "recorder", behind)  # behind the metrics, where they are counted
        self.settled: dict[str, list[Settled]] = {}
        """Model as the client named it → its settlements."""

    def settle(self, exchange: Exchange, status: int, problem: Problem | None) -> None:
        self.settled.setdefault(exchange.model, []).append(Settled(exchange, status, problem))
        self.behind.settle(exchange, status, problem)


class Gateway(NamedTuple):
    port: int
    books: Books


class Seen(NamedTuple):
    """One cell, from all sides."""

    read: reading.Read
    first: list[float]
    """When the target under test was called."""
    second: int
    settled: list[Settled]
    seconds: float
    headers: dict[str, str]
    written: int
    """Bytes that the target under test could send."""


def loaded(text: str, folder: Path) -> Config:
    file = folder / "gatewright.yaml"
    file.write_text(f"{text}\nkeys: [{{name: test, key: {KEY}}}]\n")
    return load_config(file, {"XDG_STATE_HOME": str(folder), "GATEWRIGHT_HOME": str(folder)})


def stages(stack: object) -> Iterable[object]:
    """The stages of a composed stack, top to bottom."""
    while (keywords := getattr(stack, "keywords", None)) is not None:
        owner = getattr(stack, "func", None)
        yield getattr(owner, "__self__", owner)
        stack = keywords.get("following")


@asynccontextmanager
async def serving(config: Config, keepalive_s: float = 15.0) -> AsyncIterator[Gateway]:
    """The gateway that a configuration describes, on a free port, with its books open."""
    house = House(generation_of(config, {}))
    gw = house.current.gateway
    gw.keepalive_s = keepalive_s
    settle = next(stage for stage in stages(gw.stacks.by_operation["generate"]) if hasattr(stage, "recorder"))
    books = settle.recorder = Books(settle.recorder)  # type: ignore[attr-defined]
    for stack in (gw.stacks.by_operation["generate"], gw.stacks.responses):
        for stage in stages(stack):
            for owner in (stage, *vars(stage).values()) if hasattr(stage, "__dict__") else ():
                if hasattr(owner, "max_answer_bytes"):
                    owner.max_answer_bytes = MAX_ANSWER_BYTES
    state = SimpleNamespace(connections=set(), tasks=set(), total_requests=0, default_headers=[])
    wrapped = SimpleNamespace(loaded_app=SimpleNamespace(gateway=gw))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: FastLane(wrapped, state, {}, loop), "127.0.0.1", 0, backlog=512)
    try:
        yield Gateway(server.sockets[0].getsockname()[1], books)
    finally:
        server.close()
        for lane in list(state.connections):
            lane.transport.abort()
        await asyncio.sleep(0)
        await house.close()


class Lab:
    """The upstreams, and a configuration for each way that the targets under test may be reached."""

    def __init__(self, ups: Upstreams, doors: dict[str, int], folder: Path) -> None:
        self.ups = ups
        self.doors = doors
        self.folder = folder
        self._read: dict[str, Config] = {}

    def config(self, door: str = "open") -> Config:
        """With the targets under test behind this door; read once."""
        if door not in self._read:
            self._read[door] = loaded(configuration(self.doors[door], self.ups.port), self.folder)
        return self._read[door]

    async def row(self, fault: Fault, cells: Sequence[Cell]) -> dict[Cell, Seen]:
        """All these cells of one fault, each with targets of its own."""
        together = asyncio.Semaphore(1 if fault.heavy else len(cells) if fault.limit_s or fault.asked_s else AT_ONCE)
        async with serving(self.config(fault.door), KEEP_ALIVE_S if fault.late else 15.0) as gw:

            async def one(cell: Cell) -> Seen:
                async with together:
                    return await self._cell(gw, fault, cell)

            return dict(zip(cells, await asyncio.gather(*map(one, cells)), strict=True))

    async def _cell(self, gw: Gateway, fault: Fault, cell: Cell) -> Seen:
        first, second = f"{cell.name}-a", f"{cell.name}-b"
        ups = self.ups
        for name in (first, second):
            ups.calls.pop(name, None)
            ups.written.pop(name, None)
        ups.targets[second] = Target(cell.other, saying.SECOND, healthy)
        path, body = asking(cell)
        if fault.prime is not None:
            ups.targets[first] = Target(cell.upstream, saying.FIRST, fault.prime)
            for _ in range(fault.primes):
                await call(gw.port, path, body)
            await asyncio.sleep(0.05)
            await _until_settled(gw.books, cell.name, fault.primes)
            gw.books.settled.pop(cell.name, None)
            for name in (first, second):
                ups.calls[name].clear()
            ups.written.pop(first, None)
        ups.targets[first] = Target(cell.upstream, saying.FIRST, fault.steps)
        began = time.monotonic()
        try:
            async with asyncio.timeout(GIVEN_UP_S):
                got = await call(gw.port, path, body)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError) as error:
            got = Answer(status=0, headers={}, body=repr(error).encode(), broken=True)
        seconds = time.monotonic() - began
        passing = cell.client == cell.upstream
        read = reading.read(cell.client, got, stream=cell.stream, passing=passing)
        await _until_settled(gw.books, cell.name)
        return Seen(
            read,
            list(ups.calls[first]),
            len(ups.calls[second]),
            gw.books.settled.get(cell.name, []),
            seconds,
            got.headers,
            ups.written[first],
        )


async def _until_settled(books: Books, name: str, count: int = 1) -> None:
    """The end of an answer is told to the books as it leaves; give it a moment."""
    for _ in range(100):
        if len(books.settled.get(name, ())) >= count:
            return
        await asyncio.sleep(0.01)


@asynccontextmanager
async def lab() -> AsyncIterator[Lab]:
    """Upstreams that live as long as this block."""
    with ExitStack() as held:
        held.enter_context(mock.patch.object(sweep, "TICK_S", KEEP_ALIVE_S / 2))
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        async with upstreams() as ups:
            doors = {"open": ups.port, "closed": held.enter_context(closed_port()), "full": held.enter_context(full_backlog())}
            yield Lab(ups, doors, folder)


def differences(fault: Fault, cell: Cell, want: Expected, seen: Seen) -> list[str]:
    """What is not as it must be, in words."""
    read = seen.read
    found: list[str] = []
    if (read.sight, read.status) != (want.sight, want.status):
        found.append(f"the client sees {read.sight} {read.status} ({read.why[:300]}), not {want.words}")
    found += _wrong_text(want, seen)
    first = want.first if fault.door == "open" else 0
    if (len(seen.first), seen.second) != (first, want.second):
        found.append(f"{len(seen.first)} + {seen.second} calls, not {first} + {want.second}")
    found += _wrong_time(fault, cell, want, seen)
    if not cell.stream and seen.written > (MAX_ANSWER_BYTES + BUFFERED_BYTES) * max(1, want.first):
        found.append(f"{seen.written >> 20} MB were read of an answer that is to be given up at {MAX_ANSWER_BYTES >> 20}")
    found += _wrong_books(fault, want, seen)
    if want.sight == "error" and fault.tells_when and "retry-after" not in seen.headers:
        found.append("nobody tells when to come back")
    return found


def _wrong_text(want: Expected, seen: Seen) -> list[str]:
    if want.sight == "answer":
        text = saying.SECOND if want.second else saying.FIRST
        if seen.read.text != text:
            return [f"the text is {seen.read.text!r}, not {text!r}"]
    if want.sight == "error event" and not saying.FIRST.startswith(seen.read.text):
        return [f"the text before the error is {seen.read.text!r}"]
    return []


def _wrong_time(fault: Fault, cell: Cell, want: Expected, seen: Seen) -> list[str]:
    """Waits that were promised, and no others."""
    found: list[str] = []
    failing = want.first - (1 if fault.mends and want.sight == "answer" and not want.second else 0)
    least = 0.9 * fault.limit_s * failing
    asked = fault.asked_s * (want.first - 1)
    if not least <= seen.seconds <= fault.limit_s * failing + asked + SLACK_S:
        found.append(f"it took {seen.seconds:.2f} s where {failing} × {fault.limit_s:g} s and {asked:g} s are waited for")
    gaps = [after - before for before, after in zip(seen.first, seen.first[1:], strict=False)]
    if any(gap < fault.asked_s - 0.02 for gap in gaps):
        found.append(f"called again after {min(gaps):.2f} s, though asked for {fault.asked_s:g} s")
    return found


def _wrong_books(fault: Fault, want: Expected, seen: Seen) -> list[str]:
    """The books must have one settlement, and every attempt in its order."""
    if len(seen.settled) != 1:
        return [f"{len(seen.settled)} settlements"]
    exchange, _, problem = seen.settled[0]
    found = []
    if (want.sight in ("error", "error event")) != (problem is not None):
        found.append(f"settled with the problem {problem}")
    attempts = [record for record in exchange.attempts if record.cause not in PASSED_OVER]
    name = exchange.model
    targets = [record.target for record in attempts]
    wanted = [f"{name}-a/m"] * want.first + [f"{name}-b/m"] * want.second
    if fault.unread:
        targets = list(dict.fromkeys(targets))  # the transport may repeat by itself what cannot have been read
    if targets != wanted:
        found.append(f"attempts {targets}, not {wanted}")
    good = want.sight in ("answer", "withheld")
    causes = [record.cause for record in attempts]
    if any(cause is None for cause in (causes[:-1] if good else causes)) and not fault.unread:
        found.append(f"failed attempts without a cause: {causes}")
    if good and causes and causes[-1] not in (None, "filtered"):
        found.append(f"a good attempt with the cause {causes[-1]}")
    sent = sum(record.sent for record in attempts)
    if not fault.unread and sent != len(seen.first) + seen.second:
        found.append(f"{sent} attempts sent, {len(seen.first) + seen.second} calls seen")
    if len(attempts) > 1 and not fault.late and seen.headers.get("x-gatewright-attempts") != str(len(attempts)):
        found.append(f"x-gatewright-attempts is {seen.headers.get('x-gatewright-attempts')}, of {len(attempts)}")
    return found
