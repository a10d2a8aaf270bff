"""What is known of targets: from calls made here, from other workers, and over reloads."""

from types import SimpleNamespace

import pytest

from gatewright.pipeline.health import NO_MODEL, Event, Health
from gatewright.providers.auth.pool import KeyPool
from gatewright.providers.auth.seam import Refusal, Unsigned
from gatewright.routing.breaker import Rule

RULE = Rule(in_a_row=3, open_s=10, closing=1)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def endpoint(name="a", credential=None):
    return SimpleNamespace(name=name, credential=credential, secret=b"" if credential else b"sk")


def target(model="m", at=None):
    at = at or endpoint()
    return SimpleNamespace(endpoint=at, model=model, name=f"{at.name}/{model}")


@pytest.fixture
def clock():
    return Clock()


def call(health, candidate, cause=None, ttft_s=None, **asked):
    passed = health.began(candidate)
    if passed is not None:
        health.ended(passed, candidate, cause, ttft_s, **asked)
    return passed is not None


def test_calls_are_in_flight_from_their_beginning_to_their_end(clock):
    """Each once, however it ends."""
    health, it = Health(RULE, clock), target()
    running = [health.began(it) for _ in range(3)]
    assert (health.in_flight(it), health.view(it).in_flight) == (3, 3)
    for passed, cause in zip(running, (None, "cancelled", "broken"), strict=True):
        health.ended(passed, it, cause)
    assert health.in_flight(it) == 0


def test_what_is_not_let_through_is_not_in_flight(clock):
    health, it = Health(RULE, clock), target()
    for _ in range(3):
        call(health, it, "broken")
    assert health.began(it) is None
    assert (health.in_flight(it), health.standing(it), health.again_s(it)) == (0, "open", 10)


@pytest.mark.parametrize(
    ("causes", "asked"),
    [
        (("broken", "broken", "broken"), True),
        (("broken", "broken", "silent"), True),
        (("broken", "silent", "stalled", "silent"), False),
        (("silent", "silent", "silent", "broken"), True),
    ],
)
def test_one_that_fails_fast_may_be_the_last_resort(clock, causes, asked):
    """A closed door costs nothing to try; one that takes its whole time to fail, again and again, costs more than an error."""
    health, it = Health(Rule(in_a_row=4 if len(causes) > 3 else 3), clock), target()
    for cause in causes:
        call(health, it, cause)
    assert health.began(it) is None
    assert (health.forced(it) is not None) is asked


def test_without_a_rule_nothing_ever_opens(clock):
    health, it = Health(None, clock), target()
    assert all(call(health, it, "broken") for _ in range(50))
    assert (health.standing(it), health.again_s(it)) == ("closed", 0)


def test_openings_and_closings_are_told_once_each(clock):
    """Rare events, and nothing else."""
    health, it, told = Health(RULE, clock), target(), []
    health.subscribe(told.append)
    for _ in range(20):
        call(health, it)
    for _ in range(3):
        call(health, it, "broken")
    clock.now += 10
    call(health, it)
    assert [(event.kind, event.endpoint, event.model) for event in told] == [("opened", "a", "m"), ("closed", "a", "m")]


def test_what_one_worker_found_out_the_others_know(clock):
    """Open there, open here; closed there, closed here. What was heard is not told on."""
    one, other, it, echoes = Health(RULE, clock), Health(RULE, clock), target(), []
    one.subscribe(other.hear)
    other.subscribe(echoes.append)
    for _ in range(3):
        call(one, it, "broken")
    assert (other.standing(it), other.again_s(it), other.began(it)) == ("open", 10, None)
    clock.now += 10
    call(one, it)
    assert other.standing(it) == "closed"
    assert call(other, it)
    assert echoes == []


def test_two_who_find_it_out_together_do_not_open_twice(clock):
    """An opening that is known changes nothing, so that news going round do not grow."""
    one, other, it = Health(RULE, clock), Health(RULE, clock), target()
    one.subscribe(other.hear)
    other.subscribe(one.hear)
    for _ in range(3):
        call(one, it, "broken")
        call(other, it, "broken")
    assert {h.board.state("a", "m").openings for h in (one, other)} == {1}
    assert one.again_s(it) == other.again_s(it) == 10


def test_a_newcomer_is_told_what_stands(clock):
    """Circuits that are open and keys that rest; not what is over."""
    old, new, it, was = Health(RULE, clock), Health(RULE, clock), target(), target("was")
    for _ in range(3):
        call(old, it, "broken")
    call(old, was, "throttled", asked_s=5)
    clock.now += 6
    call(old, target("n"), "throttled", asked_s=30)
    for event in old.news():
        new.hear(event)
    assert new.again_s(it) == pytest.approx(4)
    assert new.rests_s(target("n"), told=True) == pytest.approx(30)
    assert new.rests_s(was) == 0


