"""Traces for Explorer: pushed in their own time, counted where they are not, and in the form of Invariant's SDK."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from tests.identity import serving

from gatewright.record.explorer import AT_ONCE, IN_A_ROW, REST_S, Explorer
from gatewright.record.explorer_body import Guardrail, PolicyError, annotations_of, push_body
from gatewright.record.explorer_link import Link, NoAnswer


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def making(body=b"{}"):
    async def make():
        return body

    return make


@asynccontextmanager
async def explorer(answer, *, clock=None, **more):
    async with serving(answer) as port:
        link = Link(f"http://127.0.0.1:{port}/under", {})
        made = Explorer(link, clock or Clock(), pause_s=0.001, **more)
        try:
            yield made
        finally:
            await made.close()
            await link.close()


async def settled(made):
    """Once nothing waits and nothing runs."""
    async with asyncio.timeout(10):
        while made._tasks:
            await asyncio.wait(tuple(made._tasks))
            await asyncio.sleep(0)


async def test_a_trace_is_pushed_with_its_key():
    """To the path of the SDK, beneath whatever path the operator's URL has."""
    seen = []

    def answer(asked):
        seen.append(asked)
        return 200, {"id": ["1"]}

    async with explorer(answer) as made:
        made.put("inv-1", making(b'{"messages":[[]]}'))
        await settled(made)
        assert (made.counts.pushed, made.counts.dropped, made.counts.failed) == (1, 0, 0)
    (asked,) = seen
    assert (asked.method, asked.path) == ("POST", "/under/api/v1/push/trace")
    assert asked.headers["authorization"] == "Bearer inv-1"
    assert asked.headers["content-type"] == "application/json"
    assert asked.body == b'{"messages":[[]]}'


async def test_nothing_is_pushed_where_there_is_nothing():
    """Whoever makes the body may find that it is not to be pushed."""
    async with explorer(lambda asked: pytest.fail("asked")) as made:
        made.put("k", making(None))
        await settled(made)
        assert made.counts.pushed == made.counts.failed == made.counts.dropped == 0


async def test_no_more_wait_than_may():
    """Beyond it they are dropped and counted; those that waited are pushed when their turn comes."""
    go = asyncio.Event()

    async def answer(asked):
        await go.wait()
        return 200, {}

    async with explorer(answer, size=5) as made:
        for _ in range(AT_ONCE):
            made.put("k", making())
            await asyncio.sleep(0)
        for _ in range(20):
            made.put("k", making())
        assert made.counts.dropped == 15
        go.set()
        await settled(made)
        assert made.counts.pushed == AT_ONCE + 5


async def test_a_failing_explorer_is_asked_again_then_left_alone():
    """What it answers with 500 is tried again; after several in a row nobody asks for a while, and then all is as before."""
    clock = Clock()
    statuses = [500, 500, 200]
    seen = []

    def answer(asked):
        seen.append(asked)
        return (statuses.pop(0) if statuses else 503), {}

    async with explorer(answer, clock=clock) as made:
        made.put("k", making())
        await settled(made)
        assert (made.counts.pushed, len(seen)) == (1, 3)
        for _ in range(IN_A_ROW):
            made.put("k", making())
            await settled(made)
        asked = len(seen)
        assert asked < 3 + 3 * IN_A_ROW
        made.put("k", making())
        await settled(made)
        assert len(seen) == asked
        assert made.counts.dropped > 0
        clock.now += REST_S + 1
        statuses[:] = [200]
        made.put("k", making())
        await settled(made)
        assert made.counts.pushed == 2


@pytest.mark.parametrize("status", [400, 401, 404, 422])
async def test_what_is_refused_is_not_tried_again(status, caplog):
    """It would be refused again; the log says why, without the key."""
    seen = []

    def answer(asked):
        seen.append(asked)
        return status, {"detail": "not like this"}

    async with explorer(answer) as made:
        for _ in range(3):
            made.put("inv-secret", making())
        await settled(made)
        assert (len(seen), made.counts.failed) == (3, 3)
    assert caplog.text.count("not like this") == 1
    assert "inv-secret" not in caplog.text


async def test_a_silent_explorer_costs_its_deadline_and_no_second_trace():
    """It may have heard the first."""
    seen = []

    def answer(asked):
        seen.append(asked)

    async with explorer(answer, deadline_s=0.2) as made:
        made.put("k", making())
        await settled(made)
        assert (len(seen), made.counts.failed) == (1, 1)


async def test_a_trace_that_cannot_be_made_costs_no_other(caplog):
    """A bug of ours is in the log, and the next one is pushed."""

    async def broken():
        raise RuntimeError("bug")

    async with explorer(lambda asked: (200, {})) as made:
        made.put("k", broken)
        made.put("k", making())
        await settled(made)
        assert (made.counts.failed, made.counts.pushed) == (1, 1)
    assert "bug" in caplog.text


async def test_what_waits_holds_on_to_no_more_than_may(monkeypatch):
    """Large conversations count by their bytes."""
    monkeypatch.setattr("gatewright.record.explorer.MOST_BYTES", 1000)
    async with explorer(lambda asked: (200, {})) as made:
        for _ in range(3):
            made.put("k", making(), 400)
        assert made.counts.dropped == 1
        await settled(made)
        made.put("k", making(), 900)
        await settled(made)
        assert (made.counts.pushed, made.counts.dropped) == (3, 1)


async def test_a_stop_waits_a_moment_and_then_for_nothing(monkeypatch):
    """What is not pushed by then is counted as dropped."""
    monkeypatch.setattr("gatewright.record.explorer.CLOSING_S", 0.1)
    async with explorer(lambda asked: None) as made:
        for _ in range(AT_ONCE + 3):
            made.put("k", making())
        await asyncio.sleep(0.05)
        await made.close()
        assert made.counts.dropped == AT_ONCE + 3
        made.put("k", making())
        assert made.counts.dropped == AT_ONCE + 4


async def test_a_key_that_cannot_stand_in_a_header_is_sent_nowhere():
    """Clients bring keys; one with a line break must not write a header of its own."""
    link = Link("http://127.0.0.1:1", {})
    with pytest.raises(NoAnswer):
        await link.ask("GET", "/x", "a\r\nhost: evil")
    with pytest.raises(NoAnswer):
        await link.ask("GET", "/x y", "a")
    await link.close()


def test_annotations_say_which_policy_objects():
    """One for each place, no two the same; where nothing says the place, it is shown at the beginning."""
    rule = Guardrail("p1", "ogres", 'raise "ogre" if: …', "block")
    error = PolicyError(("ogre",), {}, ("messages.1", "messages.1.content:0-4"), rule)
    about = {"source": "guardrails-error", "guardrail": {"id": "p1", "name": "ogres", "content": rule.content, "action": "block"}}
    assert annotations_of([error, error]) == [{"content": "ogre", "address": "messages.1.content:0-4", "extra_metadata": about}]
    (bare,) = annotations_of([PolicyError(("Gateway: no answer",))])
    assert bare == {"content": "Gateway: no answer", "address": "messages.0", "extra_metadata": {"source": "guardrails-error"}}


def test_a_push_has_the_sdks_form():
    """Lists of one, and no message says `null`."""
    body = push_body("d", [{"role": "assistant", "content": None, "tool_calls": []}], {"model": "m"}, [])
    assert json.loads(body) == {
        "messages": [[{"role": "assistant", "tool_calls": []}]], "annotations": None, "dataset": "d", "metadata": [{"model": "m"}],
    }  # fmt: skip
