"""Two thousand requests that race for one limit, before a real gateway of four workers: never more than granted, nearly all usable."""

import asyncio
import json
import os
import random
import secrets
import sys
import time
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from gatewright.limits.meters import Meter
from gatewright.limits.terms import Budget, Limit
from gatewright.stores import counters_redis
from tests.redis_here import redis_url
from tests.server.test_process import free_port
from tests.serving import KEY, answer, call, upstream
from tests.sql_here import postgres_url

WORKERS, REQUESTS, FEWER, AT_ONCE = 4, 2000, 600, 500
MICROS = 1_000_000


class Provider:
    """Tells of each call how many tokens it had, at random up to what was asked for, and takes a random time for it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.calls = self.tokens = self.running = self.most = 0

    async def serve(self, reader, writer) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
                )
                asked = json.loads(await reader.readexactly(length))["max_tokens"]
                self.running += 1
                self.most = max(self.most, self.running)
                await asyncio.sleep(self.chance.random() * 0.05)
                self.running -= 1
                written = self.chance.randint(asked // 3, asked)
                self.calls += 1
                self.tokens += written
                usage = {"prompt_tokens": 0, "completion_tokens": written, "total_tokens": written}
                choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
                document = {
                    "id": "c",
                    "object": "chat.completion",
                    "created": 1,
                    "model": "m",
                    "choices": [choice],
                    "usage": usage,
                }
                writer.write(answer(json.dumps(document).encode()))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def served(folder, up, limits: str, stores: str):
    """The port of a gateway of four processes."""
    file, port = folder / "gatewright.yaml", free_port()
    file.write_text(
        f"{stores}server: {{state_dir: {folder}, drain_s: 2}}\nkeys: [{{name: test, key: {KEY}}}]\n"
        f"providers:\n  up: {{kind: openai, base_url: 'http://127.0.0.1:{up.port}/v1', dialects: [openai_chat], api_key: sk-x}}\n"
        f"models:\n  m: {{targets: [up/m]}}\npricing: {{models: {{'up/m': {{input: 0, output: 100}}}}}}\n{limits}"
    )
    log = (folder / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gatewright", "serve", "-q", "--config", str(file), "--port", str(port), "--workers", str(WORKERS),
        env={**os.environ, "NO_COLOR": "1"}, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        for _ in range(1200):
            assert process.returncode is None, (folder / "log").read_text()[-3000:]
            try:
                if (await asyncio.wait_for(call(port, "/ready", b"", method="GET"), 2)).status == 200:
                    break
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                await asyncio.sleep(0.05)
        yield port
    finally:
        process.terminate()
        await process.wait()
        log.close()


async def race(port: int, seed: int, count: int, *, again: bool, most: int = 400) -> list[int]:
    """The statuses of so many requests of random cost, five hundred at a time. `again`: who is refused comes back for a while."""
    chance, gate, statuses = random.Random(seed), asyncio.Semaphore(AT_ONCE), []
    until = time.monotonic() + 60

    async def one() -> None:
        for attempt in range(8):
            tokens = chance.randint(10, max(10, most >> attempt))
            body = {"model": "m", "max_tokens": tokens, "messages": [{"role": "user", "content": "hi"}]}
            async with gate:
                status = (await call(port, "/v1/chat/completions", json.dumps(body).encode())).status
            statuses.append(status)
            if status == 200 or not again or time.monotonic() > until:
                return
            await asyncio.sleep(chance.random() * 0.5)

    await asyncio.gather(*(one() for _ in range(count)))
    return statuses


@pytest.fixture(params=["embedded", "shared"])
def stores(request):
    """Where it is counted and written: in files of this machine, or in a PostgreSQL and a Redis."""
    if request.param == "embedded":
        yield ""
        return
    with postgres_url() as url:
        yield f"database: {url}\ncounters: {{url: '{redis_url()}', deadline_ms: 5000}}\n"  # this machine is busy: a slow store is no part of it


def granted(what: str, models: tuple[str, ...]) -> Limit | Budget:
    return {
        "budget": Budget("total", MICROS, models=models),
        "tokens": Limit(86_400, "tokens", 20_000, models),
        "requests": Limit(86_400, "requests", 400, models),
        "concurrent": Limit(0, "concurrent", 20, models),
    }[what]


@pytest.mark.parametrize("what", ["budget", "tokens", "requests", "concurrent"])
async def test_no_race_passes_a_limit_and_nearly_all_of_it_can_be_used(tmp_path, stores, what):
    """Spent is never more than granted, by the provider's own count; and at least 97 % of it is usable."""
    model = secrets.token_hex(4)  # a state of its own, wherever it is counted
    named = f'models: ["m", "{model}"]'
    limits = {
        "budget": f"budgets: {{everybody: [{{per: total, dollars: 1, {named}}}]}}\n",
        "tokens": f"limits: [{{per: day, tokens: 20000, {named}}}]\n",
        "requests": f"limits: [{{per: day, requests: 400, {named}}}]\n",
        "concurrent": f"limits: [{{concurrent: 20, {named}}}]\n",
    }[what]
    async with upstream() as up:
        provider = Provider(1)
        up.serve_with(provider.serve)
        async with served(tmp_path, up, limits, stores) as port:
            statuses = await race(port, 2, REQUESTS if what == "budget" else FEWER, again=what in ("budget", "tokens"))
    if stores:  # the state of this test alone
        async with Redis.from_url(redis_url()) as redis:
            await redis.delete(counters_redis.PREFIX + Meter("all", "", granted(what, ("m", model))).key.hex())
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) == provider.calls
    if what == "budget":
        assert MICROS * 0.97 <= provider.tokens * 100 <= MICROS
    elif what == "tokens":
        assert 20_000 * 0.97 <= provider.tokens <= 20_000
    elif what == "requests":
        assert 400 * 0.97 <= provider.calls <= 400
    else:
        assert 1 <= provider.most <= 20
        assert 429 in statuses
