"""Counters of usage: whoever chooses the names, they do not fill the memory."""

import pytest

from gatewright.exchange import AttemptRecord, Exchange, Principal
from gatewright.ir.response import Usage
from gatewright.record import usage
from gatewright.record.usage import OTHERS, UsageCounter
from gatewright.wire.http import Call


def asked(key: Principal, target: str) -> Exchange:
    """A call that a target refused."""
    call = Call(path="/v1/chat/completions", body=b"{}")
    exchange = Exchange(request_id="r", dialect="openai_chat", operation="generate", method="POST", call=call, started=0.0)
    exchange.principal, exchange.model, exchange.served = key, target, target
    exchange.attempts = [AttemptRecord(target, "openai_chat", 0.0, sent=True, cause="client")]
    return exchange


def test_names_that_clients_choose_are_told_apart_up_to_a_number(monkeypatch: pytest.MonkeyPatch):
    """All further ones of a key are counted together, and none is lost; those that were there go on as they were."""
    monkeypatch.setattr(usage, "MOST", 10)
    counter, key = UsageCounter(), Principal("ci")
    for i in range(30):
        for target in ("a/known", f"a/{i}"):
            counter.settle(asked(key, target), 404, None)
    assert len(counter.tallies) == len(counter.calls) == 11
    assert counter.tallies["ci", "a/known"].requests == counter.calls["ci", "a/known"].sent == 30
    assert counter.tallies["ci", OTHERS].errors == counter.calls["ci", OTHERS].failed == 30 - 9


@pytest.mark.parametrize(
    ("told", "sums"),
    [
        ({"input": 3, "output": 2}, (3, 2, 0)),
        ({"input": 3}, (3, 0, 0)),
        ({"output": 2}, (0, 2, 0)),
        ({"input": 0, "output": 2, "cache_read": 5}, (5, 2, 5)),
        ({"input": 1, "output": 2, "cache_write_5m": 5}, (6, 2, 0)),
        ({"input": 1, "output": 2, "cache_write_1h": 5}, (6, 2, 0)),
        ({"input": 1, "output": 2, "audio_in": 5}, (6, 2, 0)),
        ({"input": 1, "output": 2, "reasoning": 5}, (1, 7, 0)),
        ({"input": 1, "output": 2, "audio_out": 5}, (1, 7, 0)),
    ],
    ids=str,
)
def test_tokens_on_every_axis_are_counted(told, sums):
    """What most calls use, and what few do."""
    counter, exchange = UsageCounter(), asked(Principal("ci"), "a/m")
    exchange.usage = Usage(**told)
    counter.settle(exchange, 200, None)
    counter.settle(exchange, 200, None)
    tally = counter.tallies["ci", "a/m"]
    assert (tally.input_tokens, tally.output_tokens, tally.cached_tokens) == tuple(2 * n for n in sums)
