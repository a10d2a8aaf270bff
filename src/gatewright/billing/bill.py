"""What a provider says was used: for each day and model the tokens, requests and cost that its export has.

One rule: what an export does not tell stays None, and is not compared; a column that cannot be read is an error, never a zero.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

MICROS: Final = 1_000_000
MOST_ROWS: Final = 2_000_000


class BadBill(ValueError):
    """The file is no export that is known, or says what cannot be; the message says where, and what was expected."""


class Entry(msgspec.Struct, kw_only=True):
    """One day of one model. None: the export does not tell."""

    requests: int | None = None
    read: int | None = None
    """Tokens of input, from and into caches included."""
    written: int | None = None
    """Tokens of output, reasoning included."""
    cost: Decimal | None = None
    """Dollars, as exactly as they were told."""

    def add(self, other: "Entry") -> None:
        self.requests = _added(self.requests, other.requests)
        self.read = _added(self.read, other.read)
        self.written = _added(self.written, other.written)
        if other.cost is not None:
            self.cost = other.cost if self.cost is None else self.cost + other.cost

    @property
    def micros(self) -> int | None:
        """Micro-dollars, rounded once."""
        return None if self.cost is None else int((self.cost * MICROS).to_integral_value())


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    """Which export it is, for people."""
    entries: dict[tuple[date, str], Entry]
    """By day (UTC) and model; the model is empty where the export does not tell models apart."""
    days: tuple[date, date]
    """The first and the last that it speaks of."""
    not_tokens: Decimal = Decimal(0)
    """Dollars for what is no model call, such as web searches and storage; not among the entries."""


class Row:
    """One line of the file."""

    def __init__(self, number: int, fields: Mapping[str, str]) -> None:
        self.number = number
        self.fields = fields

    def text(self, name: str) -> str:
        return (self.fields.get(name) or "").strip()

    def count(self, name: str) -> int | None:
        """None: there is no such column, or nothing in it. Raises BadBill."""
        text = self.text(name).replace(",", "")
        if not text:
            return None
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise self.bad(name, "a whole number") from None
        if not value.is_finite() or value != value.to_integral_value() or value < 0 or value > 1 << 53:
            raise self.bad(name, "a whole number")
        return int(value)

    def sum(self, *names: str) -> int | None:
        """Of all of these columns that tell something."""
        told = [n for name in names if (n := self.count(name)) is not None]
        return sum(told) if told else None

    def money(self, name: str) -> Decimal | None:
        """Dollars; credits are below 0. Raises BadBill."""
        text = self.text(name).replace("$", "").replace(",", "")
        if not text:
            return None
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise self.bad(name, "dollars") from None
        if not value.is_finite() or abs(value) > 10**9:
            raise self.bad(name, "dollars")
        return value

    def day(self, *names: str) -> date:
        """The day (UTC) of the first of these columns that tells one: a date, a time, or Unix seconds. Raises BadBill."""
        for name in names:
            if not (text := self.text(name)):
                continue
            if text.isdecimal():
                if len(text) > 11:
                    raise self.bad(name, "Unix seconds")
                return datetime.fromtimestamp(int(text), UTC).date()
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                raise self.bad(name, "a date") from None
            return moment.astimezone(UTC).date() if moment.tzinfo is not None else moment.date()
        raise BadBill(f"line {self.number}: there is no date in {' or '.join(names)}")

    def bad(self, name: str, expected: str) -> BadBill:
        return BadBill(f"line {self.number}, {name}: expected {expected}, got '{self.text(name)[:40]}'")


def rows_of(lines: Iterable[str]) -> tuple[frozenset[str], Iterator[Row]]:
    """The columns, and the rows. Tabs or semicolons may part them, too. Raises BadBill."""
    source = iter(lines)
    head = next(source, "").lstrip("\ufeff")
    delimiter = max((",", "\t", ";"), key=head.count)
    try:
        names = [name.strip().lower() for name in next(csv.reader([head], delimiter=delimiter), [])]
    except csv.Error as error:
        raise BadBill(f"line 1: {error}") from None
    if len(names) < 2:
        raise BadBill("this is no table with columns; expected the provider's export as CSV")
    if len(set(names)) != len(names):
        raise BadBill("two columns have the same name")

    def rows() -> Iterator[Row]:
        reader = csv.reader(source, delimiter=delimiter)
        try:
            for fields in reader:
                if reader.line_num > MOST_ROWS:
                    raise BadBill(f"the file has more than {MOST_ROWS} lines; export less at once")
                if any(fields):
                    yield Row(reader.line_num + 1, dict(zip(names, fields, strict=False)))
        except csv.Error as error:
            raise BadBill(f"line {reader.line_num + 1}: {error}") from None

    return frozenset(names), rows()


def billed(kind: str, told: Iterable[tuple[date, str, Entry]], not_tokens: Callable[[], Decimal] = Decimal) -> Bill:
    """Add up what rows tell. Raises BadBill."""
    entries: dict[tuple[date, str], Entry] = {}
    for day, model, entry in told:
        entries.setdefault((day, model), Entry()).add(entry)
    if not entries:
        raise BadBill("the export has no row that says anything was used")
    days = [day for day, _ in entries]
    return Bill(kind=kind, entries=entries, days=(min(days), max(days)), not_tokens=not_tokens())


_DATED: Final = re.compile(r"-(?:20\d{6}|20\d\d-\d\d-\d\d|latest)$")


def model_name(name: str) -> str:
    """By which models of the bill and of the ledger are the same: `Claude Sonnet 4.5`, `claude-sonnet-4-5-20250929`.

    A date at the end goes: a provider bills a name and its newest version as one. So do dots, which names have and ids have not.
    """
    plain = re.sub(r"[\s._]+", "-", name.strip().lower().rpartition("/")[2])
    return _DATED.sub("", plain.removeprefix("models-"))


def _added(left: int | None, right: int | None) -> int | None:
    return right if left is None else left if right is None else left + right
