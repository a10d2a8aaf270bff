"""What one worker finds out about a provider, the others need not find out themselves: on real processes, and by rule."""

import asyncio
import os
import signal
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gatewright.app import generation_of
from gatewright.config import load_config
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.health import Event, Health
from gatewright.routing.breaker import Rule
from gatewright.sharing import mark, share
from gatewright.stores.peers import Peers
from tests.plays.wires import WHOLE, dump
from tests.server.load import asked
from tests.server.test_process import Served, _children, served
from tests.serving import answer, call, upstream

FAILED = answer(b'{"error": {"message": "no", "type": "server_error", "code": null, "param": null}}', status=500)
GOOD = answer(dump(WHOLE["openai_chat"]))
LIMITED = answer(b'{"error": {"message": "slow down", "type": "rate_limit"}}', status=429, headers="retry-after: 60\r\n")


def yaml(port: int, keys: str = "api_key: sk-one") -> str:
    return f"""
providers:
  up: {{kind: openai, base_url: "http://127.0.0.1:{port}/v1", dialects: [openai_chat], {keys}}}
models:
  m: {{targets: [up/m]}}
routing: {{retry: {{tries_each: 1}}, breaker: {{in_a_row: 3, open_s: 120}}}}
"""


async def workers_of(gw: Served, tmp_path: Path) -> set[int]:
    """Both, once both are among their peers."""
    await until(lambda: len(_sockets(tmp_path)) == 2, 30, tmp_path / "log")
    return {pid for pid in _children(gw.process.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def _sockets(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "peers").glob("*.sock")}


async def until(seen, within_s: float = 10.0, log: Path | None = None) -> None:
    ends = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < ends, log.read_text() if log is not None else ""
        await asyncio.sleep(0.005)


@asynccontextmanager
async def asleep(*workers: int):
    """While some workers sleep the others answer. Not for long: the supervisor takes a worker that is silent for dead."""
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)


async def answered(gw: Served) -> int:
    return (await asyncio.wait_for(call(gw.port, "", b"", raw=asked(stream=False)), 10)).status


async def awake(gw: Served) -> None:
    """The worker that is awake has been through its loop, and has read what its peers told it before."""
    for _ in range(2):
        assert (await asyncio.wait_for(call(gw.port, "/ready", b"", method="GET"), 10)).status == 200


async def test_a_circuit_that_opens_in_one_worker_is_open_in_all_and_in_those_that_start_later(tmp_path):
    """The upstream is called until the first worker has had enough of it, and no more; not by its sibling, not by a successor."""
    async with upstream() as up, served(tmp_path, yaml(up.port), workers=2) as gw:
        up.answers = [[FAILED]]
        first, second = await workers_of(gw, tmp_path)
        async with asleep(second):
            assert [await answered(gw) for _ in range(3)] == [500, 500, 500]
            assert await answered(gw) == 503
            assert len(up.requests) == 3
        async with asleep(first):
            await awake(gw)
            assert [await answered(gw) for _ in range(3)] == [503] * 3
            assert len(up.requests) == 3, "what one knows the other knows"
        before = _sockets(tmp_path)
        os.kill(first, signal.SIGKILL)
        # The new one has asked when the dead one is gone.
        await until(lambda: _sockets(tmp_path) - before and before - _sockets(tmp_path), 60, tmp_path / "log")
        await asyncio.sleep(0.5)
        async with asleep(second):
            await awake(gw)
            assert [await answered(gw) for _ in range(3)] == [503] * 3
        assert len(up.requests) == 3, "a new worker asks what stands"


@pytest.mark.parametrize("keys", ["api_keys: [sk-one, sk-two]", "api_key: sk-one"])
async def test_a_key_that_is_throttled_rests_in_every_worker(tmp_path, keys):
    """60 seconds were asked for: no worker uses it again, and its sibling is used in its stead, where there is one."""
    async with upstream() as up, served(tmp_path, yaml(up.port, keys), workers=2) as gw:
        up.answers = [[LIMITED], [GOOD]]
        first, second = await workers_of(gw, tmp_path)
        siblings = "sk-two" in keys
        async with asleep(second):
            await answered(gw)
            await awake(gw)  # it tells its peers in its next turn
        throttled = next(line for line in up.head(0).split(b"\r\n") if line.lower().startswith(b"authorization:"))
        async with asleep(first):
            await awake(gw)
            assert [await answered(gw) for _ in range(4)] == [200 if siblings else 429] * 4
        assert sum(throttled in up.head(i) for i in range(len(up.requests))) == 1


