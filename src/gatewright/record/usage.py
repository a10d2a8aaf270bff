"""Usage counters: tokens per key and model, in this process."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gatewright.errors import Problem
from gatewright.exchange import AttemptRecord, CacheUse, Exchange, Operation

MOST: Final = 16_384
"""Pairs of a key and a target that are told apart: clients choose the names of models."""
OTHERS: Final = "…"
"""The target of all further ones."""

_SPARED: Final[frozenset[CacheUse]] = frozenset(("hit", "coalesced"))
_BILLED: Final[tuple[Operation, ...]] = ("generate", "forward")


class Tally(msgspec.Struct, gc=False):
    """What one key used of one model since the start."""

    requests: int = 0
    errors: int = 0
    unknown: int = 0
    """Answered calls of a model whose upstream told no usage."""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    spared: int = 0
    """Requests that nobody was called for: their answer was kept, or came along with another's."""


class Calls(msgspec.Struct, gc=False):
    """Calls to one target for one key since the start, each of which the upstream may have billed."""

    sent: int = 0
    failed: int = 0
    hedges: int = 0
    """Sent while another call was silent."""


class UsageCounter:
    """Adds every settled exchange to its key's tally, and its attempts to the calls."""

    def __init__(self) -> None:
        self.tallies: defaultdict[tuple[str, str], Tally] = defaultdict(Tally)
        """By key and the target that answered."""
        self.calls: defaultdict[tuple[str, str], Calls] = defaultdict(Calls)
        """By key and the target that was called."""

    def settle(self, exchange: Exchange, status: int, problem: Problem | None) -> None:
        principal = exchange.principal
        if principal is None:
            return
        pair = (principal.name, exchange.served)
        attempts = exchange.attempts
        calls = self.calls.get(pair)
        if calls is not None and len(attempts) == 1 and (one := attempts[0]).sent and one.cause is None and one.target == pair[1]:
            calls.sent += 1  # as nearly all are
        else:
            self._count(principal.name, attempts)
        tally = self.tallies.get(pair) or self.tallies[_pair(self.tallies, *pair)]
        tally.requests += 1
        if exchange.cache and exchange.cache in _SPARED:
            tally.spared += 1
        if status >= 400 or problem is not None:
            tally.errors += 1
        usage = exchange.usage
        if usage is None:
            tally.unknown += status < 400 and exchange.model != "" and exchange.operation in _BILLED
            return
        cached, written = usage.cache_read, usage.cache_write_5m or usage.cache_write_1h
        if cached or written or usage.reasoning or usage.audio_in or usage.audio_out:
            tally.input_tokens += usage.total_input
            tally.output_tokens += usage.total_output
            tally.cached_tokens += cached or 0
        else:  # as nearly all are: the sums over all axes are these
            tally.input_tokens += usage.input or 0
            tally.output_tokens += usage.output or 0

    def _count(self, name: str, attempts: Sequence[AttemptRecord]) -> None:
        for attempt in attempts:
            if attempt.sent:
                calls = self.calls.get((name, attempt.target)) or self.calls[_pair(self.calls, name, attempt.target)]
                calls.sent += 1
                calls.failed += attempt.cause not in (None, "cancelled")
                calls.hedges += attempt.hedge


def _pair(known: Mapping[tuple[str, str], object], name: str, target: str) -> tuple[str, str]:
    """Under which one that is new is counted."""
    return name, target if len(known) < MOST else OTHERS
