"""Every recording, captured for a client of every dialect, as a case under all laws: `python -m tests.traces`.

`--clients anthropic,gemini`, `--dialect openai_chat`, `--most N`, `--laws 123` narrow it down. Exit code 1 where a case breaks a law.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

from tests.laws import laws
from tests.traces.judging import Found, some
from tests.traces.replaying import CLIENTS, Asked, every


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.traces")
    parser.add_argument("--clients", default=",".join(CLIENTS))
    parser.add_argument("--dialect", default="")
    parser.add_argument("--place", default="recordings")
    parser.add_argument("--case", default="")
    parser.add_argument("--most", type=int)
    parser.add_argument("--every", type=int, default=1, help="only each Nth")
    parser.add_argument("--first", type=int, default=0, help="of those, beginning with this one")
    parser.add_argument("--laws", default=laws.ALL)
    parser.add_argument("--processes", type=int, default=2)
    told = parser.parse_args()
    began = time.perf_counter()
    exchanges = [e for e in every(place=told.place) if told.dialect in ("", e[2].dialect) and told.case in e[1].stem]
    chosen = islice(exchanges, told.first, told.most, told.every)
    wanted = [Asked(place, path, client) for place, path, _ in chosen for client in told.clients.split(",")]
    parts = [wanted[at : at + 50] for at in range(0, len(wanted), 50)]
    found = Found()
    with ProcessPoolExecutor(told.processes, mp_context=get_context("spawn")) as pool:
        for part in pool.map(some, parts, [told.laws] * len(parts)):
            found.cases += part.cases
            found.refused += part.refused
            found.redacted += part.redacted
            found.wrong += part.wrong
    print(found.told(), f"in {time.perf_counter() - began:.0f} s")
    print(*found.wrong[:200], sep="\n")
    return bool(found.wrong)


if __name__ == "__main__":
    sys.exit(main())
