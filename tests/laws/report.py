"""`python -m tests.laws.report` (`make laws`): cases × pairs × laws with violations counted; writes docs/dialects/losses.md.

`--case ID`, `--laws 15`, `--dialect NAME`, `--pair TEXT` narrow it down (and write nothing).
"""

import argparse
import collections
import re
import sys
import time

from tests.laws import cases, laws, losses
from tests.laws.dialects import DIALECTS
from tests.laws.finder import Violation
from tests.laws.seen import see


def collect(only: str, which: str, dialect: str, places: tuple[str, ...]) -> tuple[collections.Counter[str], list[Violation]]:
    """Cases by dialect, and every violation."""
    counted: collections.Counter[str] = collections.Counter()
    found: list[Violation] = []
    for place, path in cases.files():
        if place not in places or (only and only not in path.stem):
            continue
        case = cases.load(place, path)
        if case.dialect not in DIALECTS or (dialect and case.dialect != dialect):
            continue
        counted[case.dialect] += 1
        found += laws.violations(see(place, path), which)
    return counted, found


def shape(what: str) -> str:
    """The sentence with its particulars taken out, for grouping."""
    what = re.sub(r"\[\d+\]", "[]", what)
    what = re.sub(r"'[^']*'|\"[^\"]*\"", "…", what)
    return re.sub(r"\d+", "#", what)[:160]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.laws.report")
    parser.add_argument("--case", default="", help="only cases whose file name contains this")
    parser.add_argument("--laws", default=laws.ALL)
    parser.add_argument("--dialect", default="", help="only cases of this origin")
    parser.add_argument("--pair", default="", help="only violations whose pair contains this")
    parser.add_argument("--corpus", action="store_true", help="only the project's own corpus")
    parser.add_argument("--limit", type=int, default=40, help="groups shown")
    told = parser.parse_args()
    started = time.perf_counter()
    places = ("corpus",) if told.corpus else ("corpus", "recordings")
    counted, found = collect(told.case, told.laws, told.dialect, places)
    found = [violation for violation in found if told.pair in violation.pair]
    seconds = time.perf_counter() - started
    print(f"cases: {dict(counted)}; {len(found)} violations in {seconds:.0f} s")
    table = collections.Counter((violation.pair, violation.law) for violation in found)
    for pair in sorted({violation.pair for violation in found}):
        print(f"  {pair:36}" + "".join(f"  law {law}: {table[pair, law]:<5}" for law in told.laws if table[pair, law]))
    if not (told.case or told.dialect or told.corpus):
        losses.write()
    if told.case:
        for violation in found[: told.limit]:
            print(violation.case, violation)
        return bool(found)
    groups: dict[tuple[str, str, str], list[Violation]] = {}
    for violation in found:
        groups.setdefault((violation.law, violation.pair, shape(violation.what)), []).append(violation)
    for (law, pair, _), members in sorted(groups.items(), key=lambda group: -len(group[1]))[: told.limit]:
        print(f"{len(members):5} × law {law} {pair}: {members[0].what[:220]}   [{members[0].case}]")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
