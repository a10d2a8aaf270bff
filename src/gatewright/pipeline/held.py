"""What one request holds of limits and budgets: told to its client, reckoned at its end, and let go.

    told ─▶ (outgrown: more is reserved, or the stream ends) ─▶ reckon ─▶ settle

One rule: every attempt counts that an upstream may bill, whatever became of it; what nobody was asked for costs nothing.
"""

import logging
import re
from collections.abc import Callable, Iterable
from typing import Final, Literal, Protocol

import msgspec

from gatewright.exchange import AttemptRecord, Exchange, Reply
from gatewright.ir.blocks import DialectName
from gatewright.ir.response import Usage
from gatewright.limits.meters import Claim, Meter
from gatewright.limits.windows import resets_us
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.estimate import input_tokens
from gatewright.pipeline.further import covers
from gatewright.pipeline.granted import Granted, Templates
from gatewright.pipeline.limit_words import shown_lines, template
from gatewright.pipeline.outgrown import MeteredSource
from gatewright.pipeline.sources import BaseSource
from gatewright.pipeline.translate import Dialects
from gatewright.stores.counters import Counters, Reserved, Vacated

log = logging.getLogger("gatewright")

_FOREIGN: Final = re.compile(rb"(?:x-ratelimit-|anthropic-ratelimit-)[^\r]*\r\n")
"""The provider's own limits, which mean nothing to whom ours apply."""


KEPT: Final = 4096
"""Targets whose names are remembered taken apart."""
_PARTS: Final[dict[str, tuple[str, str]]] = {}


class Price(Protocol):
    """What something costs: `providers.pricing.Priced`."""

    @property
    def micros(self) -> int | None:
        """None: no price is known."""
        ...

    @property
    def source(self) -> str: ...
    @property
    def dated(self) -> str: ...


class Prices(Protocol):
    """Whom the cost is asked of."""

    def price(self, provider: str, model: str, usage: Usage, at: int) -> Price:
        """`at`: microseconds since 1970."""
        ...

    def upper(self, candidate: Candidate, input_tokens: int, output_tokens: int, *, dear: bool = True) -> int | None:
        """The most that so many tokens may cost, in micro-dollars. None: no price is known.

        `dear`: sound, or a tier of service that costs more, may have been asked for.
        """
        ...

    def flat(self, candidate: Candidate) -> tuple[int, int, int, int, int] | None:
        """By what `upper` reckons, without sound or another tier: (until when, for a request, for a token read, for one written,
        and so many times micro-dollars these are). None: it depends.
        """
        ...


class Tell(Protocol):
    """Whom it is told that a budget comes to its end."""

    def __call__(self, meter: Meter, left: int, now: int) -> None: ...


class Ways(msgspec.Struct, frozen=True, eq=False):
    """What all requests that hold something share."""

    counters: Counters
    prices: Prices
    dialects: Dialects
    clock: Callable[[], int]
    """Microseconds since 1970."""
    tell: Tell | None = None
    on_outgrown: Literal["extend", "stop"] = "extend"


