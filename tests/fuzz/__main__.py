"""`python -m tests.fuzz --mutants 200000 --seed N`: the long run. `--only NUMBER` makes one mutant again and shows it.

One rule: the processes of `--jobs` share nothing; each has its own numbers, and the table is the sum.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz.mutants import mutant
from tests.fuzz.run import CLIMB_BYTES, Tally, merged, run, table

MANY = 10_000
"""A fault is shown when it is new, not with every step."""


def _told(tally: Tally) -> None:
    print(
        f"from {tally.first:>7}: {tally.done:>8} mutants  {tally.seconds:6.0f} s  {tally.rss[-1] >> 20:5} MB  {sum(map(len, tally.faults.values()))} faults",
        file=sys.stderr,
        flush=True,
    )
    for words, numbers in tally.faults.items():
        if len(numbers) == 1 and numbers[0] >= tally.first + tally.done - MANY:
            print(f"    {numbers[0]}: {words}", file=sys.stderr, flush=True)


def _share(count: int, seed: int, first: int) -> Tally:
    return run(count, seed, first=first, told=_told)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--mutants", type=int, default=200_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--only", type=int, help="make this mutant again, show it and let it fail")
    told = parser.parse_args()
    if told.only is not None:
        one = mutant(told.seed, told.only)
        print(one.kind, one.dialect, one.case, one.wire[:4000], sep="\n", flush=True)
        print(one.judge())
        return 0
    each = -(-told.mutants // told.jobs)
    with ProcessPoolExecutor(told.jobs) as pool:
        shares = [pool.submit(_share, each, told.seed, told.first + i * each) for i in range(told.jobs)]
        tally = merged([share.result() for share in shares])
    print(table(tally))
    return 1 if tally.faults or tally.climb > CLIMB_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
