"""Anthropic's exports of usage and of costs, from the Claude Console's pages Usage and Cost (Export).

    usage   usage_date_utc, model_version, …, usage_input_tokens_no_cache, usage_input_tokens_cache_read, …, usage_output_tokens
    cost    usage_date_utc, model, …, token_type, cost_usd, list_price_usd, cost_type, …            model: `Claude Sonnet 4.5`

One rule: days are UTC's. What is billed is `cost_usd`, not the list price.
https://support.claude.com/en/articles/9534590-cost-and-usage-reporting-in-console
"""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Final

from gatewright.billing.bill import BadBill, Bill, Entry, Row, billed, model_name, rows_of

EXPECTED: Final = (
    "expected an export of Anthropic: of usage (usage_date_utc, model_version, usage_output_tokens) "
    "or of cost (usage_date_utc, model, cost_usd)"
)
_DATES: Final = ("usage_date_utc", "usage_hour_utc", "date")
_READ: Final = (
    "usage_input_tokens_no_cache", "usage_input_tokens_cache_write", "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h", "usage_input_tokens_cache_read",
)  # fmt: skip


def read(lines: Iterable[str]) -> Bill:
    """Raises BadBill."""
    names, rows = rows_of(lines)
    if "usage_output_tokens" in names:
        return billed("Anthropic's usage", _usage(rows))
    if "cost_usd" in names:
        services = [Decimal(0)]
        return billed("Anthropic's costs", _costs(rows, services), lambda: services[0])
    raise BadBill(f"{EXPECTED}; got {', '.join(sorted(names)[:12])}")


def _usage(rows: Iterator[Row]) -> Iterator[tuple[date, str, Entry]]:
    for row in rows:
        entry = Entry(read=row.sum(*_READ), written=row.count("usage_output_tokens"))
        if entry.read or entry.written:
            yield row.day(*_DATES), model_name(row.text("model_version") or row.text("model")), entry


def _costs(rows: Iterator[Row], services: list[Decimal]) -> Iterator[tuple[date, str, Entry]]:
    for row in rows:
        amount = row.money("cost_usd")
        if amount is None:
            continue
        kind = row.text("cost_type").lower()
        if kind not in ("", "token", "tokens") or (not row.text("model") and row.text("token_type")):
            services[0] += amount
            continue
        yield row.day(*_DATES), model_name(row.text("model")), Entry(cost=amount)
