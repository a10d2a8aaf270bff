"""What is written down of a request that is not as most are, and of whatever clients and upstreams told.

One rule: the row is there. What cannot be written is left out of it, or clipped.
"""

import time
from typing import Any, Final, TypeAlias

import msgspec

from gatewright.dialects.media_runs import media_in
from gatewright.errors import Problem
from gatewright.exchange import AttemptRecord, Exchange
from gatewright.ir.blocks import DialectName
from gatewright.ir.response import Usage
from gatewright.record.entries import BEGUN, ENCODER, HEDGE, RESUMED, SEARCHES, SENT, Begun, Settled, Tried, Went, settled_of

CLIP: Final = 300
"""Characters of a text; clients and upstreams choose them."""
MOST_LOST: Final = 20
MOST_TRIED: Final = 60
MOST_BYTES: Final = 32 << 10
"""Of an entry, or of several together; half of what a record may have."""
MEDIA_TOKENS: Final = 1000
"""What an image or another file within a request is taken for, where nobody told."""

_WHOLE_BYTES: Final = 16 << 20

Written: TypeAlias = tuple[object, ...] | Settled
"""An entry; a tuple is a `Begun` or a `Went`."""


def settled(exchange: Exchange, who: msgspec.Raw, status: int, problem: Problem | None, offset: float) -> Settled:
    """`offset`: of Unix time from monotonic time."""
    now = time.monotonic()
    attempts = exchange.attempts
    lost = exchange.losses
    return Settled(
        exchange.request_id,
        int((exchange.started + offset) * 1e6),
        who,
        exchange.operation,
        "" if exchange.route is None else exchange.route.name,  # type: ignore[attr-defined]  # a Route, which lies above
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


def tokens_in(body: bytes, dialect: DialectName) -> int:
    """About how many tokens a request has. Media within it have a size of their own, whatever their bytes."""
    if len(body) > _WHOLE_BYTES:  # nobody writes so much by hand
        return MEDIA_TOKENS
    media, size = media_in(body, dialect)
    return (len(body) - size) // 4 + MEDIA_TOKENS * media


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


def encoded(entry: Written) -> bytes:
    """Never raises for what clients and upstreams told: what cannot be written is left out rather than the whole row."""
    try:
        payload = ENCODER.encode(entry)
    except (ValueError, OverflowError, RecursionError, TypeError):  # no figure, no text, no end
        return ENCODER.encode(_mended(entry))
    return payload if len(payload) <= MOST_BYTES else ENCODER.encode(_mended(entry))


def _mended(written: Written) -> Begun | Settled:
    replace = msgspec.structs.replace
    entry: Begun | Settled
    if isinstance(written, Settled):
        entry = written
    else:  # as who reads it would see it
        values: tuple[Any, ...] = written[1:]
        entry = Begun(*values) if written[0] == BEGUN else settled_of(Went(*values))
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
