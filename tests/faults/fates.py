"""What must follow each cause of a failure, and so what a cell of the lab must show: written by hand, and never by the gateway.

One rule: an outcome is derived from the fault's cause, its status and the route alone; which dialects meet changes only a status.
"""

from typing import Final, NamedTuple

from gatewright.ir.blocks import DialectName
from gatewright.routing.retry import Cause
from tests.faults.reading import Sight


class Fate(NamedTuple):
    """With `tries_each: 2`."""

    alone: int
    """Calls of the only target there is, before the client is told."""
    before_next: int
    """Calls of the first target before the next is asked. 0: the next is never asked."""
    status: int
    """Told where the upstream gave none."""


FATES: Final[dict[Cause, Fate]] = {
    "unreachable": Fate(2, 1, 502),
    "silent": Fate(2, 1, 504),
    "stalled": Fate(2, 1, 504),
    "cut": Fate(2, 2, 502),
    "throttled": Fate(2, 1, 429),
    "out_of_money": Fate(1, 1, 402),
    "overloaded": Fate(2, 1, 503),
    "broken": Fate(2, 2, 502),
    "conflict": Fate(2, 2, 409),
    "our_credential": Fate(1, 1, 502),
    "client": Fate(1, 0, 400),
    "filtered": Fate(1, 0, 200),
    "content": Fate(1, 0, 200),
}

OWN_STATUS: Final[dict[tuple[DialectName, int], int]] = {("anthropic", 503): 529}
"""Where an API has another status for what no upstream gave a status to."""


class Expected(NamedTuple):
    """What one cell must show."""

    sight: Sight
    status: int
    first: int
    """Calls of the target under test."""
    second: int
    """Calls of the one behind it."""

    @property
    def words(self) -> str:
        """As the table says it."""
        calls = f" ×{self.first}" if self.first > 1 else "" if self.first else ", not asked"
        if self.second:
            return f"next{' after' if self.first > 1 else ''}{calls}"
        if self.sight == "answer":
            return "retried" if self.first > 1 else "answer"
        return f"{self.sight} {self.status}{calls}" if self.sight == "error" else f"{self.sight}{calls}"


def expected(
    cause: Cause | None,
    *,
    client: DialectName,
    safe: bool,
    status: int = 0,
    mends: bool = False,
    alone: int = 0,
    before_next: int | None = None,
    left_alone: int = 0,
    late: bool = False,
) -> Expected:
    """`cause` None: nothing is wrong. `safe`: there is a second target, and it works. `status`: as the upstream gave it; but that it
    refuses the operator's key is not told as it says it.

    `mends`: only the first call fails. `alone`, `before_next`: in place of the cause's own, where the upstream said more.
    `left_alone`: the first target is not asked; the status told where there is no other. `late`: the head of a stream is out.
    """
    if left_alone:
        return (
            Expected("answer", 200, 0, 1) if safe else Expected("error", OWN_STATUS.get((client, left_alone), left_alone), 0, 0)
        )
    if cause is None:
        return Expected("answer", 200, 1, 0)
    fate = FATES[cause]
    calls = alone or fate.alone
    until = fate.before_next if before_next is None else before_next
    if cause == "filtered":
        return Expected("withheld", 200, 1, 0)
    if cause == "content":
        return Expected("error event", 200, 1, 0)
    if mends and (calls if not safe else until) > 1:
        return Expected("answer", 200, 2, 0)
    if safe and until:
        return Expected("answer", 200, until, 1)
    if late:
        return Expected("error event", 200, calls if not safe else 1, 0)
    told = (0 if cause == "our_credential" else status) or OWN_STATUS.get((client, fate.status), fate.status)
    return Expected("error", told, calls if not safe else 1, 0)
