"""What follows a failed attempt: the same target again, the next one, or the end; and after how long.

`cause_of` names a failure, `POLICY` says for each cause which ways are open, best first, and `decide` takes the first that
targets, tries and the deadline allow.
One rule: once content has reached the client nothing is tried again; providers have no idempotency.
"""

from typing import Final, Literal

import msgspec

from gatewright.errors import Problem, ProblemKind, kind_of

Stage = Literal["connecting", "waiting", "answered", "streaming", "content"]
"""How far the attempt had come: nothing was sent; sent, and no head of an answer; a status of 400 or more; a good status and no
content yet; content is out."""

Cause = Literal[
    "unreachable",  # no connection: nothing was sent
    "busy",  # every connection of the endpoint is taken
    "silent",  # no head of an answer in time, or a 504
    "stalled",  # no content in time after a good head
    "cut",  # reset or closed before the end, or an answer that makes no sense
    "throttled",  # 429
    "out_of_money",  # insufficient_quota and its like: no waiting helps
    "overloaded",  # 503, 529, an overloaded_error in a stream
    "broken",  # 500, 502, an error in a stream that is nobody's fault but the upstream's
    "conflict",  # 408, 409: it asks for a repetition
    "our_credential",  # 401 to the operator's key: the client can do nothing about it
    "client",  # anything the client must mend, its own key among it
    "filtered",  # a refusal or a content filter: an answer, not a failure
    "cancelled",  # the client has left
    "ours",  # a bug of the gateway
    "content",  # content is out
]

Way = Literal["same", "next", "stop"]

POLICY: Final[dict[Cause, tuple[Way, ...]]] = {
    "unreachable": ("next", "same"),  # a host that refuses rarely takes the very next call
    "busy": ("next", "same"),
    "silent": ("next", "same"),
    "stalled": ("next", "same"),
    "cut": ("same", "next"),  # most often a connection that had been kept too long
    "throttled": ("next", "same"),
    "out_of_money": ("next",),
    "overloaded": ("next", "same"),
    "broken": ("same", "next"),
    "conflict": ("same", "next"),
    "our_credential": ("next",),
    "client": (),
    "filtered": (),
    "cancelled": (),
    "ours": (),
    "content": (),
}
"""The ways open after each cause, best first. None open, or none possible: stop."""

MONEY_CODES: Final = frozenset(
    ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance", "credit_balance_too_low")
)
"""Codes and types of a 429 that no waiting mends."""
FILTER_CODES: Final = frozenset(("content_filter", "content_policy_violation", "responsibleaipolicyviolation"))
"""Codes of a refusal of the content, in lower case."""

_CAUSE_OF: Final[dict[ProblemKind, Cause]] = {
    "invalid_request": "client",
    "authentication": "our_credential",
    "billing": "out_of_money",
    "permission": "client",  # OpenRouter's guardrails answer 403: another target must not be asked what one forbids
    "not_found": "client",
    "conflict": "conflict",
    "too_large": "client",
    "unprocessable": "client",
    "rate_limit": "throttled",
    "cancelled": "cancelled",
    "timeout": "silent",
    "internal": "ours",
    "upstream": "broken",
    "overloaded": "overloaded",
}
_BEFORE_A_STATUS: Final[dict[tuple[Stage, ProblemKind], Cause]] = {
    ("connecting", "timeout"): "unreachable",
    ("connecting", "upstream"): "unreachable",
    ("connecting", "overloaded"): "busy",
    ("waiting", "upstream"): "cut",
    ("streaming", "timeout"): "stalled",
}
"""What a kind means where no status came with it."""


def cause_of(problem: Problem, stage: Stage, *, clients_key: bool = False) -> Cause:
    """The cause of a failed attempt. `clients_key`: the call was made with a key that the client brought."""
    if stage == "content":
        return "content"
    words = {word.lower() for word in (problem.code, problem.type) if word}
    if words & FILTER_CODES:
        return "filtered"
    if words & MONEY_CODES:
        return "client" if clients_key else "out_of_money"
    if problem.code == "credential_failed" and problem.kind not in ("rate_limit", "billing"):
        return "our_credential"  # nothing was sent: the host had no part in it
    if problem.code == "stream_cut":
        return "cut"
    if problem.status == 408:
        return "conflict"
    cause = None if problem.status else _BEFORE_A_STATUS.get((stage, problem.kind))
    cause = cause or _CAUSE_OF[problem.kind]
    return "client" if clients_key and cause in ("our_credential", "out_of_money") else cause


def cause_of_status(status: int) -> Cause:
    """The cause that a bare HTTP status stands for, where no document came with it."""
    return "conflict" if status == 408 else _CAUSE_OF[kind_of(status)]


class Rule(msgspec.Struct, frozen=True):
    """How persistent a route is."""

    tries_each: int = 2
    """Attempts at one target in a row, the first counted."""
    tries_all: int = 6
    """Attempts at all targets together."""
    base_s: float = 0.25
    """The longest wait before the first repetition; it doubles with each."""
    cap_s: float = 8.0
    """The longest wait before any."""
    patience_s: float = 10.0
    """A target that asks for more than this is not waited for. Below the silence after which a stream's head goes out, behind
    which an error has no status any more; and clients of a minute's 429 know themselves when to come back."""


class Tried(msgspec.Struct, frozen=True):
    """Where a request stands after a failed attempt."""

    here: int
    """Attempts at this target in a row, at least 1."""
    all: int
    """Attempts at all targets."""
    others: int
    """Targets left to try after this one."""


class Decision(msgspec.Struct, frozen=True):
    way: Way
    wait_s: float = 0.0
    """Before the next attempt; 0 unless `way` is `same`."""
    why: str = ""
    """For the trace: the cause, and what closed the ways before this one."""


def decide(
    cause: Cause,
    tried: Tried,
    rule: Rule,
    *,
    now: float,
    deadline: float,
    chance: float,
    asked_s: float | None = None,
    may_repeat: bool = True,
) -> Decision:
    """What to do next.

    `now` and `deadline` are seconds of one clock: nothing begins at the deadline or after. `chance` is a number in [0, 1).
    `asked_s`: seconds that the upstream asked for (`retry_after_s`). `may_repeat`: false when it said `x-should-retry: false`.
    """
    ways = POLICY[cause]
    closed: list[str] = [cause]
    if ways and tried.all >= rule.tries_all:
        return Decision("stop", why=f"{cause}; {tried.all} attempts made")
    if ways and now >= deadline:
        return Decision("stop", why=f"{cause}; the time is up")
    for way in ways:
        if way == "next":
            if tried.others > 0:
                return Decision("next", why="; ".join(closed))
            closed.append("no other target")
            continue
        wait = wait_s(tried.here, rule, chance, asked_s)
        if not may_repeat:
            closed.append("the upstream wants no repetition")
        elif tried.here >= rule.tries_each:
            closed.append(f"{tried.here} attempts here")
        elif wait > rule.patience_s:
            closed.append(f"it asks for {asked_s:g} s")
        elif now + wait >= deadline:
            closed.append("the time would be up")
        else:
            return Decision("same", wait, "; ".join(closed))
    return Decision("stop", why="; ".join(closed))


def wait_s(tries: int, rule: Rule, chance: float, asked_s: float | None = None) -> float:
    """Seconds before the repetition that follows `tries` attempts (1: one was made).

    Full jitter: anything from nothing to twice as much as before.
    What the upstream asked for is waited for in full, and the jitter comes on top, or all would come back together.
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    longest = min(rule.cap_s, rule.base_s * 2.0 ** min(tries - 1, 60))
    return (asked_s or 0.0) + chance * longest
