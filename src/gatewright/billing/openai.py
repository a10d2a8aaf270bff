"""OpenAI's exports of usage and of costs, from https://platform.openai.com/usage (Export).

    usage   start_time, …, num_model_requests, model, input_tokens, output_tokens, …     input_tokens has the cached ones in it
    costs   start_time, …, amount_value, amount_currency, line_item, …                   line_item: `gpt-5-2025-08-07, input`

One rule: days are UTC's, as OpenAI's are. Rows without figures stand for days without use.
https://help.openai.com/en/articles/8554956-understanding-your-api-usage
"""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Final

from gatewright.billing.bill import BadBill, Bill, Entry, Row, billed, model_name, rows_of

EXPECTED: Final = (
    "expected an export of OpenAI: of usage (start_time, model, input_tokens, output_tokens) "
    "or of costs (start_time, amount_value, line_item)"
)
_SERVICES: Final = ("web search", "file search", "code interpreter", "vector store", "storage", "assistants", "container")


def read(lines: Iterable[str]) -> Bill:
    """Raises BadBill."""
    names, rows = rows_of(lines)
    if {"input_tokens", "output_tokens"} <= names and names & {"model", "start_time"}:
        return billed("OpenAI's usage", _usage(rows))
    if "amount_value" in names:
        services = [Decimal(0)]
        return billed("OpenAI's costs", _costs(rows, services), lambda: services[0])
    if names <= {"start_time", "end_time", "start_time_iso", "end_time_iso"}:
        raise BadBill("the export has no figures: nothing was used in its time, or it was exported without any")
    raise BadBill(f"{EXPECTED}; got {', '.join(sorted(names)[:12])}")


def _usage(rows: Iterator[Row]) -> Iterator[tuple[date, str, Entry]]:
    for row in rows:
        entry = Entry(
            requests=row.count("num_model_requests"), read=row.count("input_tokens"), written=row.count("output_tokens")
        )
        if entry.requests or entry.read or entry.written:
            yield row.day("start_time_iso", "start_time"), model_name(row.text("model")), entry


def _costs(rows: Iterator[Row], services: list[Decimal]) -> Iterator[tuple[date, str, Entry]]:
    for row in rows:
        amount = row.money("amount_value")
        if amount is None:
            continue
        currency = row.text("amount_currency").lower()
        if currency not in ("", "usd"):
            raise BadBill(f"line {row.number}, amount_currency: expected usd, got '{currency[:20]}'")
        item = row.text("line_item")
        if any(word in item.lower() for word in _SERVICES):
            services[0] += amount
            continue
        yield row.day("start_time_iso", "start_time"), model_name(item.split(",")[0]), Entry(cost=amount)
