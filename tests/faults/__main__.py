"""`python -m tests.faults` (`make faults`): every fault × client × form × route, the table printed, docs/faults.md written.

`--only TEXT` runs the rows whose part or name holds it; `--some` the share that the test suite runs. Neither writes the page.
`--requests N`: how many the mixed run makes, and a fifth as many with breakers that never open and with streams
that are cut; 0 leaves them out. It runs on the loop that the gateway serves on, the test suite's share on asyncio's own.
"""

import argparse
import sys
import time
from pathlib import Path

import uvloop

from tests.faults import mixed, table
from tests.faults.cells import cells_of, some_of
from tests.faults.rows import ROWS
from tests.faults.run import outcomes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--only", default="", help="only rows whose part or name holds this")
    parser.add_argument("--some", action="store_true", help="only the share of cells that the test suite runs")
    parser.add_argument("--requests", type=int, default=10_000, help="requests of the mixed run")
    parser.add_argument("--seed", type=int, default=mixed.SEED)
    told = parser.parse_args()
    rows = [fault for fault in ROWS if told.only.lower() in f"{fault.part}: {fault.name}".lower()]
    plan = [(fault, some_of(fault, i) if told.some else list(cells_of(fault))) for i, fault in enumerate(rows)]
    started = time.perf_counter()
    found = uvloop.run(outcomes(plan))
    print(table.plain({(f"{o.fault.part}: {o.fault.name}", o.cell.name): o.words for o in found}, rows))
    wrong = [outcome for outcome in found if outcome.wrong]
    for outcome in wrong:
        print(f"\n{outcome.fault.part}: {outcome.fault.name} [{outcome.cell}]")
        print("".join(f"  {line}\n" for line in outcome.wrong), end="")
    print(f"\n{len(rows)} faults, {len(found)} cells, {len(wrong)} not as they must be, {time.perf_counter() - started:.0f} s")
    if not (wrong or told.only or told.some):
        PAGE.write_text(table.page(), encoding="utf-8")
    if not told.requests or told.only:
        return bool(wrong)
    tallies = [
        uvloop.run(mixed.run(told.requests, told.seed)),
        uvloop.run(mixed.run(told.requests // 5, told.seed, breaker=mixed.NO_CHANCE)),
        uvloop.run(mixed.run(told.requests // 5, told.seed, cuts=True)),
    ]
    for tally in tallies:
        print(tally.told())
    return bool(wrong or any(tally.wrong for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
