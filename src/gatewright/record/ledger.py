"""The ledger's side that requests see: each is written to the journal when it begins and when it is settled.

    begun ──▶ upstream ──▶ settled ──▶ the client's last byte
      └── journal ◀──────────┘     ──▶ rows, later and elsewhere (`ingest.py`)

One rule: nobody is answered whose request could not be written down, unless the operator prefers that: what is settled finds the
room that was kept for it when it began.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from gatewright.dialects.media_runs import SMALL_BYTES, media_in
from gatewright.errors import Problem, Refused
from gatewright.exchange import AttemptRecord, Exchange, Operation, Principal
from gatewright.ir.blocks import DialectName
from gatewright.ir.response import Usage
from gatewright.record.entries import ENCODER, HEDGE, RESUMED, SEARCHES, SENT, Begun, Settled, Tried, Who
from gatewright.record.journal import Journal, JournalFull
from gatewright.record.usage import UsageCounter

RECORDED: Final[frozenset[Operation]] = frozenset(("generate", "invoke", "count_tokens", "count_input", "forward"))
"""Whatever a provider may be asked for a client. Lists, explanations and kept answers cost nobody anything."""
SETTLED_BYTES: Final = 1536
"""Room that is kept for the settlement of each request that runs."""
MOST_KEYS: Final = 100_000
CLIP: Final = 300
"""Characters of a text; clients and upstreams choose them."""
MOST_LOST: Final = 20
MOST_TRIED: Final = 60
MOST_GONE: Final = 1000
TOLD_EVERY_S: Final = 60.0
MEDIA_TOKENS: Final = 1000
"""What an image or another file within a request is taken for, where nobody told."""

_WHOLE_BYTES: Final = 16 << 20
_MOST_BYTES: Final = 32 << 10
"""Of an entry; half of what a record may have."""

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

    def __init__(self, root: Path, rule: LedgerRule, *, clock: Callable[[], float] = time.time) -> None:
        """`root`: the folder of all journals. `clock`: Unix seconds."""
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
        request_id, principal = exchange.request_id, exchange.principal
        if principal is None or request_id in self._running or (self._gone and request_id in self._gone):
            return
        body = exchange.call.body
        entry = Begun(
            request_id,
            int((exchange.started + self._offset) * 1e6),
            self._whos.get(principal) or self._who(principal),
            exchange.operation,
            _route(exchange),
            exchange.model,
            exchange.dialect,
            dialect,
            exchange.stream,
            target,
            len(body) // 4 if len(body) < SMALL_BYTES else tokens_in(body, exchange.dialect),
            exchange.reserved,
        )
        journal = self.journal
        try:
            if not journal.is_open:
                self._open()
            payload = _encoded(entry)
            journal.reserve(len(payload) + SETTLED_BYTES * (len(self._running) + 1))
            journal.append(payload)
        except (JournalFull, OSError, ValueError) as error:
            self._failed(error)
            return
        self._running[request_id] = None

    def settle(self, exchange: Exchange, status: int, problem: Problem | None) -> None:
        super().settle(exchange, status, problem)
        principal = exchange.principal
        if principal is None or exchange.operation not in RECORDED:
            return
        now = time.monotonic()
        attempts = exchange.attempts
        lost = exchange.losses
        entry = Settled(
            exchange.request_id,
            int((exchange.started + self._offset) * 1e6),
            self._whos.get(principal) or self._who(principal),
            exchange.operation,
            _route(exchange),
            exchange.model,
            exchange.dialect,
            exchange.stream,
            status,
            "left" if exchange.left or status == 499 else "ok" if problem is None and status < 400 else "error",
            "" if problem is None else problem.code or problem.kind,
            exchange.cache,
            tuple(f"{loss.weight} {loss.path}"[:CLIP] for loss in lost[:MOST_LOST]) if lost else (),
            int((now - exchange.started) * 1e6),
            exchange.reserved,
            exchange.served,
            [_tried(exchange, record, now, last=record is attempts[-1]) for record in attempts[-MOST_TRIED:]],
        )
        try:
            if not self.journal.is_open:
                self._open()
            self.journal.append(_encoded(entry))
        except (JournalFull, OSError, ValueError) as error:
            self.lost += 1
            self._tell("request %s was answered and is not in the ledger: %s", exchange.request_id, error)
        if exchange.request_id in self._running:
            del self._running[exchange.request_id]
        elif exchange.left:
            self._gone[exchange.request_id] = None
            if len(self._gone) > MOST_GONE:
                del self._gone[next(iter(self._gone))]

    def close(self) -> None:
        """No more is written."""
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


def tokens_in(body: bytes, dialect: DialectName) -> int:
    """About how many tokens a request has. Media within it have a size of their own, whatever their bytes."""
    if len(body) > _WHOLE_BYTES:  # nobody writes so much by hand
        return MEDIA_TOKENS
    media, size = media_in(body, dialect)
    return (len(body) - size) // 4 + MEDIA_TOKENS * media


def _route(exchange: Exchange) -> str:
    return "" if exchange.route is None else exchange.route.name  # type: ignore[attr-defined]  # a Route, which lies above


def _tried(exchange: Exchange, record: AttemptRecord, now: float, *, last: bool) -> Tried:
    usage = record.usage
    spoken = -1
    if not record.ended and last and usage is None:  # given up in this moment: what is known of it stands in the exchange
        usage = exchange.usage
    if usage is None or usage.output is None or usage.input is None or record.cause is not None or not record.ended:
        spoken = record.spoken
    return Tried(
        record.target,
        record.dialect,
        int((record.began - exchange.started) * 1e6),
        int(((record.ended or now) - record.began) * 1e6),
        int(record.waited_s * 1e6),
        record.status,
        record.stage,
        ("cancelled" if not record.ended else "") if record.cause is None else record.cause,
        record.message[:CLIP],
        record.sent * SENT + record.hedge * HEDGE + record.resumed * RESUMED,
        None if record.ttft_s is None else int(record.ttft_s * 1e6),
        None if usage is None else _axes(usage),
        "" if usage is None else usage.service_tier or "",
        -1 if spoken < 0 or not record.sent else tokens_in(exchange.call.body, exchange.dialect),
        spoken,
        record.cost_micros,
        record.price_source,
        record.price_date,
        None if usage is None or record.price_source else usage.raw | {SEARCHES: usage.searches} if usage.searches else usage.raw,
    )


def _axes(usage: Usage) -> tuple[int | None, ...]:
    return (
        usage.input,
        usage.cache_read,
        usage.cache_write_5m,
        usage.cache_write_1h,
        usage.audio_in,
        usage.output,
        usage.reasoning,
        usage.audio_out,
    )


def _encoded(entry: Begun | Settled) -> bytes:
    """Never raises for what clients and upstreams told: what cannot be written is left out rather than the whole row."""
    try:
        payload = ENCODER.encode(entry)
    except (ValueError, OverflowError, RecursionError, TypeError):  # no figure, no text, no end
        return ENCODER.encode(_mended(entry))
    return payload if len(payload) <= _MOST_BYTES else ENCODER.encode(_mended(entry))


def _mended(entry: Begun | Settled) -> Begun | Settled:
    replace = msgspec.structs.replace
    texts = {name: _clipped(value) for name in entry.__struct_fields__ if isinstance(value := getattr(entry, name), str)}
    if isinstance(entry, Begun):
        return replace(entry, **texts)
    tried = [
        replace(
            one,
            raw=None,
            usage=None if one.usage is None else tuple(n if n is not None and 0 <= n < 1 << 53 else None for n in one.usage),
            message=_clipped(one.message),
            target=_clipped(one.target),
            tier=_clipped(one.tier),
        )
        for one in entry.attempts
    ]
    return replace(entry, attempts=tried, lost=tuple(map(_clipped, entry.lost)), **texts)


def _clipped(text: str) -> str:
    return text[:CLIP].encode("utf-8", "replace").decode()
