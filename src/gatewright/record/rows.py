"""From the journal's entries to the ledger's rows, and to what they add to the hour. Pure, and done where nobody waits.

Tokens, by how the upstream told of them:

    told to the end          reported
    told in part, then cut   the last that was told, or what was seen of the answer if that is more: estimated
    not told                 about a token for four bytes: estimated
    refused, or not sent     none: nobody is billed for that

One rule: a request's tokens and its cost are the sum of its attempts', and the hour's are the sum of the requests'.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol, TypeAlias

import msgspec

from gatewright.ir.response import Usage
from gatewright.record.entries import HEDGE, RESUMED, SENT, Begun, Settled, Tried, Who
from gatewright.stores.ledger_rows import AXES, MEASURES, READ, Batch, InFlight, Row

HOUR_US: Final = 3_600_000_000
NOTHING: Final[tuple[int | None, ...]] = (None,) * len(AXES)
RESERVATION: Final = "reservation"
"""The `price_source` of what was interrupted: what was reserved for it."""
UNBILLED: Final = "unbilled"
"""The `price_source` of what nobody is billed for."""


class Price(Protocol):
    """What something costs: `providers.pricing.Priced`."""

    @property
    def micros(self) -> int | None: ...
    @property
    def source(self) -> str: ...
    @property
    def dated(self) -> str: ...


Pricer: TypeAlias = Callable[[str, str, Usage, int], Price]
"""(provider, model, usage, microseconds since 1970) → its price."""


class Cost(msgspec.Struct, frozen=True):
    """A price, where nobody has one to ask."""

    micros: int | None = None
    source: str = ""
    dated: str = ""


def unpriced(_provider: str, _model: str, _usage: Usage, _at: int) -> Price:
    """For gateways without prices."""
    return Cost()


class Tokens(msgspec.Struct, frozen=True):
    axes: tuple[int | None, ...]
    read: str = ""
    """The source of the first `READ`: `reported`, `estimated`; empty: there are none."""
    written: str = ""

    @property
    def estimated(self) -> bool:
        return self.read == "estimated" or self.written == "estimated"


NO_TOKENS: Final = Tokens(NOTHING)


class Rows:
    """Collects one batch."""

    def __init__(self, journal: str, price: Pricer) -> None:
        self.batch = Batch(journal=journal)
        self._price = price
        self._whos: dict[bytes, Who] = {}
        self._begun: dict[str, Begun] = {}

    def begun(self, entry: Begun) -> None:
        self._begun[entry.id] = entry

    def settled(self, entry: Settled, *, in_flight: bool) -> None:
        """`in_flight`: it stands in the tables as a request that runs."""
        if self._begun.pop(entry.id, None) is None and in_flight:
            self.batch.landed.append(entry.id)
        who = self._who(entry.who)
        hour = entry.at // HOUR_US
        provider, _, model = (entry.served or (entry.attempts[-1].target if entry.attempts else "")).partition("/")
        rows = [self._tried(entry, one, number, hour) for number, one in enumerate(entry.attempts, 1)]
        first: Row = (
            _text(entry.id), entry.at, hour, *_who_of(who), entry.operation, _text(entry.route), _text(entry.asked),
            _text(provider), _text(model), entry.client, entry.attempts[-1].dialect if entry.attempts else "", int(entry.stream),
            entry.status, entry.outcome, _text(entry.error),
        )  # fmt: skip
        rest: Row = (
            entry.reserved, entry.took_us, _ttft(entry), entry.cache, len(entry.lost), _text("; ".join(entry.lost)),
            len(rows), None, None, self.batch.journal,
        )  # fmt: skip
        told = (int(entry.outcome == "error"), 0, int(entry.stream))
        self._add(first, rows, rest, entry.status // 100, told)

    def interrupted(self, lost: Iterable[InFlight]) -> None:
        """Requests whose process died: what was reserved for them is what they are taken to have cost."""
        for one in lost:
            provider, model = one.provider, one.model
            hour = one.at // HOUR_US
            read = None if one.input is None else "estimated"
            axes = (one.input, *NOTHING[1:])
            cost: Price = Cost(one.reserved, RESERVATION)
            if one.reserved is None and one.operation != "forward":
                cost = self._price(provider, model, Usage(input=one.input, output=0), one.at)
            tokens = (*axes, read or "", "", "", cost.micros, cost.source, cost.dated)
            attempt: Row = (
                one.id, 1, one.at, hour, provider, model, one.upstream, 0, "waiting", "interrupted", "", 1, 0, 0,
                *tokens, 0, None, 0,
            )  # fmt: skip
            who = Who(one.key_id, one.key_name, one.user, one.team, one.organization)
            first: Row = (
                one.id, one.at, hour, *_who_of(who), one.operation, one.route, one.asked, provider, model, one.client,
                one.upstream, one.stream, 0, "interrupted", "interrupted",
            )  # fmt: skip
            rest: Row = (one.reserved, 0, None, "", 0, "", 1, None, None, self.batch.journal)
            self._add(first, [attempt], rest, 0, (0, 1, one.stream))
            self.batch.landed.append(one.id)

    def done(self) -> Batch:
        """The batch, with those that began in it and have not ended."""
        for entry in self._begun.values():
            who = self._who(entry.who)
            provider, _, model = entry.target.partition("/")
            self.batch.in_flight.append(
                InFlight(
                    id=_text(entry.id),
                    at=entry.at,
                    key_id=_text(who.key_id),
                    key_name=_text(who.key_name),
                    user=_text(who.user),
                    team=_text(who.team),
                    organization=_text(who.organization),
                    operation=entry.operation,
                    route=_text(entry.route),
                    asked=_text(entry.asked),
                    provider=_text(provider),
                    model=_text(model),
                    client=entry.client,
                    upstream=entry.upstream,
                    stream=int(entry.stream),
                    input=entry.input,
                    reserved=entry.reserved,
                )
            )
        self._begun = {}
        return self.batch

    def _who(self, raw: msgspec.Raw) -> Who:
        key = bytes(raw)
        found = self._whos.get(key)
        if found is None:
            found = self._whos[key] = msgspec.msgpack.decode(key, type=Who)
        return found

    def _tried(self, entry: Settled, one: Tried, number: int, hour: int) -> Row:
        provider, _, model = one.target.partition("/")
        tokens = tokens_of(entry, one)
        cost = self._cost(entry, one, tokens, provider, model)
        marks = one.marks
        return (
            _text(entry.id), number, entry.at + one.after_us, hour, _text(provider), _text(model), one.dialect, one.status,
            one.stage, one.cause, _text(one.message), marks & SENT and 1, marks & HEDGE and 1, marks & RESUMED and 1,
            *tokens.axes, tokens.read, tokens.written, _text(one.tier), cost.micros, cost.source, cost.dated,
            one.took_us, one.ttft_us, one.waited_us,
        )  # fmt: skip

    def _cost(self, entry: Settled, one: Tried, tokens: Tokens, provider: str, model: str) -> Price:
        if one.price_source:
            return Cost(one.cost, one.price_source, one.price_date)
        if tokens is NO_TOKENS:
            billed = is_billed(entry, one)
            return Cost() if billed else Cost(0, UNBILLED)
        named = dict(zip(AXES, tokens.axes, strict=True))
        usage = Usage(
            input=named["input"],
            cache_read=named["cache_read"],
            cache_write_5m=named["cache_write_5m"],
            cache_write_1h=named["cache_write_1h"],
            audio_in=named["audio_in"],
            output=named["output"],
            reasoning=named["reasoning"],
            audio_out=named["audio_out"],
            service_tier=one.tier or None,
            raw={} if tokens.estimated else one.raw or {},
        )
        return self._price(provider, model, usage, entry.at)

    def _add(self, first: Row, attempts: list[Row], rest: Row, status_class: int, told: tuple[int, int, int]) -> None:
        """`told`: errors, interrupted, streams."""
        batch = self.batch
        sums: list[int | None] = list(NOTHING)
        cost: int | None = 0
        read = written = tier = source = dated = ""
        for row in attempts:
            for i in range(len(AXES)):
                n = row[_AT_AXES + i]
                if n is not None:
                    assert isinstance(n, int)
                    sums[i] = (sums[i] or 0) + n
            read = max(read, str(row[_AT_READ]), key=_WEIGHT.__getitem__)
            written = max(written, str(row[_AT_READ + 1]), key=_WEIGHT.__getitem__)
            tier = str(row[_AT_READ + 2]) or tier
            micros = row[_AT_COST]
            cost = None if cost is None or micros is None else cost + int(micros)
            source, dated = str(row[_AT_COST + 1]) or source, str(row[_AT_COST + 2]) or dated
        batch.attempts += attempts
        batch.requests.append((*first, *sums, read, written, tier, cost, source, dated, *rest))
        dims = (first[2], *first[3:10], first[11], first[12], status_class, rest[3])
        ttft = rest[2]
        self._roll(dims, {
            "requests": 1, "errors": told[0], "interrupted": told[1], "streams": told[2], "took_us": rest[1],
            "ttft_us": ttft or 0, "ttfts": int(ttft is not None),
        })  # fmt: skip
        for row in attempts:
            self._roll((*dims[:8], row[4], row[5], *dims[10:]), _measures(row))

    def _roll(self, dims: tuple[object, ...], adds: Mapping[str, object]) -> None:
        sums = self.batch.rollups.get(dims)
        if sums is None:
            sums = self.batch.rollups[dims] = [0] * len(MEASURES)
        for name, n in adds.items():
            assert isinstance(n, int)
            sums[_MEASURE[name]] += n


_MEASURE: Final = {name: i for i, name in enumerate(MEASURES)}
_WEIGHT: Final = {"": 0, "reported": 1, "estimated": 2}
_AT_AXES: Final = 14
_AT_READ: Final = _AT_AXES + len(AXES)
_AT_COST: Final = _AT_READ + 3
"""Where these stand in an attempt's row."""


