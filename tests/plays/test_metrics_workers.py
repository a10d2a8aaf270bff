"""Metrics of two worker processes: any of them tells all, also what one that was killed had counted; the log is one of lines."""

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

from prometheus_client.parser import text_string_to_metric_families as families

from tests.serving import KEY, call

VIEWER = "gw-viewer-key"
YAML = f"""
providers: {{demo: {{kind: demo}}}}
keys: [{{name: test, key: {KEY}}}, {{name: scraper, key: {VIEWER}, role: viewer}}]
logging: {{requests: all, level: info}}
"""
CHAT = json.dumps({"model": "demo/demo", "messages": [{"role": "user", "content": "hi"}]}).encode()


@asynccontextmanager
async def served(folder: Path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = folder / "gatewright.yaml"
    file.write_text(YAML)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gatewright", "serve", "--config", str(file), "--port", str(port), "--workers", "2",
            env={**os.environ, "GATEWRIGHT_HOME": str(folder / "state")}, stdout=log, stderr=log,
        )  # fmt: skip
        gw = SimpleNamespace(port=port, process=process, log=folder / "log", state=folder / "state")
        try:
            await until(lambda: answers(gw))
            await until(lambda: workers(gw, 2))
            yield gw
        finally:
            process.terminate()
            await process.wait()


async def until(what) -> object:
    async with asyncio.timeout(90):
        while not (found := await what()):
            await asyncio.sleep(0.05)
    return found


async def answers(gw) -> bool:
    assert gw.process.returncode is None, gw.log.read_text()
    try:
        return (await call(gw.port, "/ready", b"", method="GET")).status == 200
    except (OSError, asyncio.IncompleteReadError):
        return False


async def scraped(gw) -> dict[str, float]:
    """Sums, by sample."""
    got = await call(gw.port, "/metrics", b"", method="GET", headers=f"authorization: Bearer {VIEWER}\r\n")
    assert got.status == 200
    found: dict[str, float] = {}
    for family in families(got.body.decode()):
        for sample in family.samples:
            if sample.labels.get("operation", "generate") == "generate":
                found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


async def workers(gw, count: int) -> bool:
    return (await scraped(gw))["gatewright_workers"] == count


async def all_told(gw, count: int) -> bool:
    """Whether every one of twenty scrapes, which come to both, tells so many requests."""
    return {(await scraped(gw)).get("gatewright_requests_total", 0) for _ in range(20)} == {count}


async def test_any_worker_tells_all_and_counters_outlive_workers(tmp_path):
    """Forty requests go to both; one is killed; nothing that was counted goes back, and another takes its place."""
    async with served(tmp_path) as gw:
        for _ in range(40):
            assert (await call(gw.port, "/v1/chat/completions", CHAT)).status == 200
        await until(lambda: all_told(gw, 40))
        told = await scraped(gw)
        assert told["gatewright_request_duration_seconds_count"] == 40
        assert told["gatewright_event_loop_lag_seconds_count"] > 0
        cpu = told["process_cpu_seconds_total"]
        victim = children(gw.process.pid)[-1]
        os.kill(victim, signal.SIGKILL)
        await until(lambda: replaced(gw, victim))
        await until(lambda: workers(gw, 2))
        for _ in range(20):
            told = await scraped(gw)
            assert told["gatewright_requests_total"] == 40
            assert told["process_cpu_seconds_total"] >= cpu
        for _ in range(10):
            assert (await call(gw.port, "/v1/chat/completions", CHAT)).status == 200
        await until(lambda: all_told(gw, 50))
    lines = [json.loads(line) for line in gw.log.read_text().splitlines()]
    requests = [line for line in lines if line["event"] == "request" and line["operation"] == "generate"]
    assert len(requests) == 50
    assert len({line["pid"] for line in requests}) >= 2
    assert all(line["target"] == "demo/demo" and line["principal"] == "test" and line["status"] == 200 for line in requests)
    assert lines[0]["event"].startswith("Gatewright ")
    assert oct((gw.state / "metrics").stat().st_mode)[-3:] == "700"


def children(pid: int) -> list[int]:
    """Its workers: processes that multiprocessing has begun to run a server in."""
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


async def replaced(gw, victim: int) -> bool:
    now = children(gw.process.pid)
    return victim not in now and len(now) == 2
