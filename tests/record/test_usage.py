"""Counters of usage: whoever chooses the names, they do not fill the memory."""

import pytest

from gatewright.exchange import AttemptRecord, Exchange, Principal
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