class Holding(msgspec.Struct, eq=False, gc=False):
    """Implements `exchange.Held`."""

    ways: Ways
    granted: Granted
    reads: int
    """Tokens, …"""
    writes: int
    """… tokens of output, …"""
    micros: int
    """… and micro-dollars that are reserved."""
    sure: bool
    """The answer cannot be longer."""
    taken: Reserved | None = None
    """Set when they have been granted; of who sits in a batch when somebody asks for it."""
    batch: Vacated | None = None
    """Where it sits."""
    _over: bool = False
    """It has left its seat."""
    _grown: int = 0
    """Of `writes`: what was added later."""
    _reads: int = 0
    _writes: int = 0
    _micros: int = 0

    @property
    def reserved(self) -> Reserved:
        if self.taken is None:
            batch = self.batch
            assert batch is not None
            self.taken = Reserved(batch.claims, batch.marks, batch.left, batch, open=not self._over)
        return self.taken

    @property
    def claims(self) -> list[Claim]:
        """What is reserved at first."""
        return self.granted.costs(self.reads, self.writes - self._grown, self.micros)

    def told(self, exchange: Exchange, reply: Reply) -> Reply:
        granted, batch = self.granted, self.batch
        lines = None if batch is None else batch.lines.get(exchange.dialect)
        if lines is None:
            lines = self._lines(self.reserved, exchange.dialect)
            if batch is not None:
                batch.lines[exchange.dialect] = lines
        if granted.shown and reply.headers.find(b"ratelimit-") >= 0:
            reply.headers = _FOREIGN.sub(b"", reply.headers)
        reply.headers += lines
        source = reply.source
        if source is not None and granted.has_money and not self.sure and isinstance(source, BaseSource) and not source.ended:
            reply.source = MeteredSource(source, self, exchange, self.ways.dialects[exchange.dialect])
        return reply

    def _lines(self, reserved: Reserved, dialect: DialectName) -> bytes:
        """The header lines that tell of limits and budgets."""
        granted, left, ways = self.granted, reserved.left, self.ways
        amounts, lines = granted.amounts, b""
        shown = granted.templates.get(dialect)
        if shown is None:
            shown = granted.templates[dialect] = _templates(granted, dialect)
        for places, templates in shown:
            which, at = 0, places[0]
            for other, i in enumerate(places[1:], 1) if len(places) > 1 else ():  # of each unit the limit that is used up most
                if left[i] * amounts[at] < left[at] * amounts[i]:
                    which, at = other, i
            if line := templates[which]:
                lines += line % left[at]
            else:
                meter, now = granted.meters[at], ways.clock()
                lines += shown_lines(meter, left[at], resets_us(meter, reserved.marks[at], now), now, dialect)
        for i, alarm in granted.alarms:
            if left[i] <= alarm:
                lines += self._budget_line(ways.clock())
                break
        return lines

    def budget_left(self) -> int | None:
        """Micro-dollars that the tightest budget had left when this was reserved. None: there is none that stops anybody."""
        left = [
            self.reserved.left[i] for i in self.granted.budgets if self.granted.meters[i].bound == self.granted.meters[i].amount
        ]
        return min(left, default=None)

    def _budget_line(self, now: int) -> bytes:
        """Told from the first soft threshold on: the budget that is used up most."""
        most = 0.0
        for i in self.granted.budgets:
            meter = self.granted.meters[i]
            left = self.reserved.left[i] - meter.bound + meter.amount
            soft = meter.soft_left
            if soft is not None and left <= soft:
                most = max(most, 1 - left / meter.amount)
                if self.ways.tell is not None:
                    self.ways.tell(meter, left, now)
        return b"x-gatewright-budget: %d%%\r\n" % int(most * 100) if most else b""

    # -- a stream that goes on -------------------------------------------------------------------------------------------------

    def most(self, exchange: Exchange, writes: int) -> int | None:
        """What so many more tokens may cost at most. None: nobody knows."""
        costs = [
            self.ways.prices.upper(c, 0, writes) for c in exchange.plan if isinstance(c, Candidate) and c.name == exchange.served
        ]
        return costs[0] if costs else None

    def extend(self, micros: int, writes: int) -> bool | None:
        """Reserve for so many more tokens. None: `ask_more` must be asked."""
        got = self.ways.counters.extend(self.reserved, self.granted.more(writes, micros), self.ways.clock())
        if got:
            self.writes += writes
            self._grown += writes
        return got

    async def ask_more(self, micros: int, writes: int) -> bool:
        got = await self.ways.counters.ask_more(self.reserved, self.granted.more(writes, micros), self.ways.clock())
        if got:
            self.writes += writes
            self._grown += writes
        return got

    # -- a further attempt -----------------------------------------------------------------------------------------------------

    async def covers(self, exchange: Exchange, *, onward: bool) -> bool:
        return await covers(self, exchange, onward=onward)

    def spent(self, exchange: Exchange, records: Iterable[AttemptRecord]) -> tuple[int, int, int]:
        """Tokens read and written, and micro-dollars, of attempts that are over."""
        reads = writes = micros = 0
        for record in records:
            usage = used_by(exchange, record)
            if usage is None:
                continue
            reads += usage.total_input
            writes += usage.total_output
            if self.granted.has_money:
                provider, _, model = record.target.partition("/")
                micros += self.ways.prices.price(provider, model, usage, self.ways.clock()).micros or 0
        return reads, writes, micros

    # -- the end ---------------------------------------------------------------------------------------------------------------

    def reckon(self, exchange: Exchange) -> None:
        try:
            self._reckon(exchange)
        except Exception:  # what was reserved stays spent: never less than was used
            log.exception("request %s: what it cost could not be reckoned", exchange.request_id)
            self._micros = exchange.reserved or 0

    def _reckon(self, exchange: Exchange) -> None:
        granted, ways = self.granted, self.ways
        reads = writes = micros = 0
        for record in exchange.attempts:
            usage = record.usage
            if usage is None or usage.output is None or record.cause is not None or not record.ended:
                usage = used_by(exchange, record)
                if usage is None:
                    continue
            if granted.has_tokens:
                reads += usage.total_input
                writes += usage.total_output
            if granted.has_money:
                if not record.price_source:
                    provider, model = _PARTS.get(record.target) or _parts(record.target)
                    price = ways.prices.price(provider, model, usage, ways.clock())
                    record.cost_micros, record.price_source, record.price_date = price.micros, price.source, price.dated
                micros += record.cost_micros or 0
        self._reads, self._writes, self._micros = reads, writes, micros

    def settle(self, exchange: Exchange) -> None:
        taken, batch = self.taken, self.batch
        if batch is not None and (taken is None or not taken.more):
            if not self._over:
                self._over = True
                batch.vacate(self._reads, self._writes, self._micros)
                if taken is not None:
                    taken.open = False
        elif taken is not None and taken.open:
            if batch is not None:
                batch.withdraw()
            self.ways.counters.settle(taken, self.granted.used(self._reads, self._writes, self._micros), self.ways.clock())


