"""A circuit breaker: what has failed too often is left alone for a while, then asked by a few probes before all come back.

    closed ──too many failures──▶ open ──time──▶ half open ──enough good probes──▶ closed
                                   ▲                │
                                   └──a bad probe───┘   (longer each time)

One rule: what was let through under another state of the circuit says nothing of this one; an `episode` number tells them apart.
State is a value; each function returns the next one.
"""

import math
from typing import Final, Literal

import msgspec

from gatewright.routing.retry import Cause

Standing = Literal["closed", "open", "half_open"]
Outcome = Literal["success", "failure", "neutral"]
"""`neutral`: says nothing of the upstream's health, and only frees the place of a probe."""

OUTCOME_OF: Final[dict[Cause, Outcome]] = {
    "unreachable": "failure",
    "busy": "neutral",  # our own cap
    "silent": "failure",
    "stalled": "failure",
    "cut": "failure",
    "throttled": "neutral",  # cools the key, not the target
    "out_of_money": "neutral",
    "overloaded": "failure",
    "broken": "failure",
    "conflict": "neutral",
    "our_credential": "neutral",
    "client": "neutral",
    "filtered": "success",  # an answer
    "cancelled": "neutral",
    "ours": "neutral",
    "content": "neutral",
}
"""What a cause says of the upstream's health. For a failure after content, ask for the cause as of the stage `streaming`."""


class Rule(msgspec.Struct, frozen=True):
    in_a_row: int = 5
    """So many failures with no success between them open; more where they would come by chance."""
    share: float = 0.5
    """So large a share of failures opens, …"""
    least_calls: float = 20.0
    """… where so many calls are counted."""
    half_life_s: float = 30.0
    """A call this old counts half."""
    open_s: float = 10.0
    """Seconds that the first opening lasts; each further one twice as long, …"""
    longest_s: float = 300.0
    """… up to this."""
    probes: int = 1
    """Calls at once while half open."""
    closing: int = 2
    """Good probes that close."""
    probe_s: float = 120.0
    """A probe that has not been told of for so long has lost its place to another."""


class State(msgspec.Struct, frozen=True):
    """All that is remembered. The default is a fresh, closed circuit. Times are seconds of the caller's clock."""

    calls: float = 0.0
    """Decayed, as of `at`."""
    failures: float = 0.0
    at: float = 0.0
    in_a_row: int = 0
    opened_at: float | None = None
    """None: closed."""
    openings: int = 0
    """How often it has opened without a calm time since."""
    closed_at: float = 0.0
    episode: int = 0
    probes: tuple[float, ...] = ()
    """When the running probes began."""
    good: int = 0
    """Good probes since it became half open."""


class Permit(msgspec.Struct, frozen=True):
    """To make one call; given back by `tell`."""

    episode: int
    at: float


FRESH: Final = State()
_BY_CHANCE: Final = 1e-9
"""So unlikely a run of failures is no accident."""


def open_for_s(openings: int, rule: Rule) -> float:
    """Seconds that the given opening (1: the first) lasts."""
    return min(rule.longest_s, rule.open_s * 2.0 ** min(max(openings, 1) - 1, 60))


def standing(state: State, rule: Rule, now: float) -> Standing:
    """As of `now`. Time alone only ever turns open into half open."""
    if state.opened_at is None:
        return "closed"
    return "open" if now < state.opened_at + open_for_s(state.openings, rule) else "half_open"


def retry_after_s(state: State, rule: Rule, now: float) -> float:
    """Seconds until a probe may pass; 0 unless it is open."""
    return 0.0 if state.opened_at is None else max(0.0, state.opened_at + open_for_s(state.openings, rule) - now)


def admit(state: State, rule: Rule, now: float) -> tuple[Permit | None, State]:
    """A permit for one call, or None when it must not be made; and the next state. Every permit is to be told of."""
    match standing(state, rule, now):
        case "closed":
            return Permit(state.episode, now), state
        case "open":
            return None, state
        case "half_open":
            running = tuple(began for began in state.probes if began + rule.probe_s > now)
            if len(running) >= rule.probes:
                return None, state
            return Permit(state.episode, now), msgspec.structs.replace(state, probes=(*running, now))


def tell(state: State, rule: Rule, permit: Permit, outcome: Outcome, now: float) -> State:
    """The state after a permitted call ended so at `now`. What began in another episode, or lost its place, changes nothing."""
    if permit.episode != state.episode:
        return state
    if state.opened_at is None:
        return state if outcome == "neutral" else _counted(state, rule, outcome, now)
    if permit.at not in state.probes:
        return state
    place = state.probes.index(permit.at)
    state = msgspec.structs.replace(state, probes=state.probes[:place] + state.probes[place + 1 :])
    if outcome == "neutral":
        return state
    if outcome == "failure":
        return opened(state, now)
    if state.good + 1 < rule.closing:
        return msgspec.structs.replace(state, good=state.good + 1)
    return State(at=now, closed_at=now, openings=state.openings, episode=state.episode + 1)


def _counted(state: State, rule: Rule, outcome: Outcome, now: float) -> State:
    """A closed circuit after one more call; opened when that was one failure too many."""
    kept = 0.5 ** (max(0.0, now - state.at) / rule.half_life_s)
    calls, failures = state.calls * kept + 1.0, state.failures * kept
    at = max(now, state.at)
    calm = now - state.closed_at > rule.longest_s
    openings = 0 if calm else state.openings
    if outcome == "success":
        return State(calls, failures, at, 0, None, openings, state.closed_at, state.episode)
    failures += 1.0
    in_a_row = state.in_a_row + 1
    after = State(calls, failures, at, in_a_row, None, openings, state.closed_at, state.episode)
    too_many = in_a_row >= _run(rule, calls - in_a_row, failures - in_a_row)
    too_many = too_many or (calls >= rule.least_calls and failures >= rule.share * calls)
    return opened(after, now) if too_many else after


def _run(rule: Rule, calls: float, failures: float) -> float:
    """How many failures in a row say something, after so many others.

    Where three of ten calls fail anyhow, five in a row come by chance soon enough: what does not work always still works. So as
    many are needed as would come by chance once in a thousand million.
    """
    if calls < rule.least_calls or failures <= 0:
        return rule.in_a_row
    share = min(failures / calls, 0.99)
    return max(rule.in_a_row, math.log(_BY_CHANCE) / math.log(share))


def succeeded(state: State, rule: Rule, times: int, now: float) -> State:
    """A closed circuit after so many successes at `now`: what `tell` would have come to, one by one."""
    kept = 0.5 ** (max(0.0, now - state.at) / rule.half_life_s)
    openings = 0 if now - state.closed_at > rule.longest_s else state.openings
    at = max(now, state.at)
    return State(state.calls * kept + times, state.failures * kept, at, 0, None, openings, state.closed_at, state.episode)


def opened(state: State, now: float) -> State:
    """Opened at `now`, or once more if it was; also for what another worker has found out. Never shortens an opening."""
    return State(at=now, opened_at=now, openings=state.openings + 1, closed_at=state.closed_at, episode=state.episode + 1)
