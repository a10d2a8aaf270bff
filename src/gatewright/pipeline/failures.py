"""Failures in words: why a target was passed over, and the one error that is told when all have failed.

One rule: the failure that tells the client most leads, a hint when to come back outlives it, and every attempt is named.
"""

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from gatewright.errors import Problem, ProblemKind
from gatewright.exchange import AttemptRecord, Exchange, Reply
from gatewright.pipeline.endpoint import Candidate
from gatewright.providers.auth.client_key import ClientKey
from gatewright.routing.retry import Cause

PASSED_OVER: Final = frozenset(("open", "resting", "full"))
"""Causes of attempts that nobody made."""

_TELLING: tuple[ProblemKind, ...] = ("rate_limit", "overloaded", "timeout", "upstream", "billing", "conflict", "authentication")
"""Of several failures the first of these is shown: what passes by itself before what does not."""
_SHOWN: Final = 120
"""Characters of each failure in a list of them."""


class Failure(msgspec.Struct, frozen=True):
    """A candidate that did not answer."""

    candidate: Candidate
    record: AttemptRecord
    problem: Problem
    reply: Reply | None
    """As the client would see it, were it the only one. None: the candidate could not be asked this at all."""

    @property
    def made(self) -> bool:
        """Whether anybody was called; else the target was passed over."""
        return self.record.cause not in PASSED_OVER

    @property
    def cause(self) -> Cause:
        """What is to be decided by: a key that rests was throttled."""
        return "throttled" if self.record.cause == "resting" else cast("Cause", self.record.cause)


def is_open(candidate: Candidate, again_s: float) -> Problem:
    """The target's circuit is open, or its probes are out (`again_s` 0)."""
    return Problem(
        kind="overloaded",
        code="target_unavailable",
        message=f"{candidate.name} is left alone for {max(1.0, again_s):.0f} s more: its last calls have failed.",
        retry_after_s=max(1.0, again_s),
    )


def rests(candidate: Candidate, rests_s: float) -> Problem:
    """The target's key rests."""
    return Problem(
        kind="rate_limit",
        code="key_rests",
        message=f"{candidate.name}: its key is over its limit, and rests for {rests_s:.0f} s more.",
        retry_after_s=rests_s,
    )


def as_ours(candidate: Candidate, problem: Problem) -> Problem:
    """What a client is told where a provider has refused the operator's credential: no 401, for the client's own key is good.

    Where the client brought the provider's key itself, it is told what the provider says.
    """
    if problem.kind != "authentication" or isinstance(candidate.endpoint.credential, ClientKey):
        return problem
    name = candidate.endpoint.name
    told = f"{name} has refused the gateway's own credential for it"
    if problem.code == "credential_failed":
        told = problem.message.removesuffix(".")
    return Problem(
        kind="upstream",
        code="provider_credential_refused",
        message=f"{told}. That is for the gateway's operator to mend; your key is not meant.",
    )


def all_failed(failures: Sequence[Failure]) -> Problem | None:
    """The one error for several targets; None: there is but one, whose own last words are to be told."""
    names = dict.fromkeys(failure.candidate.name for failure in failures)
    asked = [failure for failure in failures if failure.made]
    if len(names) == 1 and (asked or len(failures) == 1):
        return None
    if not asked:
        return _none_asked(failures)
    ranked = sorted((failure.problem for failure in asked if failure.problem.kind in _TELLING), key=_rank)
    most = ranked[0] if ranked else asked[-1].problem  # of equals the first
    return Problem(
        kind=most.kind,
        status=most.status,
        message=f"All {len(names)} targets failed: {', '.join(_each(failures))}",
        code=most.code,
        retry_after_s=most.retry_after_s,
        headers=most.headers,
    )


def _rank(problem: Problem) -> int:
    return _TELLING.index(problem.kind)


def _none_asked(failures: Sequence[Failure]) -> Problem:
    """Nobody could be asked: 429 where only keys rest, else 503; and when the first of them may be."""
    limited = all(failure.record.cause == "resting" for failure in failures)
    told = dict.fromkeys(failure.problem.message for failure in failures)
    return Problem(
        kind="rate_limit" if limited else "overloaded",
        code="key_rests" if limited else "target_unavailable",
        message=f"No target can be asked now: {' '.join(told)}",
        retry_after_s=min(failure.problem.retry_after_s or 1.0 for failure in failures),
    )


def _each(failures: Sequence[Failure]) -> list[str]:
    """Every target with what it said, repetitions counted: `a/m 503 ×2 (try later)`. One that was asked was not passed over."""
    said = {failure.candidate.name for failure in failures if failure.made}
    same: dict[tuple[str, str], list[Failure]] = {}
    for failure in failures:
        if failure.made or failure.candidate.name not in said:
            same.setdefault(_said(failure), []).append(failure)
    told = []
    for (name, status), group in same.items():
        times = f" ×{len(group)}" if len(group) > 1 and status.isdigit() else ""
        told.append(f"{name} {status}{times} ({group[-1].problem.message.removeprefix(f'{name}: ')[:_SHOWN]})")
    return told


def _said(failure: Failure) -> tuple[str, str]:
    return failure.candidate.name, str(failure.problem.http_status) if failure.made else "not asked"


class _State(msgspec.Struct):
    """The field of a Responses request that makes a call leave something behind."""

    background: bool | None = None


_state = msgspec.json.Decoder(_State)


def leaves_work(exchange: Exchange) -> bool:
    """Whether the call begins work that goes on without the client: made twice, it would be done and paid for twice."""
    if exchange.dialect != "openai_responses" or b'"background"' not in exchange.call.body:
        return False
    try:
        return _state.decode(exchange.call.body).background is True
    except (msgspec.DecodeError, RecursionError):
        return False
