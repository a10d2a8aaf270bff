"""A gate before an endpoint: places are given back by whoever had one, in fair turns, whatever becomes of who waits."""

import asyncio
import random
import time

import pytest

from gatewright.pipeline.admit import Gate, Turned
from gatewright.routing.admission import Limits


def gate(running=1, waiting=10, patience_s=5.0):
    return Gate("up", Limits(running, waiting, patience_s), time.monotonic)


async def test_there_is_room_until_there_is_none():
    """Who enters at once does not wait for a turn of the loop."""
    door = gate(running=2)
    tickets = [await door.enter("t", 1), await door.enter("t", 1)]
    assert (door.full, door.running) == (True, 2)
    for ticket in tickets:
        door.leave(ticket)
    assert (door.full, door.running) == (False, 0)


async def test_who_waits_enters_when_a_place_is_given_back():
    door = gate()
    first = await door.enter("t", 1)
    second = asyncio.ensure_future(door.enter("t", 1))
    await asyncio.sleep(0.01)
    assert (second.done(), door.waiting) == (False, 1)
    door.leave(first)
    door.leave(await second)
    assert (door.running, door.waiting, door._waiting) == (0, 0, {})


async def test_patience_ends_without_anybody_moving():
    """A timer of its own says so."""
    door = gate(patience_s=0.1)
    door.admission.mean_s = 0.01
    ticket = await door.enter("t", 1)
    with pytest.raises(Turned, match="waited too long") as turned:
        await door.enter("t", 1)
    assert turned.value.problem.retry_after_s >= 1
    assert door.waiting == 0
    door.leave(ticket)


async def test_a_place_is_taken_from_who_holds_most_of_the_queue():
    """The newcomer of another tenant waits; the flood's last is told at once."""
    door = gate(waiting=2)
    ticket = await door.enter("flood", 5)
    flood = [asyncio.ensure_future(door.enter("flood", 5)) for _ in range(2)]
    await asyncio.sleep(0.01)
    guest = asyncio.ensure_future(door.enter("guest", 5))
    with pytest.raises(Turned, match="as many wait as may wait"):
        await flood[1]
    door.leave(ticket)
    for waiting in (flood[0], guest):
        door.leave(await asyncio.wait_for(waiting, 2))


async def test_whoever_goes_at_whatever_moment_no_place_is_lost():
    """A hundred enter, wait, give up or stay, in any order; in the end the gate is as new, and never were too many inside."""
    chance, door, most = random.Random(7), gate(running=3, waiting=50), 0

    async def one() -> None:
        nonlocal most
        try:
            async with asyncio.timeout(chance.random() * 0.1):
                ticket = await door.enter(chance.choice("abc"), 0.05)
                try:
                    most = max(most, door.running)
                    await asyncio.sleep(chance.random() * 0.02)
                finally:
                    door.leave(ticket)
        except (TimeoutError, Turned):
            pass

    await asyncio.gather(*(one() for _ in range(100)))
    assert most == 3
    assert (door.running, door.waiting, door._waiting) == (0, 0, {})
