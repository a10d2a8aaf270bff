"""`make bench`: CPU of the gateway's whole process tree per request and per event, beside nginx's, in one interleaved run."""

import argparse
import datetime as dt
import statistics
from typing import Any

from bench.kit import WORK, measure, need

TARGETS: tuple[tuple[str, str, str, str, float], ...] = (
    ("1 KB chat", "plain1k", "plain1k", "cpu_us_req", 3.0),
    ("20 KB body", "plain20k", "plain20k", "cpu_us_req", 3.5),
    ("stream, one event per wake-up", "paced", "paced", "cpu_us_ev", 1.8),
    ("the same, OpenAI to Anthropic", "tpaced", "paced", "cpu_us_ev", 2.0),
    ("bulk stream copy", "burst", "burst", "cpu_us_ev", 1.6),
    ("bulk translation", "tburst", "burst", "cpu_us_ev", 5.5),
)
"""What, our scenario, nginx's scenario, the figure, at most so many times nginx."""
KB_PER_STREAM = 25.0
FULL = 4.5
"""1 KB chat with books, limits at three levels and a budget: at most so many times nginx."""


def median(rounds: list[dict[str, Any]], figure: str) -> float:
    return statistics.median(r.get(figure) or 0 for r in rounds)


def faults(rounds: list[dict[str, Any]]) -> int:
    """Answers that were not what they had to be: such a run measures nothing."""
    return sum(r["non200"] + r["connerr"] + r["short"] + r["err"] for r in rounds)


def table(raw: dict[str, Any]) -> list[str]:
    """Markdown rows: what, ours, nginx's, ratio, target, verdict."""
    ours, theirs = raw["gatewright"], raw["nginx"]
    rows = ["| | gatewright µs | nginx µs | ratio | target | |", "|---|--:|--:|--:|--:|---|"]
    for what, scenario, beside, figure, limit in TARGETS:
        if scenario not in ours or beside not in theirs:
            continue
        mine, nginx = median(ours[scenario], figure), median(theirs[beside], figure)
        ratio = mine / nginx if nginx else float("inf")
        verdict = "holds" if ratio <= limit else "**missed**"
        if bad := faults(ours[scenario]):
            verdict = f"**{bad} faulty answers**"
        rows.append(f"| {what} | {mine:.1f} | {nginx:.1f} | {ratio:.2f} | {limit} | {verdict} |")
    if "hold" in ours:
        held = ours["hold"][0]
        kb = held["kb_per_stream"]
        verdict = "holds" if kb <= KB_PER_STREAM else "**missed**"
        rows.append(f"| KB per open stream ({held['open']} open) | {kb:.1f} | | | {KB_PER_STREAM:.0f} | {verdict} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--secs", type=float, default=2.0)
    parser.add_argument("--scen", default="plain1k,plain20k,paced,tpaced,burst,tburst,hold")
    arguments = parser.parse_args()
    need("nginx", "gcc", "taskset")
    raw = measure("nginx,gatewright", arguments.scen, rounds=arguments.rounds, seconds=arguments.secs, out=WORK / "figures.json")
    today = dt.datetime.now(tz=dt.UTC).date()
    print(f"\n{today}, `make bench`, {arguments.rounds} rounds of {arguments.secs} s, medians\n")
    print("\n".join(table(raw)))
    if "plain1k" in arguments.scen.split(","):
        out = WORK / "figures-full.json"
        raw = measure("nginx,gatewright", "plain1k", rounds=arguments.rounds, seconds=arguments.secs, out=out, kind="full")
        mine, nginx = (median(raw[name]["plain1k"], "cpu_us_req") for name in ("gatewright", "nginx"))
        verdict = "holds" if mine <= FULL * nginx else "**missed**"
        print(f"| 1 KB chat, all of it on | {mine:.1f} | {nginx:.1f} | {mine / nginx:.2f} | {FULL} | {verdict} |")


if __name__ == "__main__":
    main()
