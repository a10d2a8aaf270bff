"""From the journal's entries to the ledger's rows, and to what they add to the hour. Pure, and done where nobody waits.

Tokens, by how the upstream told of them:

    told to the end          reported
    told in part, then cut   the last that was told, or what was seen of the answer if that is more: estimated
    not told                 about a token for four bytes: estimated
    refused, or not sent     none: nobody is billed for that

One rule: a request's tokens and its cost are the sum of its attempts', and the hour's are the sum of the requests'.
"""

from collections.abc import Callable, Iterable
from typing import Final, Protocol, TypeAlias

import msgspec

from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject
from gatewright.record.entries import HEDGE, RESUMED, SEARCHES, SENT, Begun, Settled, Tried, Who
from gatewright.stores.ledger_rows import AXES, MEASURES, READ, Batch, InFlight, Row

HOUR_US: Final = 3_600_000_000
Axes: TypeAlias = tuple[int | None, ...]
NOTHING: Final[Axes] = (None,) * len(AXES)
RESERVATION: Final = "reservation"
"""The `price_source` of what was interrupted: what was reserved for it."""
UNBILLED: Final = "unbilled"
"""The `price_source` of what nobody is billed for."""

_MEASURE: Final = {name: i for i, name in enumerate(MEASURES)}
_REQUESTS, _ERRORS, _INTERRUPTED, _STREAMS, _ATTEMPTS, _FAILED, _ESTIMATED, _COST, _UNKNOWN, _TOOK, _TTFT, _TTFTS = (
    _MEASURE[name]
    for name in (
        "requests", "errors", "interrupted", "streams", "attempts", "failed", "estimated", "cost_micros", "unknown", "took_us",
        "ttft_us", "ttfts",
    )
)  # fmt: skip
_AXES: Final = _MEASURE[AXES[0]]
_WEIGHT: Final = {"": 0, "reported": 1, "estimated": 2}


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
    return _UNKNOWN_COST


_UNKNOWN_COST: Final = Cost()
_NO_COST: Final = Cost(0, UNBILLED)


class _Place(msgspec.Struct, eq=False):
    """Where in the hour something is added."""

    who: tuple[str, ...]
    target: str
    provider: str
    model: str
    sums: list[int]
    """In the order of `MEASURES`."""


