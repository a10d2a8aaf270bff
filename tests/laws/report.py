"""`python -m tests.laws.report` (`make laws`): cases × pairs × laws with violations counted; writes docs/dialects/losses.md.

`--case ID`, `--laws 15`, `--dialect NAME`, `--pair TEXT` narrow it down (and write nothing).
"""

import argparse
import collections
import itertools
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from gatewright.ir.blocks import DialectName
from tests.laws import cases, laws, losses
from tests.laws.dialects import DIALECTS
from tests.laws.finder import Violation
from tests.laws.seen import see

AT_HOME = "12346EPR"
ABROAD = "4567E"
"""Which laws a pair of dialects, or a dialect alone, is judged by."""


def judge(file: tuple[str, Path], which: str) -> list[Violation]:
    return laws.violations(see(*file), which)


def collect(
    only: str, which: str, dialect: str, places: tuple[str, ...]
) -> tuple[collections.Counter[DialectName], list[Violation]]:
    """Cases by dialect, and every violation. One process for each core."""
    files = [(place, path) for place, path in cases.files() if place in places and only in path.stem]
    files = [file for file in files if dialect in ("", cases.load(*file).dialect)]
    counted = collections.Counter(cases.load(*file).dialect for file in files)
    if len(files) < 20:
        return counted, [violation for file in files for violation in judge(file, which)]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        found = pool.map(judge, files, [which] * len(files), chunksize=16)
        return counted, [violation for each in found for violation in each]


def table(counted: collections.Counter[DialectName], found: list[Violation], which: str) -> Iterator[str]:
    """Pairs down, laws across, violations in the cells; `·` where a law does not judge the pair."""
    violated = collections.Counter((violation.pair, violation.law) for violation in found)
    columns = [law for law in laws.LAWS if law in which]
    yield f"{'origin → target':38}{'cases':>6}" + "".join(f"{'law ' + law:>7}" for law in columns)
    for origin, name in itertools.product(DIALECTS, DIALECTS):
        if counted[origin]:
            pair, judged = (origin, AT_HOME) if origin == name else (f"{origin}→{name}", ABROAD)
            cells = "".join(f"{violated[pair, law] if law in judged else '·':>7}" for law in columns)
            yield f"{origin + ' → ' + name if origin != name else origin + ' (at home)':38}{counted[origin]:>6}{cells}"


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
    print(f"{sum(counted.values())} cases {dict(counted)}; {len(found)} violations in {seconds:.0f} s")
    print("\n".join(table(counted, found, told.laws)))
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