def configured(tmp_path: Path, **changes: str):
    text = yaml(1)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "gatewright.yaml").write_text(text)
    return load_config(tmp_path / "gatewright.yaml", {"GATEWRIGHT_HOME": str(tmp_path)})


class Worker:
    """Health among peers, without sockets to anybody else."""

    def __init__(self, folder: Path, config) -> None:
        self.health = Health(Rule(in_a_row=1, open_s=60), time.monotonic)
        self.endpoints = generation_of(config, {}).endpoints
        self.health.follow(self.endpoints, self.health.board.rule)
        self.peers = Peers(folder)
        share(self.health, self.peers, lambda: config.providers)
        self.candidate = Candidate(self.endpoints["up"], "m")
        self.peers.open()

    def fail(self) -> None:
        passed = self.health.began(self.candidate)
        assert passed is not None
        self.health.ended(passed, self.candidate, "broken")


@pytest.fixture
async def worker(tmp_path):
    made = []

    def make(config) -> Worker:
        made.append(Worker(tmp_path / "peers", config))
        return made[-1]

    yield make
    for one in made:
        one.peers.close()


async def test_who_has_the_provider_configured_otherwise_is_told_nothing_of_it(tmp_path, worker):
    """Another address or key under the same name is another provider: the failure may be just what was mended."""
    same, address, key = (
        configured(tmp_path / "same"),
        configured(tmp_path / "address", **{"127.0.0.1:1/": "127.0.0.1:2/"}),
        configured(tmp_path / "key", **{"sk-one": "sk-other"}),
    )
    first, second, elsewhere, rekeyed = worker(same), worker(same), worker(address), worker(key)
    first.fail()
    await until(lambda: second.health.standing(second.candidate) == "open")
    await asyncio.sleep(0.05)
    assert elsewhere.health.standing(elsewhere.candidate) == "closed"
    assert rekeyed.health.standing(rekeyed.candidate) == "closed"
    assert len({mark(config.providers["up"]) for config in (same, address, key)}) == 3
    assert mark(None) == ""


async def test_what_was_heard_is_not_told_on(tmp_path, worker):
    """Two workers that tell one another what they were told would never stop."""
    config = configured(tmp_path / "same")
    first, second = worker(config), worker(config)
    told = []
    second.health.subscribe(told.append)
    first.fail()
    await until(lambda: second.health.standing(second.candidate) == "open")
    await asyncio.sleep(0.05)
    assert told == []


async def test_what_another_clock_says_is_not_believed(tmp_path, worker):
    """A container with a clock of its own must not have keys rest for years here."""
    config = configured(tmp_path / "same")
    first, second = worker(config), worker(config)
    for event in (
        Event("opened", "up", "m", at=time.monotonic() + 100_000, openings=1),
        Event("resting", "up", "m", key="key", until=time.monotonic() + 100_000),
    ):
        first.health._told(event)
    first.health._told(Event("opened", "up", "n", at=time.monotonic(), openings=1))
    other = Candidate(second.endpoints["up"], "n")
    await until(lambda: second.health.standing(other) == "open")
    assert second.health.standing(second.candidate) == "closed"
    assert second.health.rests_s(second.candidate) == 0


async def test_a_name_that_a_client_made_up_breaks_nothing(tmp_path, worker):
    """Names may be as long as a request; what is told is short."""
    config = configured(tmp_path / "same")
    first, second = worker(config), worker(config)
    long = Candidate(first.endpoints["up"], "m" * 100_000)
    passed = first.health.began(long)
    first.health.ended(passed, long, "broken")
    assert first.health.standing(long) == "open"
    third = worker(config)
    first.fail()
    await until(lambda: second.health.standing(second.candidate) == third.health.standing(third.candidate) == "open")
    assert second.health.standing(Candidate(second.endpoints["up"], "m" * 100_000)) == "closed"
