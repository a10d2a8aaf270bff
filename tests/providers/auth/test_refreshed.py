"""A value is obtained once for all who ask, ahead of its end, and nobody waits for ever."""

import asyncio

import pytest

from gatewright.errors import Problem, UpstreamFailed
from gatewright.providers.auth.refreshed import Lease, Pace, Refreshed, RefreshTookTooLong


class Issuer:
    """Hands out `token-1`, `token-2`, …; counts, and waits where it is told to."""

    def __init__(self, life_s=1000.0):
        self.now = 0.0
        self.asked = 0
        self.life_s = life_s
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure = None

    async def obtain(self):
        self.asked += 1
        number = self.asked
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return Lease(f"token-{number}", self.now + self.life_s)

    def value(self, **pace):
        return Refreshed(self.obtain, clock=lambda: self.now, chance=lambda: 0.0, pace=Pace(**pace))


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_hundred_callers_cause_one_request():
    """Single flight: the issuer must not be asked by each."""
    issuer = Issuer()
    issuer.gate.clear()
    value = issuer.value()
    callers = [asyncio.create_task(value.get()) for _ in range(100)]
    await settled()
    issuer.gate.set()
    assert set(await asyncio.gather(*callers)) == {"token-1"}
    assert issuer.asked == 1


async def test_the_old_value_serves_while_the_new_one_is_on_its_way():
    """Nobody waits for a refresh that is ahead of time."""
    issuer = Issuer(life_s=1000)
    value = issuer.value(ahead_s=100)
    assert await value.get() == "token-1"
    issuer.now = 899
    assert await value.get() == "token-1"
    await settled()
    assert issuer.asked == 1
    issuer.now = 901
    issuer.gate.clear()
    assert [await value.get() for _ in range(5)] == ["token-1"] * 5
    await settled()
    assert issuer.asked == 2
    issuer.gate.set()
    await settled()
    assert await value.get() == "token-2"


async def test_chance_brings_a_refresh_forward():
    """Gateways that began together do not all ask at the same moment."""
    issuer = Issuer(life_s=1000)
    value = Refreshed(issuer.obtain, clock=lambda: issuer.now, chance=lambda: 1.0, pace=Pace(ahead_s=100))
    await value.get()
    issuer.now = 881
    await value.get()
    await settled()
    assert issuer.asked == 2


async def test_a_spent_value_is_never_given():
    """Close to its end a token would expire on the way."""
    issuer = Issuer(life_s=1000)
    value = issuer.value(skew_s=10)
    await value.get()
    issuer.now = 991
    assert await value.get() == "token-2"


async def test_a_refresh_that_fails_ahead_of_time_costs_nobody_anything():
    """While the value holds, an issuer that is down is a matter between it and us."""
    issuer = Issuer(life_s=1000)
    value = issuer.value(ahead_s=500, again_s=10)
    await value.get()
    issuer.now, issuer.failure = 800, UpstreamFailed(Problem(kind="upstream", message="down"))
    assert await value.get() == "token-1"
    await settled()
    for _ in range(50):
        assert await value.get() == "token-1"
    await settled()
    assert issuer.asked == 2, "one failure, then a pause"
    issuer.now = 811
    await value.get()
    await settled()
    assert issuer.asked == 3
    issuer.now, issuer.failure = 980, None
    await value.get()
    await settled()
    assert await value.get() == "token-4"


async def test_failures_are_told_to_all_who_wait_and_remembered_for_a_while():
    """A thousand calls must not become a thousand failing requests."""
    issuer = Issuer()
    issuer.failure = UpstreamFailed(Problem(kind="upstream", message="down"))
    value = issuer.value(again_s=4, again_at_most_s=10)
    for _ in range(3):
        with pytest.raises(UpstreamFailed, match="down"):
            await value.get()
    assert issuer.asked == 1
    waits = []
    for _ in range(4):
        waits.append(value.again_in_s)
        issuer.now += value.again_in_s
        with pytest.raises(UpstreamFailed):
            await value.get()
    assert waits == [4, 8, 10, 10]
    issuer.failure = None
    issuer.now += 10
    assert await value.get() == "token-6"
    assert value.again_in_s == 0
    issuer.now, issuer.failure = issuer.now + 1000, UpstreamFailed(Problem(kind="upstream", message="down"))
    with pytest.raises(UpstreamFailed):
        await value.get()
    assert value.again_in_s == 4, "a success forgets the failures before it"


