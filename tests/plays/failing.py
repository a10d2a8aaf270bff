"""What the plays about failures have in common: hosts that fail as they are told, and a look at what the gateway keeps of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace

from gatewright.pipeline.attempts import Attempts
from tests.plays.scene import served
from tests.serving import Upstream, answer, gateway, upstream

QUICK = "retry: {base_s: 0.01, cap_s: 0.02, patience_s: 2}"
"""Waits that a test has time for."""
KINDS = {
    "openai_chat": "kind: openai, dialects: [openai_chat]",
    "openai_responses": "kind: openai, dialects: [openai_responses]",
    "anthropic": "kind: anthropic",
    "gemini": "kind: gemini",
}
REFUSED = 1
"""A port on which nobody listens."""


def host(port: int, dialect: str = "openai_chat", more: str = "") -> str:
    """A provider, as YAML."""
    version = "/v1" if dialect.startswith("openai") else ""
    return f'{{{KINDS[dialect]}, base_url: "http://127.0.0.1:{port}{version}", api_key: sk-{port}{more and ", " + more}}}'


def error(status: int, message: str = "try later", *, headers: str = "", kind: str = "server_error", code: str = "") -> bytes:
    """A refusal in the words of Chat Completions."""
    document = {"error": {"message": message, "type": kind, "param": None, "code": code or None}}
    return answer(json.dumps(document).encode(), status=status, headers=headers)


def records(gw) -> list:
    """Every attempt of the exchanges settled since `recording`, in order."""
    return [attempt for exchange, *_ in gw.settled for attempt in exchange.attempts]


def causes(gw) -> list[tuple[str, str | None]]:
    """(target, cause) of every attempt."""
    return [(record.target, record.cause) for record in records(gw)]


def attempts_of(gw) -> Attempts:
    """The stage, out of the stack of model calls."""
    below = gw.gateway.stacks.by_operation["generate"]
    while not isinstance(below.func, Attempts):
        below = below.keywords["following"]
    return below.func


def idle(gw) -> bool:
    """Whether nothing is in flight, nobody waits, and no probe is out: what must be so once everybody has left."""
    health = gw.house.current.health
    gates = [endpoint.gate for endpoint in gw.house.current.endpoints.values() if endpoint.gate is not None]
    return (
        not any(target.in_flight for target in health._targets.values())
        and not any(gate.running or gate.waiting or gate._waiting for gate in gates)
        and not any(cell.state.probes for cell in health.board.circuits.values())
    )


async def soon(true, within_s: float = 5.0) -> None:
    """Wait until it is so."""
    end = asyncio.get_running_loop().time() + within_s
    while not true():
        assert asyncio.get_running_loop().time() < end, "it never came to be"
        await asyncio.sleep(0.005)


@asynccontextmanager
async def hosts(
    tmp_path, *dialects: str, models: str, routing: str = QUICK, providers: str = "", more: str = "", keys: str = ""
) -> AsyncIterator[SimpleNamespace]:
    """A gateway before hosts named a, b, c…, each serving until it is told otherwise; `gw.a` and so on are their scripts.

    `providers`: what is added to each of them. Every settled exchange is kept in `gw.settled`.
    """
    async with AsyncExitStack() as stack:
        ups: dict[str, Upstream] = {}
        for name, dialect in zip("abcdef", dialects, strict=False):
            ups[name] = await stack.enter_async_context(upstream())
            ups[name].answers = [served(dialect)]
        lines = [f"  {name}: {host(ups[name].port, d, providers)}" for name, d in zip("abcdef", dialects, strict=False)]
        config = "\n".join(("providers:", *lines, "models:", models, f"routing: {{{routing}}}", more))
        gw = await stack.enter_async_context(gateway(config, tmp_path, keys=keys))
        for name, up in ups.items():
            setattr(gw, name, up)
        recorder = gw.house.current.books.usage
        settle = recorder.settle
        gw.settled = []

        def settled(exchange, status, problem):
            gw.settled.append((exchange, status, problem))
            settle(exchange, status, problem)

        recorder.settle = settled
        yield gw
