"""`python -m tests.laws.typed`: all that the vendors' types allow, through the laws; violations grouped."""

import argparse
import collections
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.laws import laws
from tests.laws.finder import Violation
from tests.laws.report import shape
from tests.laws.typed.judged import SIDES, every, judge


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.laws.typed")
    parser.add_argument("--dialect", default="")
    parser.add_argument("--side", default="", choices=("", *SIDES))
    parser.add_argument("--laws", default=laws.ALL)
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument("--quick", action="store_true", help="each definition once for each field that holds it")
    parser.add_argument("--limit", type=int, default=60)
    told = parser.parse_args()
    started = time.perf_counter()
    jobs = [
        (case, "".join(law for law in which if law in told.laws))
        for case, which in every(told.dialect, told.side, full=not told.quick)
    ]
    jobs = [job for job in jobs if told.case in job[0].id]
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        found = [v for each in pool.map(judge, *zip(*jobs, strict=True), chunksize=32) for v in each]
    print(f"{len(jobs)} cases, {len(found)} violations in {time.perf_counter() - started:.0f} s")
    groups: dict[tuple[str, str, str], list[Violation]] = collections.defaultdict(list)
    for violation in found:
        groups[violation.law, violation.pair, re.sub(r"some \w+", "…", shape(violation.what))].append(violation)
    for (law, pair, _), members in sorted(groups.items(), key=lambda group: -len(group[1]))[: told.limit]:
        print(f"{len(members):5} × law {law} {pair}: {members[0].what[:260]}   [{members[0].case[6:160]}]")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
