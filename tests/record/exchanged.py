"""Exchanges that have ended, for whoever is told of them."""

from gatewright.exchange import AttemptRecord, Exchange, Principal
from gatewright.ir.response import Usage
from gatewright.wire.http import Call


class Named:
    """A route, as far as its name goes."""

    def __init__(self, name: str) -> None:
        self.name = name


def exchanged(
    target: str = "openai/gpt-5", *, route: str = "smart", took_s: float = 1.0, usage: Usage | None = None, **more
) -> Exchange:
    """One attempt that went well: it began 10 ms after the request came, and was written 5 ms later. It came at 100 s."""
    one = AttemptRecord(
        target, "openai_chat", 100.01, sent=True, status=200, stage="answered", ttft_s=0.3, ended=100.0 + took_s - 0.01,
        usage=Usage(input=10, output=20) if usage is None else usage, written=100.015,
    )  # fmt: skip
    given = {"attempts": [one], "served": target, "usage": one.usage, **more}
    return Exchange(
        request_id="req_1", dialect="anthropic", operation="generate", method="POST", call=Call(path="/v1/messages", body=b"{}"),
        started=100.0, principal=Principal("ci"), route=Named(route), model=route, **given,
    )  # fmt: skip


class Heard:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, object]] = []

    def settle(self, exchange, status, problem) -> None:
        self.told.append((exchange.request_id, status, problem))
