"""`make guards`: 10,000 and more random texts, split points and rules, and as many round trips and answers; SEED=N begins elsewhere.

The detectors of every kind that finds places in texts take part, on texts made of what they look for.
"""

import argparse
import random
import sys
import time

from tests.guards.kinds_cases import check_kind
from tests.guards.streaming import check_answer, check_round_trip, check_seams, check_window

CHECKS = {
    "windows": (check_window, "characters were held at most"),
    "blocks": (check_seams, "characters were held at most"),
    "round trips": (check_round_trip, "placeholders at most"),
    "answers": (check_answer, ""),
    "kinds": (check_kind, "characters were held at most"),
}


def main() -> None:
    words = argparse.ArgumentParser(prog="python -m tests.guards", description=__doc__)
    words.add_argument("--cases", type=int, default=10_000, help="of each check")
    words.add_argument("--seed", type=int, default=None)
    said = words.parse_args()
    first = random.randrange(1 << 30) if said.seed is None else said.seed
    print(f"seed {first}", flush=True)
    for name, (check, what) in CHECKS.items():
        began, most = time.monotonic(), 0
        for seed in range(first, first + said.cases):
            try:
                most = max(most, int(check(seed)))
            except AssertionError as error:
                print(f"{name}, seed {seed}: {error}")
                sys.exit(1)
        print(
            f"{name}: {said.cases:,} cases hold; {f'{most} {what}; ' if what else ''}{time.monotonic() - began:.1f} s", flush=True
        )


if __name__ == "__main__":
    main()