class Rows:
    """Collects one batch."""

    def __init__(self, journal: str, price: Pricer) -> None:
        self.batch = Batch(journal=journal)
        self._price = price
        self._begun: dict[str, Begun] = {}
        self._places: dict[tuple[object, ...], _Place] = {}

    def begun(self, entry: Begun) -> None:
        self._begun[entry.id] = entry

    def settled(self, entry: Settled, *, in_flight: bool) -> None:
        """`in_flight`: it stands in the tables as a request that runs."""
        batch, attempts, at = self.batch, entry.attempts, entry.at
        if self._begun.pop(entry.id, None) is None and in_flight:
            batch.landed.append(entry.id)
        hour = at // HOUR_US
        status_class = entry.status // 100
        place = self._place(entry, hour, status_class, entry.served or (attempts[-1].target if attempts else ""))
        ttft_us: int | None = None
        upstream = tier = read = written = source = dated = ""
        sums, cost = NOTHING, 0
        known = True
        for number, one in enumerate(attempts, 1):
            there = place if one.target == place.target else self._place(entry, hour, status_class, one.target)
            axes, how_read, how_written = tokens_of(entry, one)
            micros, source_of, dated_of = (
                (one.cost, one.price_source, one.price_date)
                if one.price_source
                else self._cost(entry, one, there, axes, estimated="estimated" in (how_read, how_written))
            )
            marks, cause = one.marks, one.cause
            batch.attempts.append((
                entry.id, number, at + one.after_us, hour, there.provider, there.model, one.dialect, one.status, one.stage, cause,
                one.message, marks & SENT, 1 if marks & HEDGE else 0, 1 if marks & RESUMED else 0, *axes, how_read, how_written,
                one.tier, micros, source_of, dated_of, one.took_us, one.ttft_us, one.waited_us,
            ))  # fmt: skip
            _add_attempt(there.sums, axes, micros, failed=cause not in _WELL, guessed="estimated" in (how_read, how_written))
            sums = axes if number == 1 else _added(sums, axes)
            known = known and micros is not None
            cost += micros or 0
            upstream, tier, source, dated = one.dialect, one.tier or tier, source_of or source, dated_of or dated
            read, written = max(read, how_read, key=_WEIGHT.__getitem__), max(written, how_written, key=_WEIGHT.__getitem__)
            if one.ttft_us is not None:
                ttft_us = one.after_us + one.ttft_us
        lost = entry.lost
        batch.requests.append((
            entry.id, at, hour, *place.who, entry.operation, entry.route, entry.asked, place.provider, place.model, entry.client,
            upstream, 1 if entry.stream else 0, entry.status, entry.outcome, entry.error, *sums, read, written, tier,
            cost if known else None, source, dated, entry.reserved, entry.took_us, ttft_us, entry.cache, len(lost),
            "; ".join(lost) if lost else "", len(attempts), None, None, batch.journal,
        ))  # fmt: skip
        adds = place.sums
        adds[_REQUESTS] += 1
        adds[_TOOK] += entry.took_us
        adds[_ERRORS] += entry.outcome == "error"
        adds[_STREAMS] += entry.stream
        if ttft_us is not None:
            adds[_TTFT] += ttft_us
            adds[_TTFTS] += 1

    def interrupted(self, lost: Iterable[InFlight]) -> None:
        """Requests whose process died: what was reserved for them is what they are taken to have cost."""
        batch = self.batch
        for one in lost:
            hour = one.at // HOUR_US
            cost: Price = _UNKNOWN_COST if one.reserved is None else Cost(one.reserved, RESERVATION)
            if one.reserved is None and one.operation != "forward":
                cost = self._price(one.provider, one.model, Usage(input=one.input, output=0), one.at)
            axes: Axes = (one.input, *NOTHING[1:])
            read = "" if one.input is None else "estimated"
            tokens: Row = (*axes, read, "", "", cost.micros, cost.source, cost.dated)
            who = (one.key_id, one.key_name, one.user, one.team, one.organization)
            batch.attempts.append((
                one.id, 1, one.at, hour, one.provider, one.model, one.upstream, 0, "waiting", "interrupted", "", SENT, 0, 0,
                *tokens, 0, None, 0,
            ))  # fmt: skip
            batch.requests.append((
                one.id, one.at, hour, *who, one.operation, one.route, one.asked, one.provider, one.model, one.client,
                one.upstream, one.stream, 0, "interrupted", "interrupted", *tokens, one.reserved, 0, None, "", 0, "", 1,
                None, None, batch.journal,
            ))  # fmt: skip
            sums = self._sums((hour, *who, one.operation, one.route, one.provider, one.model, 0, ""))
            _add_attempt(sums, axes, cost.micros, failed=True, guessed=read != "")
            sums[_REQUESTS] += 1
            sums[_INTERRUPTED] += 1
            sums[_STREAMS] += one.stream
            batch.landed.append(one.id)

    def done(self) -> Batch:
        """The batch, with those that began in it and have not ended."""
        for entry in self._begun.values():
            who = _who(entry.who)
            provider, _, model = entry.target.partition("/")
            self.batch.in_flight.append(
                InFlight(
                    id=entry.id,
                    at=entry.at,
                    key_id=who.key_id,
                    key_name=who.key_name,
                    user=who.user,
                    team=who.team,
                    organization=who.organization,
                    operation=entry.operation,
                    route=entry.route,
                    asked=entry.asked,
                    provider=provider,
                    model=model,
                    client=entry.client,
                    upstream=entry.upstream,
                    stream=int(entry.stream),
                    input=entry.input,
                    reserved=entry.reserved,
                )
            )
        self._begun = {}
        return self.batch

    def _place(self, entry: Settled, hour: int, status_class: int, target: str) -> _Place:
        key = (bytes(entry.who), hour, entry.operation, entry.route, target, status_class, entry.cache)
        found = self._places.get(key)
        if found is None:
            who = msgspec.structs.astuple(_who(entry.who))
            provider, _, model = target.partition("/")
            dims = (hour, *who, entry.operation, entry.route, provider, model, status_class, entry.cache)
            found = self._places[key] = _Place(who, target, provider, model, self._sums(dims))
        return found

    def _sums(self, dims: tuple[object, ...]) -> list[int]:
        return self.batch.rollups.setdefault(dims, [0] * len(MEASURES))

    def _cost(self, entry: Settled, one: Tried, there: _Place, axes: Axes, *, estimated: bool) -> tuple[int | None, str, str]:
        if axes is NOTHING and not one.raw:  # seconds of sound are told beside all axes
            price: Price = _UNKNOWN_COST if is_billed(entry, one) else _NO_COST
        else:
            usage = Usage(
                input=axes[0],
                cache_read=axes[1],
                cache_write_5m=axes[2],
                cache_write_1h=axes[3],
                audio_in=axes[4],
                output=axes[5],
                reasoning=axes[6],
                audio_out=axes[7],
                service_tier=one.tier or None,
                searches=_searches(one.raw),
                raw={} if estimated else one.raw or {},
            )
            price = self._price(there.provider, there.model, usage, entry.at)
        return price.micros, price.source, price.dated


