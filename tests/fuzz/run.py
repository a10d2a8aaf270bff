"""The run: mutants one after another, each under a guard against hanging, memory watched over all of them.

One rule: a fault does not end the run; equal faults are one line of the closing table, with the number that makes it again.
"""

import gc
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from tests.fuzz.mutants import mutant, pools
from tests.fuzz.oracle import signature

HANG_S = 30.0
"""No mutant takes a hundredth of it; a machine under load takes ten times as long."""
CLIMB_BYTES = 64 << 20
"""How much the process may grow between the first quarter of a run and its end."""
WATCHED = 100
"""Samples of memory in a run."""


class Hang(BaseException):
    """A mutant took too long. Not an `Exception`: nothing may swallow it."""


@dataclass
class Tally:
    seed: int
    first: int = 0
    """Number of the first mutant."""
    done: int = 0
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(kind, dialect, what became of it) → how many."""
    faults: dict[str, list[int]] = field(default_factory=dict)
    """Signature → numbers of the mutants that showed it."""
    slowest: tuple[float, int] = (0.0, -1)
    rss: list[int] = field(default_factory=list)
    """Bytes resident, at equal steps through the run."""
    seconds: float = 0.0

    @property
    def climb(self) -> int:
        """Growth from the first quarter to the end, in bytes: caches are full and pools are warm by then."""
        return max(self.rss[-2:], default=0) - self.rss[len(self.rss) // 4] if len(self.rss) > 4 else 0


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _hang(_number: int, _frame: FrameType | None) -> None:
    raise Hang


def run(count: int, seed: int, *, first: int = 0, told: Callable[[Tally], None] = lambda _tally: None) -> Tally:
    """Judge `count` mutants from number `first` on."""
    tally = Tally(seed, first)
    pools()
    started = time.perf_counter()
    before = signal.signal(signal.SIGALRM, _hang)
    step = max(1, count // WATCHED)
    try:
        for number in range(first, first + count):
            judge(tally, number)
            tally.done += 1
            if tally.done % step == 0:
                gc.collect()
                tally.rss.append(resident())
                tally.seconds = time.perf_counter() - started
                told(tally)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    tally.seconds = time.perf_counter() - started
    return tally


def judge(tally: Tally, number: int) -> None:
    """Make one mutant, judge it, and note what became of it."""
    one = mutant(tally.seed, number)
    began = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        outcome = one.judge()
    except Hang as error:
        outcome = "HANG"
        tally.faults.setdefault(signature(error), []).append(number)
    except Exception as error:
        outcome = "FAULT"
        tally.faults.setdefault(f"{one.kind} {one.dialect}: {signature(error)}", []).append(number)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    tally.slowest = max(tally.slowest, (time.perf_counter() - began, number))
    tally.outcomes[one.kind, one.dialect, outcome] += 1


def merged(tallies: list[Tally]) -> Tally:
    """The sum of runs that went side by side, each in a process of its own."""
    total = Tally(tallies[0].seed, tallies[0].first)
    for one in tallies:
        total.done += one.done
        total.outcomes += one.outcomes
        for words, numbers in one.faults.items():
            total.faults.setdefault(words, []).extend(numbers)
    total.slowest = max(one.slowest for one in tallies)
    total.seconds = max(one.seconds for one in tallies)
    total.rss = [sum(levels) for levels in zip(*(one.rss for one in tallies), strict=False)]
    return total


def table(tally: Tally) -> str:
    """The closing table."""
    lines = [
        f"{tally.done} mutants, seed {tally.seed}, {tally.seconds:.0f} s ({tally.done / max(tally.seconds, 0.001):.0f}/s)",
        "",
    ]
    by_kind: dict[tuple[str, str], dict[str, int]] = {}
    for (kind, dialect, outcome), n in tally.outcomes.items():
        by_kind.setdefault((kind, dialect), {})[outcome] = n
    lines.append(f"{'kind':8} {'dialect':17} {'mutants':>8}  what became of them")
    for (kind, dialect), outcomes in sorted(by_kind.items()):
        told = ", ".join(f"{word} {n}" for word, n in sorted(outcomes.items(), key=lambda pair: -pair[1]))
        lines.append(f"{kind:8} {dialect:17} {sum(outcomes.values()):>8}  {told}")
    lines += [
        "",
        f"faults: {sum(map(len, tally.faults.values()))} of {len(tally.faults)} sorts",
        f"slowest mutant: {tally.slowest[0] * 1000:.0f} ms (number {tally.slowest[1]})",
    ]
    if tally.rss:
        quarter = tally.rss[len(tally.rss) // 4]
        lines.append(
            f"memory: {quarter >> 20} MB after a quarter, {tally.rss[-1] >> 20} MB at the end, {max(tally.rss) >> 20} MB at most"
        )
    for words, numbers in sorted(tally.faults.items(), key=lambda pair: -len(pair[1])):
        lines.append(f"  {len(numbers):>6} x {words}   [{', '.join(map(str, numbers[:3]))}]")
    return "\n".join(lines)
