"""What a check that gives no verdict means: nothing (fail open), or that nobody may pass (fail closed)."""

import logging
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from gatewright.guards.terms import Finding

log = logging.getLogger("gatewright")

OnFailure: TypeAlias = Literal[
    "closed",  # what could not be checked is found
    "open",  # it passes, and the log says so
]
UNANSWERED: Final = "unanswered"


class NoVerdict(Exception):
    """Why there is none, in words that hold no secret and no text."""


def without_verdict(on_failure: OnFailure, who: str, why: str, request_id: str) -> Sequence[Finding]:
    """The findings of a check that failed."""
    passes = "it passes" if on_failure == "open" else "it does not pass"
    log.warning("request %s: %s gave no verdict, %s: %s", request_id, who, passes, why)
    return () if on_failure == "open" else (Finding(kind=UNANSWERED, message=f"{who} gave no verdict: {why}"),)
