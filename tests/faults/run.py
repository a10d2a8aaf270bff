"""Runs rows of the lab side by side, each worker with upstreams of its own, and compares what is seen with what must be."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from tests.faults.cells import Cell
from tests.faults.fates import Expected
from tests.faults.fault import Fault
from tests.faults.lab import Lab, Seen, differences, lab

WORKERS = 6
"""Rows at once: most of the time somebody waits for a timeout."""


class Outcome(NamedTuple):
    """Of one cell."""

    fault: Fault
    cell: Cell
    words: str
    """What was seen, as the table says it."""
    wrong: tuple[str, ...]


def _words(want: Expected, seen: Seen) -> str:
    calls = want.first
    if len(seen.settled) == 1:
        name = f"{seen.settled[0].exchange.model}-a/m"
        calls = sum(record.target == name for record in seen.settled[0].exchange.attempts)
    return Expected(seen.read.sight, seen.read.status, calls, seen.second).words


async def outcomes(plan: Sequence[tuple[Fault, Sequence[Cell]]]) -> list[Outcome]:
    """Every planned cell, in the order of the plan."""
    found: dict[int, list[Outcome]] = {}
    # Rows that wait go first, so that no worker is left alone with them; rows of many bytes last, when nobody's time is taken.
    order = sorted(range(len(plan)), key=lambda i: (plan[i][0].heavy, not plan[i][0].late, -plan[i][0].limit_s))

    async def work() -> None:
        async with lab() as one:
            while order:
                i = order.pop(0)
                found[i] = await _row(one, *plan[i])

    async with asyncio.TaskGroup() as group:
        for _ in range(min(WORKERS, len(plan))):
            group.create_task(work())
    return [outcome for i in sorted(found) for outcome in found[i]]


async def _row(one: Lab, fault: Fault, cells: Sequence[Cell]) -> list[Outcome]:
    seen = await one.row(fault, cells)
    told = []
    for cell in cells:
        want = fault.expected(cell.client, cell.upstream, safe=cell.safe)
        told.append(Outcome(fault, cell, _words(want, seen[cell]), tuple(differences(fault, cell, want, seen[cell]))))
    return told
