"""What limits cost a request that they let pass: three levels of them and a budget, embedded and with a Redis.

    python -m bench.limits [--rounds 40] [--requests 500] [--redis redis://127.0.0.1:6379/0]

The whole stack runs in this process, with an upstream that answers from memory; two keys call it in turns, a block of requests
each: one that nothing limits, and one whose organization has a limit on tokens, whose team has one on requests and a budget, and
which has a limit on requests of its own. The figure is the CPU time that a quarter of the blocks stay below: what else runs on
the machine only ever adds to it. With a Redis, fifty requests are under way at once, and the time that its own process takes is
not counted.
"""

import argparse
import asyncio
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.layers import Memory, request, run
from gatewright import app
from gatewright.app import generation_of
from gatewright.config import Config, load_config
from gatewright.exchange import Exchange, Reply
from gatewright.house import Generation
from gatewright.ir.response import Usage
from gatewright.limits.windows import NEVER
from gatewright.providers.prices import PriceBook
from gatewright.providers.pricing import Priced, Prices, Target

TARGET_US = {"embedded": 20.0, "redis": 55.0}
"""The most that limits and budget may add: of 25 and 60 µs, what authentication and the journal leave."""
REQUESTS = "limits: [{per: minute, requests: 100000000}]"
TOKENS = "limits: [{per: minute, tokens: 1000000000000}]"
CONFIG = f"""
server: {{state_dir: STATE}}
ledger: {{enabled: false}}
providers: {{up: {{kind: openai, dialects: [openai_chat], base_url: "http://127.0.0.1:1/v1", api_key: sk-up}}}}
models: {{m: {{targets: [up/m]}}}}
organizations: {{acme: {{{TOKENS}}}}}
teams: {{red: {{organization: acme, {REQUESTS}, budgets: [{{per: month, dollars: 1000000000}}]}}}}
keys:
  - {{name: free, key: gw-free}}
  - {{name: limited, key: gw-limited, team: red, {REQUESTS}}}
COUNTERS
"""
AT_ONCE = 50

Stack = Callable[[Exchange], Awaitable[Reply]]


class Cents(Prices):
    """A price list with one price."""

    def __init__(self, _config: Config) -> None:
        super().__init__(PriceBook())

    def price(self, provider: str, model: str, usage: Usage, at: int) -> Priced:
        return Priced(usage.total_input * 3 + usage.total_output * 15, "bench", "2026-01-01")

    def upper(self, candidate: Target, input_tokens: int, output_tokens: int, *, dear: bool = True) -> int | None:
        return input_tokens * 3 + output_tokens * 15

    def flat(self, candidate: Target) -> tuple[int, int, int, int, int] | None:
        return NEVER, 0, 3, 15, 1


def asking(key: bytes) -> Exchange:
    exchange = request(stream=False)
    exchange.credential = key
    return exchange


def one_by_one(stack: Stack, key: bytes, requests: int) -> float:
    """µs of CPU time a request."""
    exchanges = [asking(key) for _ in range(requests)]
    began = time.process_time()
    while exchanges:
        reply = run(stack(exchanges.pop()))
    took = time.process_time() - began
    if reply.status != 200:
        sys.exit(f"the stack answered {reply.status}: {reply.body!r}")
    return took / requests * 1e6


async def many_at_once(stack: Stack, key: bytes, requests: int) -> float:
    """µs of CPU time a request."""
    exchanges = [asking(key) for _ in range(requests)]

    async def ask() -> None:
        while exchanges:
            reply = await stack(exchanges.pop())
            if reply.status != 200:
                sys.exit(f"the stack answered {reply.status}: {reply.body!r}")

    began = time.process_time()
    await asyncio.gather(*(ask() for _ in range(AT_ONCE)))
    return (time.process_time() - began) / requests * 1e6


def built(state: str, counters: str) -> Generation:
    file = Path(state, "gatewright.yaml")
    file.write_text(CONFIG.replace("STATE", state).replace("COUNTERS", counters))
    generation = generation_of(load_config(file, {}), {})
    endpoint = generation.endpoints["up"]
    endpoint._transports = {dialect: Memory() for dialect in endpoint._transports}  # type: ignore[attr-defined]  # noqa: SLF001
    return generation


async def measured(counters: str, rounds: int, requests: int) -> tuple[float, float]:
    """µs a request of the key that is free and of the one that is limited."""
    with tempfile.TemporaryDirectory() as state:
        generation = built(state, f"counters: {counters}" if counters else "")
        stack = generation.gateway.stacks.by_operation["generate"]
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        took: dict[bytes, list[float]] = {b"gw-free": [], b"gw-limited": []}
        for _ in range(rounds + 3):
            for key, times in took.items():
                times.append(await many_at_once(stack, key, requests) if counters else one_by_one(stack, key, requests))
                await asyncio.sleep(0)
        await generation.counters.close()
        free, limited = (statistics.quantiles(times[3:], n=4)[0] for times in took.values())
        return free, limited


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0")
    asked = parser.parse_args()
    app.prices_of = Cents  # type: ignore[assignment]  # one price, and no list to load
    print("| three levels of limits and a budget | free | limited | they add |\n|---|--:|--:|--:|")
    kept = True
    for name, counters in (("embedded", ""), ("redis", asked.redis)):
        if name == "redis" and not asked.redis:
            continue
        free, limited = asyncio.run(measured(counters, asked.rounds, asked.requests))
        kept &= limited - free <= TARGET_US[name]
        print(f"| {name} | {free:.1f} µs | {limited:.1f} µs | {limited - free:.1f} µs |")
    print(f"\nThey may add {TARGET_US['embedded']:.0f} and {TARGET_US['redis']:.0f} µs; {'kept' if kept else 'NOT KEPT'}.")
    sys.exit(not kept)


if __name__ == "__main__":
    main()
