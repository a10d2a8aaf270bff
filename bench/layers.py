"""What the layers that survive failures add to a request that goes well: cache, retries, circuits, queues, resuming.

    python -m bench.layers [--rounds 40] [--requests 500]

The whole stack runs in this process, with an upstream that answers from memory, and beside it the same stack with one bare
attempt beneath the route. Both are taken in turns, a block of requests each; the figure is the CPU time that a quarter
of the blocks stay below: what else runs on the machine only ever adds to it. The books are closed: writing them is no part of it.
"""

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any

from gatewright.app import generation_of
from gatewright.config import load_config
from gatewright.exchange import AttemptRecord, Exchange, Reply
from gatewright.pipeline.attempts import Attempts
from gatewright.transport import Outgoing
from gatewright.wire.http import Call

TARGET_US = 10.0
"""The most that the layers may add."""
KEY = b"gw-bench"
CONFIG = """
server: {state_dir: STATE}
ledger: {enabled: false}
providers: {up: {kind: openai, dialects: [openai_chat], base_url: "http://127.0.0.1:1/v1", api_key: sk-up}}
models: {m: {targets: [up/m]}}
keys: [{name: bench, key: gw-bench}]
"""
WHOLE = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x" * 700}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
    }
).encode()


def event(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: %b\n\n" % json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}).encode()


USAGE = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}
STREAM = [
    event({"role": "assistant"}),
    *(event({"content": "word "}) for _ in range(4)),
    event({}, "stop"),
    b"data: %b\n\n" % json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": USAGE}).encode(),
    b"data: [DONE]\n\n",
]


class Canned:
    """An `Incoming` that is all there."""

    status = 200

    def __init__(self, pieces: list[bytes], content_type: bytes) -> None:
        self.headers = ((b"content-type", content_type),)
        self._content_type = content_type
        self._pieces = iter(pieces)

    def header(self, name: bytes) -> bytes | None:
        return self._content_type if name == b"content-type" else None

    async def next(self) -> bytes | None:
        return next(self._pieces, None)

    def at_once(self, max_bytes: int) -> bytes:
        return b"".join(self._pieces)

    async def read(self, max_bytes: int) -> bytes:
        return b"".join(self._pieces)

    def abort(self) -> None:
        """Nothing runs."""


class Memory:
    """A `Transport` that answers at once."""

    async def send(self, outgoing: Outgoing) -> Canned:
        if b'"stream"' in outgoing.body:
            return Canned(STREAM, b"text/event-stream")
        return Canned([WHOLE], b"application/json")

    async def close(self) -> None:
        """Nothing is open."""


def run(waited: Awaitable[Any]) -> Any:
    """The result of what never has to wait."""
    steps: Generator[Any, None, Any] = waited.__await__()
    try:
        next(steps)
    except StopIteration as done:
        return done.value
    sys.exit("the stack waited for something: this measures what does not")


def request(*, stream: bool) -> Exchange:
    body = {"model": "m", "messages": [{"role": "user", "content": "y" * 900}], **({"stream": True} if stream else {})}
    call = Call(path="/v1/chat/completions", body=json.dumps(body).encode())
    exchange = Exchange(
        request_id="req_1", dialect="openai_chat", operation="generate", method="POST", call=call, started=time.monotonic()
    )
    exchange.credential = KEY
    return exchange


def bare(attempts: Attempts) -> Callable[[Exchange], Awaitable[Reply]]:
    """One attempt and nothing around it, as if nothing ever failed."""
    once = attempts.attempt.once

    async def ask(exchange: Exchange) -> Reply:
        candidate: Any = exchange.plan[0]
        return await once(exchange, candidate, AttemptRecord(candidate.name, "openai_chat", 0.0))

    return ask


def rebuilt(stack: Any, innermost: Callable[[Attempts], Callable[[Exchange], Awaitable[Reply]]]) -> Any:
    """The stack down to the checks of its route, and beneath it what `innermost` makes."""
    below = stack.keywords["following"]
    if "checks" in stack.keywords:
        while not isinstance(below.func, Attempts):
            below = below.keywords["following"]
        return partial(stack.func, checks=stack.keywords["checks"], following=innermost(below.func))
    return partial(stack.func, following=rebuilt(below, innermost))


def block(stack: Callable[[Exchange], Awaitable[Reply]], requests: int, *, stream: bool) -> float:
    """µs of CPU time that a request takes, its answer read to the end."""
    exchanges = [request(stream=stream) for _ in range(requests)]
    began = time.process_time()
    while exchanges:
        reply = run(stack(exchanges.pop()))
        if (source := reply.source) is not None:
            while run(source.next()) is not None:
                pass
    took = time.process_time() - began
    if reply.status != 200:
        sys.exit(f"the stack answered {reply.status}: {reply.body!r}")
    return took / requests * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--requests", type=int, default=500)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        file = Path(state, "gatewright.yaml")
        file.write_text(CONFIG.replace("STATE", state))
        generation = generation_of(load_config(file, {}), {})
        endpoint = generation.endpoints["up"]
        endpoint._transports = {dialect: Memory() for dialect in endpoint._transports}  # type: ignore[attr-defined]  # noqa: SLF001
        stack = generation.gateway.stacks.by_operation["generate"]
        stacks = {"bare": rebuilt(stack, bare), "whole": stack}
        gc.collect()  # as the gateway does at its start
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        print("| a request that goes well | bare | with the layers | they add |\n|---|--:|--:|--:|")
        worst = 0.0
        for stream in (False, True):
            took: dict[str, list[float]] = {name: [] for name in stacks}
            for _ in range(asked.rounds + 3):
                for name, one in stacks.items():
                    took[name].append(block(one, asked.requests, stream=stream))
            lean, full = (statistics.quantiles(took[name][3:], n=4)[0] for name in ("bare", "whole"))  # the first rounds warm up
            adds = full - lean
            worst = max(worst, adds)
            print(f"| {'streamed' if stream else 'whole'}, bytes pass | {lean:.1f} µs | {full:.1f} µs | {adds:.1f} µs |")
        print(f"\nThe layers may add {TARGET_US:.0f} µs; {'kept' if worst <= TARGET_US else 'NOT KEPT'}.")
        sys.exit(worst > TARGET_US)


if __name__ == "__main__":
    main()
