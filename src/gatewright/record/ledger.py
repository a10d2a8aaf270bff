"""The ledger's side that requests see: each is written to the journal when it begins and when it is settled.

    begun ──▶ upstream ──▶ settled ──▶ the client's last byte
      └── journal ◀──────────┘     ──▶ rows, later and elsewhere (`ingest.py`)

What is written to upstreams and clients together is put into the journal together, in one record, before any of it leaves; where
nobody says that anything leaves together, each by itself and at once (docs/adr/0041).
One rule: nobody is answered whose request could not be written down, unless the operator prefers that: what begins keeps the
room for its beginning and for its settlement.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from gatewright.dialects.media_runs import SMALL_BYTES
from gatewright.errors import Problem, Refused
from gatewright.exchange import Exchange, Operation, Principal
from gatewright.jsontypes import JsonObject
from gatewright.record.entries import BEGUN, ENCODER, SEVERAL, WENT, Who
from gatewright.record.journal import Journal, JournalFull
from gatewright.record.usage import UsageCounter
from gatewright.record.written import MOST_BYTES, Written, encoded, settled, tokens_in

RECORDED: Final[frozenset[Operation]] = frozenset(("generate", "invoke", "count_tokens", "count_input", "forward"))
"""Whatever a provider may be asked for a client. Lists, explanations and kept answers cost nobody anything."""
SETTLED_BYTES: Final = 1536
"""Room that is kept for the settlement of each request that runs."""
BEGUN_BYTES: Final = 1024
"""And for its beginning, …"""
MOST_NAMED: Final = 200
"""… where names have no more characters than this together; what is longer is written at once."""
MOST_KEYS: Final = 100_000
MOST_GONE: Final = 1000
MOST_TOGETHER: Final = 64
"""Entries of one record: so many seldom have more bytes than a record may."""
TOLD_EVERY_S: Final = 60.0
Together: TypeAlias = Callable[[Callable[[], None]], bool]
"""Has something done once before anything leaves the process that is written from now on. False: do it now."""

_NO_RAW: Final[JsonObject] = {}

log = logging.getLogger("gatewright")


class LedgerRule(msgspec.Struct, frozen=True, kw_only=True):
    """As configured."""

    enabled: bool = True
    retention_days: int = 400
    """Of requests and attempts; rollups stay."""
    journal_bytes: int = 256 << 20
    """Per worker."""
    on_failure: Literal["refuse", "serve"] = "refuse"
    """What becomes of requests that cannot be written down."""
    fsync_ms: int = 0
    """How often the disk is made to hold what was written. 0: when the kernel sees fit; only a loss of power can tell."""


class Ledger(UsageCounter):
    """Journals every request of a key. Used by one thread: the event loop's."""

    def __init__(
        self, root: Path, rule: LedgerRule, *, clock: Callable[[], float] = time.time, together: Together | None = None
    ) -> None:
        """`root`: the folder of all journals. `clock`: Unix seconds. `together`: asked by the thread that uses this."""
        super().__init__()
        self.rule = rule
        self.journal = Journal(root, max_bytes=rule.journal_bytes)
        self.lost = 0
        """Requests that were answered and could not be written down."""
        self._clock = clock
        self._offset = clock() - time.monotonic()
        """Of Unix time from monotonic time; the two drift apart by what the machine's clock is corrected by."""
        self._running: dict[str, None] = {}
        """Requests that have begun and are not settled."""
        self._gone: dict[str, None] = {}
        """The last that left before they had begun: a call that others wait for too may begin after that (`flight.py`)."""
        self._together = together
        self._late: list[Written] = []
        """What is to be written before anything leaves."""
        self._whos: dict[Principal, msgspec.Raw] = {}
        self._told = -TOLD_EVERY_S
        self._closed = False

    def open(self) -> None:
        """Be ready for the first request, and say so now if that cannot be. Without it the first request opens the journal."""
        try:
            if not self.journal.is_open:
                self._open()
        except (JournalFull, OSError) as error:
            way = "requests are refused" if self.rule.on_failure == "refuse" else "requests are served and not recorded"
            log.warning("warning: nothing can be written to the ledger, so %s: %s", way, error)

    def correct_clock(self) -> None:
        """Take over how the machine's clock was set meanwhile. Now and then."""
        self._offset = self._clock() - time.monotonic()

    def begun(self, exchange: Exchange, target: str, dialect: str) -> None:
        """The request goes to an upstream. Said again it does nothing. Raises Refused where nothing can be written."""
        request_id, principal, running = exchange.request_id, exchange.principal, self._running
        if principal is None or request_id in running or (self._gone and request_id in self._gone):
            return
        body, model, late = exchange.call.body, exchange.model, self._late
        route = "" if exchange.route is None else exchange.route.name  # type: ignore[attr-defined]  # a Route, which lies above
        who = self._whos.get(principal) or self._who(principal)
        entry = (
            BEGUN,
            request_id,
            int((exchange.started + self._offset) * 1e6),
            who,
            exchange.operation,
            route,
            model,
            exchange.dialect,
            dialect,
            exchange.stream,
            target,
            len(body) // 4 if len(body) < SMALL_BYTES else tokens_in(body, exchange.dialect),
            exchange.reserved,
        )
        try:
            room = (BEGUN_BYTES + SETTLED_BYTES) * (len(running) + len(late) + 1)
            if not self.journal.has(room):
                self._reserve(room)
            if len(model) + len(target) + len(route) > MOST_NAMED or len(who) > MOST_NAMED:
                self._append_one(entry)
                running[request_id] = None
                return
        except (JournalFull, OSError, ValueError) as error:
            self._failed(error)
            return
        running[request_id] = None
        late.append(entry)
        if len(late) == 1 and (self._together is None or not self._together(self._write)):
            self._write()

    def settle(self, exchange: Exchange, status: int, problem: Problem | None) -> None:
        UsageCounter.settle(self, exchange, status, problem)
        principal = exchange.principal
        if principal is None or exchange.operation not in RECORDED:
            return
        request_id, attempts, running = exchange.request_id, exchange.attempts, self._running
        entry: Written
        if (
            problem is None
            and len(attempts) == 1
            and (one := attempts[0]).cause is None
            and (usage := one.usage) is not None
            and one.ended
            and one.sent
            and usage.output is not None
            and usage.input is not None
            and status < 400
            and not (exchange.left or one.hedge or one.resumed or one.message or exchange.losses or usage.searches)
        ):
            # What most requests are, as `entries.Went`. Written out, for each call more costs every request.
            started, began = exchange.started, one.began
            source = one.price_source
            entry = (
                WENT,
                request_id,
                started + self._offset,
                time.monotonic() - started,
                self._whos.get(principal) or self._who(principal),
                exchange.operation,
                "" if exchange.route is None else exchange.route.name,  # type: ignore[attr-defined]
                exchange.model,
                exchange.dialect,
                exchange.stream,
                status,
                exchange.cache,
                exchange.reserved,
                exchange.served,
                one.target,
                one.dialect,
                began - started,
                one.ended - began,
                one.waited_s,
                one.status,
                one.stage,
                one.ttft_s,
                (
                    usage.input,
                    usage.cache_read,
                    usage.cache_write_5m,
                    usage.cache_write_1h,
                    usage.audio_in,
                    usage.output,
                    usage.reasoning,
                    usage.audio_out,
                ),
                usage.service_tier,
                one.cost_micros,
                source,
                one.price_date,
                _NO_RAW if source else usage.raw,
            )
        else:
            who = self._whos.get(principal) or self._who(principal)
            entry = settled(exchange, who, status, problem, self._offset)
        if request_id in running:
            del running[request_id]
        elif exchange.left:
            self._gone[request_id] = None
            if len(self._gone) > MOST_GONE:
                del self._gone[next(iter(self._gone))]
        late = self._late
        late.append(entry)
        if len(late) == 1 and (self._together is None or not self._together(self._write)):
            self._write()

    # -- to the journal ------------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """All that is late, in as few records as may be. Never raises: there is room for what has begun, and answers are told."""
        late, self._late = self._late, []
        for at in range(0, len(late), MOST_TOGETHER):
            self._write_some(late[at : at + MOST_TOGETHER] if len(late) > MOST_TOGETHER else late)

    def _write_some(self, some: list[Written]) -> None:
        try:
            payload = ENCODER.encode((SEVERAL, some))
            if len(payload) <= MOST_BYTES:
                if not self.journal.is_open:
                    self._open()
                self.journal.append(payload)
                return
        except (ValueError, OverflowError, RecursionError, TypeError, JournalFull, OSError):  # one of them, or all together
            pass
        if len(some) > 1:
            self._write_some(some[: len(some) // 2])
            self._write_some(some[len(some) // 2 :])
            return
        try:
            self._append_one(some[0])
        except Exception as error:  # noqa: BLE001 - told; the others must not be lost with it
            self._left_out(some[0], error)

    def _append_one(self, entry: Written) -> None:
        """Raises JournalFull, OSError."""
        if not self.journal.is_open:
            self._open()
        self.journal.append(encoded(entry))

    def _left_out(self, entry: Written, error: Exception) -> None:
        request_id = entry[1] if isinstance(entry, tuple) else entry.id
        if isinstance(entry, tuple) and entry[0] == BEGUN:
            self._tell("request %s is on its way and is not in the ledger yet: %s", request_id, error)
            return
        self.lost += 1
        self._tell("request %s was answered and is not in the ledger: %s", request_id, error)

    def _reserve(self, size: int) -> None:
        """Raises JournalFull, OSError."""
        if not self.journal.is_open:
            self._open()
        self.journal.reserve(size)

    def close(self) -> None:
        """No more is written."""
        self._write()
        self._closed = True
        self.journal.close()

    def _open(self) -> None:
        if self._closed:
            raise JournalFull("the gateway stops")
        self.journal.open()

    def _failed(self, error: Exception) -> None:
        if self.rule.on_failure == "serve":
            self._tell("requests are served that may not get into the ledger (ledger.on_failure: serve): %s", error)
            return
        self._tell("requests are refused, for they cannot be written to the ledger (ledger.on_failure: refuse): %s", error)
        message = "The gateway cannot record requests now, so it serves none; try again shortly."
        headers = (("retry-after", "5"),)
        raise Refused(
            Problem(kind="overloaded", code="ledger_unavailable", message=message, retry_after_s=5.0, headers=headers)
        ) from error

    def _tell(self, message: str, *arguments: object) -> None:
        now = time.monotonic()
        if now - self._told >= TOLD_EVERY_S:
            self._told = now
            log.error(message, *arguments)

    def _who(self, principal: Principal) -> msgspec.Raw:
        if len(self._whos) >= MOST_KEYS:
            self._whos.clear()
        found = self._whos[principal] = msgspec.Raw(ENCODER.encode(who_of(principal)))
        return found


def who_of(principal: Principal) -> Who:
    """Whom a request is written to."""
    return Who(
        getattr(principal, "key_id", "") or principal.name,
        principal.name,
        getattr(principal, "user", "") or "",
        getattr(principal, "team", "") or "",
        getattr(principal, "organization", "") or "",
    )