def test_old_news_of_a_closing_do_not_close_what_opened_since(clock):
    health, it = Health(RULE, clock), target()
    late = Event("closed", "a", "m", at=clock.now)
    clock.now += 1
    for _ in range(3):
        call(health, it, "broken")
    health.hear(late)
    assert health.standing(it) == "open"


def test_a_rest_that_the_provider_asked_for_is_another_than_a_guess(clock):
    """A guess is for the order alone."""
    health = Health(RULE, clock)
    call(health, target("said"), "throttled", asked_s=12)
    call(health, target("guessed"), "throttled")
    call(health, target("refused"), "our_credential")
    assert health.rests_s(target("said"), told=True) == 12
    assert health.rests_s(target("guessed"), told=True) == 0
    assert health.rests_s(target("guessed")) > 0
    assert health.rests_s(target("any")) > 0, "whose key was refused is asked last for all its models"
    assert health.rests_s(target("any"), told=True) == 0


async def test_several_keys_rest_in_all_workers(clock):
    """The pool that rests a key tells it; the same key rests in the other worker's pool."""
    pools = [KeyPool("a", "bearer", ["sk-1", "sk-2"], clock=clock) for _ in range(2)]
    one, other = (Health(RULE, clock) for _ in pools)
    for health, pool in zip((one, other), pools, strict=True):
        health.follow({"a": endpoint(credential=pool)}, RULE)
    told = []
    one.subscribe(told.append)
    one.subscribe(other.hear)
    unsigned = Unsigned("POST", "http://x", b"/", b"", b"")
    lines = await pools[0].sign(unsigned)
    await pools[0].refused(unsigned, Refusal(429, lines, b"{}", 30.0))
    assert [(event.key, event.until) for event in told] == [("key 1", 130.0)]
    assert pools[1].resting() == [("key 1", 130.0, "is over its limit")]
    assert "sk-" not in repr(told)
    newcomer = KeyPool("a", "bearer", ["sk-1", "sk-2"], clock=clock)
    third = Health(RULE, clock)
    third.follow({"a": endpoint(credential=newcomer)}, RULE)
    for event in one.news():
        third.hear(event)
    assert newcomer.resting() == pools[1].resting()


def test_a_reload_forgets_what_is_another_and_keeps_what_stays(clock):
    """A provider with a new address starts afresh; its neighbour's circuit stays open."""
    health, stays, goes = Health(RULE, clock), endpoint("stays"), endpoint("goes")
    health.follow({"stays": stays, "goes": goes}, RULE)
    for at in (stays, goes):
        for _ in range(3):
            call(health, target(at=at), "broken")
    health.follow({"stays": stays, "goes": endpoint("goes")}, RULE)
    assert health.standing(target(at=stays)) == "open"
    assert health.standing(target(at=endpoint("goes"))) == "closed"


def test_speed_is_measured_and_forgotten(clock):
    """The first token's time counts, decayed; a timeout counts with what was waited; a refusal says nothing."""
    health, quick, slow = Health(RULE, clock), target("quick"), target("slow")
    assert health.view(quick).ttft_s is None
    for _ in range(10):
        call(health, quick, None, 0.2)
        call(health, slow, "silent", 5.0)
    call(health, quick, "throttled")
    assert health.view(quick).ttft_s == pytest.approx(0.2)
    assert health.view(slow).ttft_s == pytest.approx(5.0)
    assert health.samples(quick) == (0.2,) * 10
    clock.now += 300
    assert health.view(slow).ttft_s < 0.01


def test_names_that_clients_choose_do_not_fill_the_memory(clock):
    """Twenty thousand models leave no more than the bounds; what is in flight stays."""
    health, kept = Health(RULE, clock), target("kept")
    health.began(kept)
    for i in range(20_000):
        call(health, target(f"model {i}"), "broken" if i % 2 else None)
    assert len(health.called()) <= 4096
    assert len(health.board.circuits) <= 4096
    assert health.in_flight(kept) == 1


def test_calls_without_a_model_open_no_endpoint(clock):
    """Files and batches have a circuit of their own."""
    health, files = Health(RULE, clock), target("")
    for _ in range(3):
        call(health, files, "broken")
    assert health.standing(files) == "open"
    assert health.standing(target("m")) == "closed"
    assert health.board.state("a", NO_MODEL).opened_at is not None