async def test_a_clock_that_is_set_back_stops_nothing():
    """Pauses are measured by it: an hour back must not be an hour's pause."""
    issuer = Issuer()
    issuer.now = 10_000
    issuer.failure = UpstreamFailed(Problem(kind="upstream", message="down"))
    value = issuer.value()
    with pytest.raises(UpstreamFailed):
        await value.get()
    issuer.now, issuer.failure = 6_400, None
    assert value.again_in_s == 0
    assert await value.get() == "token-2"
    assert await value.replace("token-2") == "token-3"
    issuer.now = 2_000
    assert await value.replace("token-3") == "token-4"


async def test_an_issuer_that_says_when_to_come_back_is_obeyed():
    """`retry-after` of a token endpoint, within our own bounds."""
    issuer = Issuer()
    issuer.failure = UpstreamFailed(Problem(kind="rate_limit", message="slow", retry_after_s=30))
    value = issuer.value()
    with pytest.raises(UpstreamFailed):
        await value.get()
    assert value.again_in_s == 30


async def test_one_caller_leaving_does_not_stop_the_others():
    """A client that hangs up must not cancel the refresh that others wait for."""
    issuer = Issuer()
    issuer.gate.clear()
    value = issuer.value()
    first, second = asyncio.create_task(value.get()), asyncio.create_task(value.get())
    await settled()
    first.cancel()
    await settled()
    assert first.cancelled()
    issuer.gate.set()
    assert await second == "token-1"
    assert issuer.asked == 1


async def test_an_issuer_that_hangs_ends_in_time():
    """Bounded waiting, for the refresh and for who waits for it."""
    issuer = Issuer()
    issuer.gate.clear()
    with pytest.raises(RefreshTookTooLong, match=r"0\.02 s"):
        await issuer.value(obtain_s=0.02).get()
    impatient = issuer.value(wait_s=0.02)
    with pytest.raises(RefreshTookTooLong, match=r"0\.02 s"):
        await impatient.get()
    issuer.gate.set()
    await settled()
    assert await impatient.get() == "token-2", "the refresh went on after its caller gave up"


async def test_a_refused_value_is_replaced_once_for_all_who_held_it():
    """A hundred 401s at once are one refresh."""
    issuer = Issuer()
    value = issuer.value()
    await value.get()
    issuer.gate.clear()
    callers = [asyncio.create_task(value.replace("token-1")) for _ in range(100)]
    await settled()
    issuer.gate.set()
    assert set(await asyncio.gather(*callers)) == {"token-2"}
    assert await value.replace("token-1") == "token-2", "who comes late gets what is there"
    assert issuer.asked == 2


async def test_an_upstream_that_refuses_everything_does_not_drive_the_issuer():
    """Early replacement has a pace of its own."""
    issuer = Issuer()
    value = issuer.value(forced_every_s=20)
    await value.get()
    assert await value.replace("token-1") == "token-2"
    assert await value.replace("token-2") == "token-2"
    assert issuer.asked == 2
    issuer.now = 21
    assert await value.replace("token-2") == "token-3"


async def test_an_issuer_that_repeats_itself_is_not_asked_all_the_time():
    """Metadata servers hand out the same token until shortly before its end."""
    issuer = Issuer()
    asked = 0

    async def same():
        nonlocal asked
        asked += 1
        return Lease("same", 1000.0)

    value = Refreshed(same, clock=lambda: issuer.now, chance=lambda: 0.0, pace=Pace(ahead_s=300))
    await value.get()
    for issuer.now in range(700, 990):
        await value.get()
        await settled()
    assert asked <= 20


async def test_an_issuer_that_wants_to_be_asked_early_is_not_asked_all_the_time():
    """`refresh_in` of a token that was issued long ago lies in the past."""
    asked = 0

    async def cached():
        nonlocal asked
        asked += 1
        return Lease("same", 10_000.0, refresh_at=100.0)

    now = 1000.0
    value = Refreshed(cached, clock=lambda: now, chance=lambda: 0.0)
    for _ in range(10):
        await value.get()
        await settled()
        now += 1
    assert asked == 1
    now += 30
    await value.get()
    await settled()
    assert asked == 2


async def test_close_ends_a_refresh_that_runs():
    """Nothing is left behind when the gateway stops."""
    issuer = Issuer()
    issuer.gate.clear()
    value = issuer.value()
    caller = asyncio.create_task(value.get())
    await settled()
    await value.close()
    with pytest.raises(RefreshTookTooLong, match="stopping"):
        await caller