def _parts(target: str) -> tuple[str, str]:
    """The provider and the model: strings that are found again in no time, as those are that were looked up before."""
    provider, _, model = target.partition("/")
    if len(_PARTS) >= KEPT:
        _PARTS.clear()
    _PARTS[target] = provider, model
    return provider, model


def _templates(granted: Granted, dialect: DialectName) -> Templates:
    return tuple((places, tuple(template(granted.meters[i], dialect) for i in places)) for places in granted.shown)


def used_by(exchange: Exchange, record: AttemptRecord) -> Usage | None:
    """What an attempt used: as it was told, else as was seen. None: nobody is billed for it."""
    usage = record.usage
    if usage is None and not record.ended and record is exchange.attempts[-1]:  # given up in this moment
        usage = exchange.usage
    if usage is None:
        if not record.sent or record.status >= 400 or exchange.operation == "forward":
            return None
        return Usage(input=input_tokens(exchange.call.body, exchange.dialect), output=max(record.spoken, 0))
    if exchange.operation == "forward" and record.cause is None and record.ended:
        return usage  # vectors and the like: nothing is written
    if usage.output is None or record.cause is not None or not record.ended:
        told = usage.total_output
        if record.spoken > told or usage.input is None:
            return msgspec.structs.replace(
                usage,
                input=input_tokens(exchange.call.body, exchange.dialect)
                if usage.input is None and not usage.total_input
                else usage.input,
                output=(usage.output or 0) + max(0, record.spoken - told),
            )
    return usage
