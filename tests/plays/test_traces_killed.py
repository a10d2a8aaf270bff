"""Traces survive: a gateway that is killed in the middle of its load has lost the last second of them at most, and corrupted none."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from gatewright.stores.traces import open_traces
from tests.serving import KEY, call
from tests.sql_here import ENGINES, postgres_url

ROUNDS = 2
LAST_S = 1.0
"""What may be lost."""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


async def started(tmp_path, port, more):
    config = tmp_path / "gatewright.yaml"
    config.write_text(
        f"server: {{state_dir: {tmp_path}/state}}\n"
        "providers: {demo: {kind: demo}}\n"
        f"traces: {{enabled: true}}\n{more}\n"
        f"keys: [{{name: test, key: {KEY}}}]\n"
    )
    command = [sys.executable, "-m", "gatewright", "serve", "--config", str(config), "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True
    )
    end = time.monotonic() + 60
    while True:
        try:
            if (await call(port, "/health", b"", method="GET")).status == 200:
                return process
        except OSError:
            assert time.monotonic() < end
            await asyncio.sleep(0.1)


async def asked(port, stop, ended):
    """One request after the other; when each had ended."""
    body = json.dumps({"model": "demo/demo", "messages": [{"role": "user", "content": "hello"}]}).encode()
    while not stop.is_set():
        try:
            got = await call(port, "/v1/chat/completions", body)
        except (OSError, asyncio.IncompleteReadError, IndexError, ValueError):
            return
        if got.status == 200 and not got.broken:
            ended[got.headers["x-request-id"]] = time.monotonic()


async def has_begun(port, place):
    """A trace is written: the tables are there. The first start takes its time to make them."""
    body = json.dumps({"model": "demo/demo", "messages": [{"role": "user", "content": "first"}]}).encode()
    first = (await call(port, "/v1/chat/completions", body)).headers["x-request-id"]
    store = open_traces(place)
    end = time.monotonic() + 60
    while store.get(first) is None:
        assert time.monotonic() < end
        await asyncio.sleep(0.1)
    store.close()


@pytest.mark.parametrize("kind", ENGINES)
async def test_a_killed_gateway_loses_the_last_second_at_most(tmp_path, kind):
    """By SIGKILL, in the middle of a transaction or not; every round finds what those before have left."""
    if kind == "sqlite":
        await rounds(tmp_path, "", tmp_path / "state")
    else:
        with postgres_url() as url:
            await rounds(tmp_path, f"database: {json.dumps(url)}", url)


async def rounds(tmp_path, more, place):
    before: set[str] = set()
    for number in range(ROUNDS):
        port = free_port()
        process = await started(tmp_path, port, more)
        await has_begun(port, place)
        stop, ended = asyncio.Event(), dict[str, float]()
        loads = [asyncio.ensure_future(asked(port, stop, ended)) for _ in range(4)]
        await asyncio.sleep(2.0 + 0.17 * number)
        killed = time.monotonic()
        os.killpg(process.pid, signal.SIGKILL)
        stop.set()
        await asyncio.gather(*loads)
        await process.wait()
        store = open_traces(place)
        kept = {trace.id: trace for trace in store.iterate()}
        if not isinstance(place, str):
            with store.engine.connect() as connection:
                assert connection.exec_driver_sql("pragma integrity_check").scalar_one() == "ok"
        store.close()
        long_ago = {one for one, at in ended.items() if at < killed - LAST_S}
        assert long_ago, "nothing was asked"
        assert long_ago <= set(kept)
        assert before <= set(kept)
        assert all(json.loads(trace.answer.body)["choices"] for trace in kept.values() if trace.outcome == "ok")
        before = set(kept)


async def test_the_process_that_reads_goes_with_its_gateway(tmp_path):
    """However that ends: nobody else would end it."""
    port = free_port()
    process = await started(tmp_path, port, "")
    body = json.dumps({"model": "demo/demo", "messages": [{"role": "user", "content": "hello"}]}).encode()
    assert (await call(port, "/v1/chat/completions", body)).status == 200
    children = Path(f"/proc/{process.pid}/task")
    end = time.monotonic() + 20
    reader = 0
    while not reader:
        assert time.monotonic() < end, "it was not started"
        await asyncio.sleep(0.1)
        for task in children.iterdir():
            for child in map(int, (task / "children").read_text().split()):
                reader = child if "trace_reader" in Path(f"/proc/{child}/cmdline").read_text() else reader
    store = open_traces(tmp_path / "state")
    while not store.search("hello").items:
        assert time.monotonic() < end, "it has read nothing"
        await asyncio.sleep(0.1)
    store.close()
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    stat = Path(f"/proc/{reader}/stat")
    while stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z":
        assert time.monotonic() < end + 10
        await asyncio.sleep(0.05)