def _measures(row: Row) -> dict[str, object]:
    micros = row[_AT_COST]
    adds: dict[str, object] = {axis: row[_AT_AXES + i] or 0 for i, axis in enumerate(AXES)}
    adds["attempts"] = 1
    adds["failed"] = int(row[9] not in ("", "cancelled"))
    adds["estimated"] = int(row[_AT_READ] == "estimated" or row[_AT_READ + 1] == "estimated")
    adds["cost_micros"] = micros or 0
    adds["unknown"] = int(micros is None)
    return adds


def is_billed(entry: Settled, one: Tried) -> bool:
    """Whether somebody may be billed for an attempt of which nothing was told."""
    if not one.marks & SENT or one.status >= 400:
        return False
    return entry.operation != "forward" or bool(entry.asked)  # files, lists of batches: they name no model, and cost nothing


def tokens_of(entry: Settled, one: Tried) -> Tokens:
    """Of one attempt, on every axis, and who says so."""
    usage = one.usage
    if usage is None or usage == NOTHING:
        if entry.operation == "forward" or not is_billed(entry, one):
            return NO_TOKENS  # what an image or a minute of sound has in tokens, nobody can guess by its bytes
        return Tokens((max(one.input, 0), None, None, None, None, max(one.output, 0), None, None), "estimated", "estimated")
    axes = list(usage)
    read, written = "reported", "reported"
    if usage[:READ] == NOTHING[:READ]:
        axes[0] = max(one.input, 0)
        read = "estimated"
    if one.output >= 0:
        told = sum(n or 0 for n in usage[READ:])
        if one.output > told or usage[READ] is None:
            axes[READ] = (usage[READ] or 0) + max(one.output - told, 0)
        written = "estimated"
    return Tokens(tuple(axes), read, written)


def _ttft(entry: Settled) -> int | None:
    """From the request's coming to the first content of the attempt that answered."""
    for one in reversed(entry.attempts):
        if one.ttft_us is not None:
            return one.after_us + one.ttft_us
    return None


def _who_of(who: Who) -> tuple[str, ...]:
    return _text(who.key_id), _text(who.key_name), _text(who.user), _text(who.team), _text(who.organization)


def _text(text: str) -> str:
    """PostgreSQL takes no NUL in a text."""
    return text.replace("\0", "�") if "\0" in text else text