def _searches(raw: JsonObject | None) -> int | None:
    told = None if raw is None else raw.get(SEARCHES)
    return told if isinstance(told, int) else None


_WELL: Final = ("", "cancelled")


def _add_attempt(sums: list[int], axes: Axes, micros: int | None, *, failed: bool, guessed: bool) -> None:
    sums[_ATTEMPTS] += 1
    at = _AXES
    for n in axes:
        if n:
            sums[at] += n
        at += 1
    if micros is None:
        sums[_UNKNOWN] += 1
    else:
        sums[_COST] += micros
    sums[_FAILED] += failed
    sums[_ESTIMATED] += guessed


def _added(left: Axes, right: Axes) -> Axes:
    return tuple(b if a is None else a if b is None else a + b for a, b in zip(left, right, strict=True))


def is_billed(entry: Settled, one: Tried) -> bool:
    """Whether somebody may be billed for an attempt of which nothing was told."""
    if not one.marks & SENT or one.status >= 400:
        return False
    return entry.operation != "forward" or bool(entry.asked)  # files, lists of batches: they name no model, and cost nothing


def tokens_of(entry: Settled, one: Tried) -> tuple[Axes, str, str]:
    """Of one attempt, on every axis, and who says so: of what was read, and of what was written. `NOTHING`: there are none."""
    usage = one.usage
    if usage is not None and one.output < 0:
        return usage, "reported", "reported"
    if usage is None or usage == NOTHING:
        if entry.operation == "forward" or not is_billed(entry, one):
            return NOTHING, "", ""  # what an image or a minute of sound has in tokens, nobody can guess by its bytes
        return (max(one.input, 0), None, None, None, None, max(one.output, 0), None, None), "estimated", "estimated"
    read = "reported"
    axes = list(usage)
    if usage[:READ] == NOTHING[:READ]:
        axes[0], read = max(one.input, 0), "estimated"
    if entry.operation == "forward" and not one.cause:  # vectors and the like: nothing is written
        return tuple(axes), read, "" if usage[READ:] == NOTHING[READ:] else "reported"
    told = sum(n or 0 for n in usage[READ:])
    whole = not one.cause and usage[READ] is not None
    if not whole:
        axes[READ] = (usage[READ] or 0) + max(one.output - told, 0)
    return tuple(axes), read, "reported" if whole else "estimated"


def _who(raw: msgspec.Raw) -> Who:
    return msgspec.msgpack.decode(raw, type=Who)
