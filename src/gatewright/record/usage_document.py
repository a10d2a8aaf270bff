"""A report for programs: the same figures over HTTP, from the command line, and in a spreadsheet.

One rule: money is text with six decimals, for no float tells it exactly; what is not known is null.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from gatewright.jsontypes import JsonObject
from gatewright.record.fresh import Fresh
from gatewright.stores.ledger_rows import AXES

COLUMNS: Final = (
    "requests", "errors", "interrupted", "cache_hits", "attempts", "failed_attempts", *(f"{axis}_tokens" for axis in AXES),
    "estimated_attempts", "cost_usd", "unpriced_attempts", "mean_s", "mean_ttft_s",
)  # fmt: skip
"""Of each line, after what it is told apart by. Means are in seconds, to thousandths."""


def usd(micros: int) -> str:
    """`12.345678`."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), 1_000_000)
    return f"{sign}{whole}.{rest:06}"


def flat(sums: dict[str, int]) -> JsonObject:
    """The figures of one line, by `COLUMNS`. The cost is of the attempts that have a price; null where that is nothing."""
    told: JsonObject = {
        "requests": sums["requests"],
        "errors": sums["errors"],
        "interrupted": sums["interrupted"],
        "cache_hits": sums["hits"],
        "attempts": sums["attempts"],
        "failed_attempts": sums["failed"],
    }
    told |= {f"{axis}_tokens": sums[axis] for axis in AXES}
    nobody_knows = sums["unknown"] > 0 and sums["cost_micros"] == 0
    return told | {
        "estimated_attempts": sums["estimated"],
        "cost_usd": None if nobody_knows else usd(sums["cost_micros"]),
        "unpriced_attempts": sums["unknown"],
        "mean_s": _mean(sums["took_us"], sums["requests"]),
        "mean_ttft_s": _mean(sums["ttft_us"], sums["ttfts"]),
    }


def document(found: Fresh, *, first: int = 0, most: int | None = None) -> JsonObject:
    """All of it, or `most` lines from `first` on, with `next` where there are more."""
    report = found.report
    lines = report.lines[first:] if most is None else report.lines[first : first + most]
    after = first + len(lines)
    return {
        "object": "usage",
        "since": moment(report.query.since),
        "until": moment(report.query.until),
        "by": list(report.query.by),
        "as_of": datetime.fromtimestamp(found.as_of, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "complete": found.complete,
        "total": flat(report.total),
        "lines": [{**line.group, **flat(line.sums)} for line in lines],
        "next": str(after) if after < len(report.lines) else None,
    }


def moment(hour: int) -> str:
    """An hour since 1970, as ISO 8601 says it."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)).strftime("%Y-%m-%dT%H:%MZ")


def _mean(total_us: int, count: int) -> float | None:
    return round(total_us / count / 1e6, 3) if count else None
