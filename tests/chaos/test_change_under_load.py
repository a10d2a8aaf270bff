"""Everything changes while 20 requests are in flight, and no request fails but streams that were cut and said so.

Upstreams are killed and started again, the configuration is read a hundred times (every tenth time it is a bad one), and at the
end another process takes the socket over and the old one is stopped. What is asserted is what became of the requests, never how
long something took.
"""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from tests.chaos.clients import DIALECTS, Load, under_load
from tests.chaos.hosts import Host
from tests.server.test_run import Manager
from tests.serving import KEY, call

ADMIN = "gw-admin-test-key"
RELOADS = 100
KILLS = {8: 0, 24: 1, 40: 0, 56: 1, 72: 0, 88: 1}
"""Before which reload which host is killed; it is started again four reloads later."""
BAD = (
    ("chat: {targets: [a/m", "chat: {targets: [nowhere/m"),
    ("providers:", "providers: {"),
    ("strategy: round_robin", "strategy: luck"),
)


def config(ports: tuple[int, int], turn: int) -> str:
    """Another one every turn: two providers are built anew, a model comes and the one before goes, weights and rules change."""
    one, two = ports
    anew = f"timeouts: {{connect_s: {5 + turn / 100}}}"
    return f"""
server: {{watch: false, max_body_bytes: {1_000_000 + turn}}}
providers:
  a: {{kind: openai, base_url: "http://127.0.0.1:{one}/v1", dialects: [openai_chat], api_key: sk-a, {anew}}}
  b: {{kind: openai, base_url: "http://127.0.0.1:{two}/v1", dialects: [openai_chat], api_key: sk-b}}
  ca: {{kind: anthropic, base_url: "http://127.0.0.1:{one}", api_key: sk-ca}}
  cb: {{kind: anthropic, base_url: "http://127.0.0.1:{two}", api_key: sk-cb, {anew}}}
models:
  chat: {{targets: [a/m, {{target: b/m, weight: {1 + turn % 3}}}]}}
  claude: {{strategy: round_robin, targets: [ca/m, cb/m]}}
  turn-{turn}: {{targets: [a/m, b/m]}}
routing:
  retry: {{base_s: 0.02, cap_s: 0.2, tries_all: {6 + turn % 2}}}
  breaker: {{open_s: 0.2, longest_s: 0.5}}
keys: [{{name: test, key: {KEY}}}, {{name: root, key: {ADMIN}, role: admin}}, {{name: turn-{turn}, key: gw-key-of-turn-{turn}}}]
"""


class Lab:
    """The gateway's processes, what they read, and the hosts they call."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder = folder
        self.workers = workers
        self.hosts = (Host(), Host())
        self.turn = 0
        self.taken = self.refused = 0

    def text(self) -> str:
        return config((self.hosts[0].port, self.hosts[1].port), self.turn)

    def write(self, text: str) -> None:
        draft = self.folder / "draft"
        draft.write_text(text)
        draft.replace(self.folder / "gatewright.yaml")

    def log(self) -> str:
        return (self.folder / "log").read_text()

    async def reload_by_call(self, port: int) -> int:
        """The status, once all processes have done it."""
        return (await call(port, "/admin/v1/reload", b"", headers=f"authorization: Bearer {ADMIN}\r\n")).status

    async def reload(self, port: int, pid: int) -> None:
        """A change, by call or by signal in turns; every tenth one is bad, and changes nothing."""
        self.turn += 1
        good = self.text()
        if self.turn % 10 == 0:
            old, new = BAD[self.turn // 10 % len(BAD)]
            assert old in good
            self.write(good.replace(old, new))
            assert await self.reload_by_call(port) == 422
            self.refused += 1
        self.write(good)
        if self.turn % 2:
            assert await self.reload_by_call(port) == 200
        else:
            before = self.log().count(": taken over")
            os.kill(pid, signal.SIGHUP)
            await until(lambda: self.log().count(": taken over") >= before + self.workers)
        self.taken += 1
        assert (await self.get(port, f"turn-{self.turn}")).status == 200
        assert (await self.get(port, f"turn-{self.turn - 1}")).status == 404

    async def get(self, port: int, model: str):
        return await call(port, f"/v1/models/{model}", b"", method="GET")

    async def serves(self, host: Host) -> None:
        """Both of its APIs are called again: more often than a half-open circuit lets through."""
        await until(lambda: min(host.calls["chat"], host.calls["anthropic"]) >= 5)


async def until(seen, within_s: float = 30.0) -> None:
    ends = time.monotonic() + within_s
    while not seen():
        assert time.monotonic() < ends
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_request_fails_while_everything_around_it_changes(tmp_path, workers):
    """Streams and whole answers, five dialects, bytes that pass and answers that are translated; one process, or several."""
    lab = Lab(tmp_path, workers)
    for host in lab.hosts:
        await host.start()
    lab.write(lab.text())
    manager = Manager(tmp_path)
    began = time.monotonic()
    try:
        old = await manager.start(workers)
        async with under_load(manager.port, ("chat", "claude")) as load:
            for host in lab.hosts:
                await lab.serves(host)
            for turn in range(1, RELOADS + 1):
                if turn in KILLS:
                    lab.hosts[KILLS[turn]].kill()
                elif turn - 4 in KILLS:
                    host = lab.hosts[KILLS[turn - 4]]
                    await host.start()
                    await lab.serves(host)
                await lab.reload(manager.port, old.pid)
            new = await manager.start(workers)
            assert await manager.stopped(old) == 0, lab.log()
            before = load.good.total()
            for _ in range(4):
                await lab.reload(manager.port, new.pid)
            await until(lambda: load.good.total() > before + 100)
        assert await manager.stopped(new) == 0, lab.log()
        report(lab, load, time.monotonic() - began)
    finally:
        manager.close()
        for host in lab.hosts:
            if host.calls:
                host.kill()


def report(lab: Lab, load: Load, took_s: float) -> None:
    """Print what happened, and hold it to the promise."""
    cut, killed = sum(host.cut for host in lab.hosts), sum(host.killed for host in lab.hosts)
    print(
        f"{load.good.total()} requests answered in {took_s:.0f} s; {killed} kills cut {cut} streams, {load.cut.total()} said so; "
        f"{lab.taken} configurations taken over, {lab.refused} refused; 1 take-over of the socket; {len(load.failed)} failed"
    )
    assert load.failed == []
    assert load.cut.total() <= cut, "nobody was told of a cut that was none"
    assert killed == len(KILLS)
    assert lab.taken >= RELOADS
    assert lab.refused >= RELOADS // 10
    assert all(load.good[dialect, stream] for dialect in DIALECTS for stream in (True, False)), load.good
    assert "Traceback" not in lab.log(), lab.log()
