"""Failures in words: the one that tells most leads, and all are named."""

from types import SimpleNamespace

import pytest

from gatewright.errors import Problem
from gatewright.exchange import AttemptRecord, Exchange, Reply
from gatewright.pipeline.failures import Failure, all_failed, is_open, leaves_work, rests
from gatewright.wire.http import Call


def failure(name, kind="overloaded", cause="overloaded", message="try later", **more):
    problem = Problem(kind=kind, message=message, **more)
    candidate = SimpleNamespace(name=name)
    return Failure(candidate, AttemptRecord(name, "openai_chat", 0.0, cause=cause), problem, Reply(500, b"", problem=problem))


def passed_over(name, problem, cause):
    return Failure(SimpleNamespace(name=name), AttemptRecord(name, "openai_chat", 0.0, cause=cause), problem, None)


def test_repetitions_are_counted_and_nobody_is_left_out():
    told = all_failed([failure("a/m"), failure("a/m"), failure("b/m", "upstream", "broken", "b/m: no", status=500)])
    assert told.message == "All 2 targets failed: a/m 503 ×2 (try later), b/m 500 (no)"
    assert (told.kind, told.http_status) == ("overloaded", 503)


def test_what_passes_by_itself_leads_with_the_time_to_wait():
    """A limit with its seconds says more than a broken host."""
    told = all_failed([failure("a/m", "upstream", "broken"), failure("b/m", "rate_limit", "throttled", retry_after_s=7.0)])
    assert (told.kind, told.retry_after_s) == ("rate_limit", 7.0)


def test_one_target_says_it_in_its_own_words():
    assert all_failed([failure("a/m"), failure("a/m")]) is None
    assert all_failed([failure("a/m"), passed_over("a/m", is_open(SimpleNamespace(name="a/m"), 9), "open")]) is None


def test_who_was_not_asked_is_named_and_does_not_lead():
    """A circuit that is open is no reason to hide what really failed."""
    told = all_failed([failure("a/m", "upstream", "broken"), passed_over("b/m", is_open(SimpleNamespace(name="b/m"), 9), "open")])
    assert told.kind == "upstream"
    assert "b/m not asked (b/m is left alone for 9 s more" in told.message


@pytest.mark.parametrize(
    ("causes", "kind"), [(("open", "open"), "overloaded"), (("resting",) * 2, "rate_limit"), (("open", "resting"), "overloaded")]
)
def test_when_nobody_could_be_asked_the_soonest_says_when(causes, kind):
    """429 where only keys rest, else 503."""
    make = {"open": is_open, "resting": rests}
    said = [
        passed_over(name, make[cause](SimpleNamespace(name=name), s), cause)
        for name, cause, s in zip("ab", causes, (20, 7), strict=True)
    ]
    told = all_failed(said)
    assert (told.kind, told.retry_after_s) == (kind, 7)
    assert all(one.problem.message in told.message for one in said)


@pytest.mark.parametrize(
    ("dialect", "body", "left"),
    [
        ("openai_responses", b'{"background": true}', True),
        ("openai_responses", b'{"background": false}', False),
        ("openai_responses", b'{"input": "the \\"background\\": true"}', False),
        ("openai_responses", b'{"background": ', False),
        ("openai_responses", b"{}", False),
        ("openai_chat", b'{"background": true}', False),
    ],
)
def test_only_work_in_the_background_goes_on_without_its_client(dialect, body, left):
    call = Call(path="/v1/responses", body=body)
    exchange = Exchange(request_id="r", dialect=dialect, operation="generate", method="POST", call=call, started=0.0)
    assert leaves_work(exchange) is left
