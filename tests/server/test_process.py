"""A real process: several workers, an orderly end on SIGTERM, and memory that hostile traffic does not raise."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.plays import wires
from tests.plays.test_hostile import DEEP, NONSENSE, config
from tests.plays.wires import CONTENT_AT, DIALECTS, STREAM, TEXT, WHOLE
from tests.serving import END, KEY, answer, call, chunk, read_answer, stream_head, upstream

CLIMB_BYTES = 40 << 20
"""What a process may grow by under thousands of hostile requests, after as many have warmed it."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Served:
    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    def resident(self) -> int:
        """Bytes of the process in memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def stopped(self, within_s: float) -> int:
        return await asyncio.wait_for(self.process.wait(), within_s)


@asynccontextmanager
async def served(tmp_path: Path, yaml: str, *, drain_s: int = 30, workers: int = 1) -> AsyncIterator[Served]:
    """`gatewright serve` in a process of its own, up and answering."""
    port = free_port()
    file = tmp_path / "gatewright.yaml"
    own = "" if drain_s == 30 else f"server: {{drain_s: {drain_s}}}\n"  # else the play's own section may stand there
    file.write_text(f"{own}{yaml}\nkeys: [{{name: test, key: {KEY}}}]\n")
    environ = {**os.environ, "GATEWRIGHT_HOME": str(tmp_path), "NO_COLOR": "1"}
    log = (tmp_path / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gatewright", "serve", "--config", str(file), "--port", str(port), "--workers", str(workers),
        env=environ, stdout=log, stderr=log,
    )  # fmt: skip
    log.close()
    try:
        await answers(process, port, tmp_path)
        yield Served(process, port)
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


async def answers(process: asyncio.subprocess.Process, port: int, tmp_path: Path) -> None:
    for _ in range(600):
        assert process.returncode is None, (tmp_path / "log").read_text()
        try:
            if (await call(port, "/ready", b"", method="GET")).status == 200:
                return
        except OSError:
            await asyncio.sleep(0.05)
    raise AssertionError((tmp_path / "log").read_text())


def ask(client, up) -> bytes:
    path, body = wires.request(client, f"m-{up}", stream=True)
    sent = wires.dump(body)
    return (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(sent)}\r\n\r\n".encode() + sent
    )


async def _refused(port: int) -> bool:
    """Whether a new connection is refused, soon."""
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return True
        writer.close()
        await asyncio.sleep(0.05)
    return False


@pytest.mark.parametrize("workers", [1, 2])
async def test_sigterm_lets_what_runs_finish_and_takes_nothing_new(tmp_path, workers):
    """A rolling restart costs no answer: the running stream ends well, new connections are refused, the exit is 0."""
    async with upstream() as up, served(tmp_path, config(up.port), workers=workers) as gw:
        gate = asyncio.Event()
        events = STREAM["anthropic"]

        async def slow(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(stream_head() + chunk(b"".join(events[: CONTENT_AT["anthropic"]])))
            await gate.wait()
            writer.write(chunk(b"".join(events[CONTENT_AT["anthropic"] :])) + END)
            await writer.drain()
            writer.close()

        up.serve_with(slow)
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port, limit=1 << 20)
        writer.write(ask("openai_chat", "anthropic"))
        head = await reader.readuntil(b"\r\n\r\n")
        first = await reader.readuntil(b"hello")
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", gw.port)
        idle_writer.write(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await read_answer(idle_reader)).status == 200
        gw.stop()
        assert await _refused(gw.port), "still listening"
        assert await asyncio.wait_for(idle_reader.read(), 5) == b"", "an idle connection is closed"
        idle_writer.close()
        assert gw.process.returncode is None
        gate.set()
        rest = await asyncio.wait_for(reader.read(), 10)
        wire = _unchunked(first + rest)
        assert b"200 OK" in head
        assert wires.told("openai_chat", wire) == ("stop", TEXT)
        writer.close()
        assert await gw.stopped(10) == 0, (tmp_path / "log").read_text()


@pytest.mark.parametrize("client", DIALECTS)
async def test_what_outlasts_the_deadline_ends_in_an_error_event(tmp_path, client):
    """A stream that would never end does not keep the process, and its client is told so in its own dialect."""
    async with upstream() as up, served(tmp_path, config(up.port), drain_s=1) as gw:
        up.answers = [[stream_head(), chunk(b"".join(STREAM[client][: CONTENT_AT[client]])), 60.0]]
        reader, writer = await asyncio.open_connection("127.0.0.1", gw.port, limit=1 << 20)
        writer.write(ask(client, client))
        await reader.readuntil(b"\r\n\r\n")
        first = await reader.readuntil(b"hello")
        gw.stop()
        rest = await asyncio.wait_for(reader.read(), 10)
        assert wires.told(client, _unchunked(first + rest))[0] == "error"
        writer.close()
        assert await gw.stopped(10) == 0, (tmp_path / "log").read_text()


async def test_two_workers_share_the_work_and_one_that_dies_is_replaced(tmp_path):
    """`workers: 2` listens once, answers from both, and survives the death of one."""
    async with upstream() as up, served(tmp_path, config(up.port), workers=2) as gw:
        up.answers = [[answer(wires.dump(WHOLE["openai_chat"]))]]
        path, body = wires.request("openai_chat", "m-openai_chat", stream=False)
        children = _children(gw.process.pid)
        workers = [pid for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        assert len(workers) == 2
        makers = []
        for paused in workers:  # whichever sleeps, the other answers
            os.kill(paused, signal.SIGSTOP)
            got = await asyncio.wait_for(call(gw.port, path, wires.dump(body)), 20)
            os.kill(paused, signal.SIGCONT)
            assert got.status == 200
            makers.append(got.headers["x-request-id"][:16])
        assert len(set(makers)) == 2, "each process numbers its requests under a prefix of its own"
        os.kill(workers[0], signal.SIGKILL)
        for _ in range(200):
            if fresh := set(_children(gw.process.pid)) - set(children):
                break
            await asyncio.sleep(0.1)
        assert fresh
        assert (await call(gw.port, path, wires.dump(body))).status == 200
        gw.stop()
        assert await gw.stopped(20) == 0, (tmp_path / "log").read_text()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def _unchunked(data: bytes) -> bytes:
    """The body of a chunked answer, read to its end."""
    body, rest = b"", data
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body += rest[:length]
        rest = rest[length + 2 :]
        if not length:
            return body
    raise AssertionError("the body has no end")


async def test_thousands_of_hostile_requests_leave_memory_where_it_was(tmp_path):
    """Nothing is kept of requests and answers that fail: the process has the same size after as before, and serves on."""
    scripts = [[make(dialect)] for make in NONSENSE.values() for dialect in DIALECTS]
    scripts += [[stream_head(), chunk(STREAM[dialect][0][:40]), None] for dialect in DIALECTS]
    scripts += [[stream_head(), chunk(b"data: " + b"x" * 200_000), None] for _ in DIALECTS]
    async with upstream() as up, served(tmp_path, config(up.port)) as gw:
        turn = 0

        async def hostile(number: int) -> None:
            client, dialect = DIALECTS[number % 4], DIALECTS[number // 4 % 4]
            path, body = wires.request(client, f"m-{dialect}", stream=number % 3 > 0)
            good = wires.dump(body)
            match number % 8:
                case 0:
                    sent = good[: number % len(good)]
                case 1:
                    sent = good.replace(b'"hi"', DEEP)
                case 2:
                    sent = good.replace(b"m-", b"%d" % number + b"z" * 5000) + b" " * 50_000
                    path = path.replace("m-", f"{number}-")
                case 3:
                    sent = good.replace(b"hi", b"\xff" * 1000)
                case _:
                    sent = good
            up.answers = [scripts[turn % len(scripts)]] if number % 7 else [[answer(b"{}", status=500)]]
            try:
                await asyncio.wait_for(call(gw.port, path, sent), 20)
            except (asyncio.IncompleteReadError, ConnectionError):
                return

        async def rounds(count: int) -> int:
            nonlocal turn
            for start in range(0, count, 16):
                await asyncio.gather(*(hostile(start + i) for i in range(16)))
                turn += 1
            return gw.resident()

        before = await rounds(1500)
        after = await rounds(1500)
        assert after - before < CLIMB_BYTES, f"{before >> 20} MB became {after >> 20} MB"
        up.answers = [[answer(wires.dump(WHOLE["anthropic"]))]]
        path, body = wires.request("gemini", "m-anthropic", stream=False)
        got = await call(gw.port, path, wires.dump(body))
        assert got.status == 200
        assert json.loads(got.body)["candidates"][0]["content"]["parts"][0]["text"] == TEXT
        gw.stop()
        assert await gw.stopped(10) == 0
        assert "Traceback" not in (tmp_path / "log").read_text()
