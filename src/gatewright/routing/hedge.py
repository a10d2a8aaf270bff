"""When to ask a second target while the first is still silent, and how seldom at most.

One rule: hedges are paid for beforehand. Every request puts a share of its cost into a purse, and a hedge takes its own cost out:
hedges never cost more than that share of everything, plus what the purse holds at first.
Dean and Barroso, "The Tail at Scale", 2013: https://research.google/pubs/the-tail-at-scale/
"""

from typing import Final, Literal

import msgspec

Reason = Literal["hedge", "too early", "begun", "enough", "no other target", "not repeatable", "no time", "no purse"]


class Rule(msgspec.Struct, frozen=True):
    share: float = 0.05
    """Of the cost of all requests that hedges may add; 0: none."""
    purse: float = 10.0
    """The most that is saved up, in the unit of the costs (1 a request, or micro-dollars)."""
    percentile: float = 0.95
    """Of the target's own times to the first token: one slower than so many is hedged."""
    least_s: float = 0.5
    """Never sooner than this, …"""
    unknown_s: float = 10.0
    """… and after this where too little is known of the target."""
    hedges: int = 1
    """For one request."""


def saved(purse: float, rule: Rule, cost: float = 1.0) -> float:
    """The purse after a request of this cost began: its share is put in, up to the most."""
    return max(purse, min(rule.purse, purse + rule.share * cost))


def spent(purse: float, cost: float = 1.0) -> float | None:
    """The purse after a hedge of this cost; None: it does not hold so much."""
    return purse - cost if purse >= cost else None


SAMPLES: Final = 128
"""Times to the first token that are remembered of a target."""
ENOUGH: Final = 20
"""Below so many a percentile says nothing."""


def remembered(samples: tuple[float, ...], ttft_s: float) -> tuple[float, ...]:
    """With one more time to the first token, in seconds; the oldest falls out."""
    return (*samples[1 - SAMPLES :], ttft_s)


def delay_s(samples: tuple[float, ...], rule: Rule) -> float:
    """Seconds of silence after which a request to the target of these samples is worth a hedge."""
    if len(samples) < ENOUGH:
        return max(rule.least_s, rule.unknown_s)
    ranked = sorted(samples)
    return max(rule.least_s, ranked[min(len(ranked) - 1, int(rule.percentile * len(ranked)))])


class Running(msgspec.Struct, frozen=True):
    """A request that waits for its first content."""

    waited_s: float
    """Since its last attempt was sent."""
    delay_s: float
    """As `delay_s` told it for that attempt's target."""
    left_s: float
    """Until its deadline."""
    others: int
    """Targets not yet asked, whose circuits are closed."""
    hedges: int = 0
    """Made for it already."""
    begun: bool = False
    """Content has come."""
    repeatable: bool = True
    """False where a second call would leave a second trace: stored responses, background work, tools run by the provider."""


def may_hedge(running: Running, purse: float, rule: Rule, cost: float = 1.0) -> Reason:
    """`hedge`, or why not (yet). `cost`: of the second call, in the purse's unit; it is to be taken out by `spent`."""
    if running.begun:
        return "begun"
    if not running.repeatable:
        return "not repeatable"
    if running.hedges >= rule.hedges:
        return "enough"
    if running.others <= 0:
        return "no other target"
    if running.left_s <= 0:
        return "no time"
    if running.waited_s < running.delay_s:
        return "too early"
    return "no purse" if rule.share <= 0 or spent(purse, cost) is None else "hedge"
