"""Three targets that each fail three times in ten: nobody who could be served goes away without, and the books agree.

`make faults` does this with 10,000 requests.
"""

from tests.faults import lots, mixed

REQUESTS = 1_000


async def test_everyone_who_could_be_served_is_and_nobody_twice():
    """Whole and streamed, passed and translated; each answer is verified by the checksum it carries."""
    tally = await mixed.run(REQUESTS, breaker=mixed.NO_CHANCE)
    assert not tally.wrong, tally.told()
    assert tally.served > 0.95 * REQUESTS
    assert tally.hopeless > 0, "some must be beyond help, or nothing was tried"
    assert tally.attempts == tally.calls > REQUESTS


async def test_breakers_take_no_target_away_that_is_needed():
    """As they are by default: targets that serve seven of ten are left alone at times, but nobody is refused for it."""
    tally = await mixed.run(REQUESTS)
    assert not tally.wrong, tally.told()
    assert tally.served > 0.95 * REQUESTS
    assert tally.attempts == tally.calls


async def test_streams_that_are_cut_say_so():
    """What breaks after content cannot be taken back; it never ends as if it were complete."""
    tally = await mixed.run(REQUESTS // 2, mixed.SEED + 1, cuts=True, breaker=mixed.NO_CHANCE)
    assert not tally.wrong, tally.told()
    assert tally.cut > 10


def test_an_answer_that_is_cut_or_mixed_up_is_noticed():
    """The judge of the runs above can say no."""
    text = lots.told(7)
    assert lots.verified(text, 7)
    assert not lots.verified(text, 8)
    assert not lots.verified(text[:-1], 7)
    assert not lots.verified(text.replace(" 3 ", " "), 7)
    assert not lots.verified(text + text, 7)


def test_targets_fail_as_often_as_they_are_said_to():
    """And as often in the same way for the same seed."""
    fates = [lots.failing(1, number, name, cuts=False, stream=True) for number in range(4000) for name in lots.TARGETS]
    assert 0.28 < sum(fate is not None for fate in fates) / len(fates) < 0.32
    assert {fate.way for fate in fates if fate} == set(lots.WAYS)
    assert fates == [lots.failing(1, number, name, cuts=False, stream=True) for number in range(4000) for name in lots.TARGETS]
