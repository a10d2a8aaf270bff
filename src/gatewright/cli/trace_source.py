"""Which traces a command is about: the store that the configuration means, the filters, the one that is named.

One rule: the store is read, never written to; a gateway that runs does not notice.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

import msgspec
import typer

from gatewright.cli.source import give_up
from gatewright.config import Config
from gatewright.record.traces import Trace, TraceFilter, TraceStore

NOT_THERE: Final = 1
"""Exit code for a trace that is not there, and for a request that was refused."""
LAST: Final = "last"
"""In place of an id: the youngest."""

_AGO: Final = re.compile(r"(\d{1,6})\s*(s|min|m|h|d|w)")
_UNITS: Final = {"s": "seconds", "m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|min)?")
_IN_US: Final = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "min": 60_000_000, None: 1_000_000}


class BadOption(ValueError):
    """What an option says is none of what it may."""


def moment(text: str, now: datetime) -> int:
    """`15m`, `2h`, `7d` ago, a date or a time of ISO 8601 (UTC where it does not say), as microseconds since 1970."""
    text = text.strip()
    if not text:
        return 0
    try:
        ago = _AGO.fullmatch(text)
        then = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])}) if ago else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise BadOption(f"'{text[:40]}' is no time; expected 15m, 2h, 7d, 2026-11-01 or 2026-11-01T08:00Z") from None
    then = then.astimezone(UTC) if then.tzinfo is not None else then.replace(tzinfo=UTC)
    return int((then - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def span_us(text: str) -> int:
    """`250ms`, `5s`, `2m`; a bare number means seconds."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise BadOption(f"'{text[:40]}' is no duration; expected 250ms, 5s or 2m")
    return int(Decimal(found[1]) * _IN_US[found[2]])


def micros(text: str) -> int:
    """Dollars, as millionths."""
    try:
        value = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or not 0 <= value < 1_000_000_000:
        raise BadOption(f"'{text[:40]}' is no amount of dollars; expected 0.01")
    return int(value * 1_000_000)


def where(now: datetime | None = None, /, **said: str) -> TraceFilter:
    """The filter that options mean. Ends the command with what is wrong with them."""
    at = now or datetime.now(UTC)
    plain = {name: value for name, value in said.items() if name in TraceFilter.__struct_fields__}
    try:
        spans = {
            "since": moment(said.get("since", ""), at),
            "until": moment(said.get("until", ""), at),
            "min_cost_micros": micros(said.get("min_cost") or "0"),
            "min_took_us": span_us(said.get("min_duration") or "0"),
        }
        return msgspec.structs.replace(TraceFilter(), **{**plain, **spans})
    except BadOption as error:
        give_up(str(error))


@contextmanager
def opened(settings: Config) -> Iterator[TraceStore]:
    """The store. Ends the command where it cannot be asked."""
    from gatewright.stores.sealed import BadKey, secret_key  # noqa: PLC0415 - takes its time
    from gatewright.stores.sql import BadDatabase, DatabaseError  # noqa: PLC0415 - takes its time
    from gatewright.stores.traces import FILE, open_traces  # noqa: PLC0415 - takes its time
    from gatewright.tracing import place_of  # noqa: PLC0415 - takes its time

    folder = Path(settings.server.state_dir)
    place = place_of(settings)
    if "://" not in place and not (folder / FILE).exists():
        give_up(nothing_kept(settings))
    try:
        key = secret_key(folder, os.environ) if _has_key(folder) else b""
        store = open_traces(place, key)
    except (BadDatabase, BadKey) as error:
        give_up(str(error))
    try:
        yield store
    except DatabaseError as error:
        give_up(f"the traces cannot be read: {str(error).splitlines()[0]}")
    finally:
        store.close()


def _has_key(folder: Path) -> bool:
    """Whether there is a secret key: a command that only reads makes none."""
    from gatewright.stores.sealed import FILE_NAME, VARIABLE  # noqa: PLC0415 - takes its time

    return bool(os.environ.get(VARIABLE)) or (folder / FILE_NAME).exists()


def nothing_kept(settings: Config) -> str:
    return (
        f"no traces are kept in {settings.server.state_dir}: set `traces: {{enabled: true}}` in the configuration, "
        "restart the gateway and send a request"
    )


def one(store: TraceStore, name: str) -> Trace:
    """The trace of this id, `last` for the youngest. Ends the command where there is none."""
    wanted = name
    if name == LAST:
        youngest = store.list(limit=1).items
        if not youngest:
            typer.echo("there are no traces yet", err=True)
            raise typer.Exit(NOT_THERE)
        wanted = youngest[0].id
    found = store.get(wanted)
    if found is None:
        typer.echo(
            f"no trace {name}: its id is the x-request-id of its answer; `gatewright traces list` shows the last", err=True
        )
        raise typer.Exit(NOT_THERE)
    return found
