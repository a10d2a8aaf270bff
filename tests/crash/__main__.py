"""`python -m tests.crash --rounds 200`: half of them over SQLite, half over a PostgreSQL and a Redis that die too."""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

from tests.crash.rounds import run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}")
    half = chosen.rounds if chosen.only else chosen.rounds // 2
    for database, rounds in ((False, half if chosen.only else chosen.rounds - half), (True, half)):
        if not rounds or chosen.only == ("sqlite" if database else "postgresql"):
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            seen = asyncio.run(
                run(Path(folder), rounds, seed=chosen.seed, database=database, tell=lambda line: print(line, flush=True))
            )
            print(f"{'PostgreSQL' if database else 'SQLite'}: {rounds} rounds in {time.monotonic() - began:.0f} s: {seen}")


if __name__ == "__main__":
    main()
