"""Every recording, asked for by a client of every dialect, pushed to an Explorer and compared: `python -m tests.traces.pushes`.

Then those of Chat Completions, Anthropic and Gemini once more, at Invariant's own paths. `--clients anthropic,gemini`,
`--dialect openai_chat`, `--case NAME`, `--every N` narrow it down. Exit code 1 where a push differs from the reference's form.
"""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

from tests.traces.pushing import Pushes, some, some_at_the_paths
from tests.traces.replaying import CLIENTS, Asked, every


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.traces.pushes")
    parser.add_argument("--clients", default=",".join(CLIENTS))
    parser.add_argument("--dialect", default="", help="of the recording")
    parser.add_argument("--place", default="recordings")
    parser.add_argument("--case", default="")
    parser.add_argument("--every", type=int, default=1, help="only each Nth")
    parser.add_argument("--processes", type=int, default=2)
    told = parser.parse_args()
    began = time.perf_counter()
    exchanges = [e for e in every(place=told.place) if told.dialect in ("", e[2].dialect) and told.case in e[1].stem]
    chosen = list(islice(exchanges, 0, None, told.every))
    wanted = [Asked(place, path, client) for place, path, _ in chosen for client in told.clients.split(",")]
    found, at_paths = Pushes(), Pushes()
    with ProcessPoolExecutor(told.processes, mp_context=get_context("spawn")) as pool:
        for part in pool.map(some, [wanted[at : at + 50] for at in range(0, len(wanted), 50)]):
            found.add(part)
        for part in pool.map(some_at_the_paths, [chosen[at : at + 50] for at in range(0, len(chosen), 50)]):
            at_paths.add(part)
    print("ordinary paths:", found.told())
    print("Invariant's paths:", at_paths.told())
    print(f"in {time.perf_counter() - began:.0f} s")
    different = found.different + at_paths.different
    print(*different[:400], sep="\n")
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
