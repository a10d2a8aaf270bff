"""Faults before any good head: no connection, no answer, not HTTP, and every status that says no."""

import datetime as dt
from collections.abc import Callable, Iterable
from email.utils import format_datetime as _formatted
from functools import partial
from typing import Final

from gatewright.routing.retry import Cause
from tests.faults import saying
from tests.faults.fault import LIMIT_S, LONG, Fault, body_play, just, page_play, status_play
from tests.faults.upstreams import AMBUSH, HANG_UP, RESET, Asked, Play, Step, healthy
from tests.serving import answer

format_datetime = partial(_formatted, usegmt=True)
HALF_A_HEAD: Final = b"HTTP/1.1 200 OK\r\ncontent-ty"


def _unread(_: Asked) -> list[Step]:
    return [HANG_UP]


CONNECTING: Final = (
    Fault(part="Connecting", name="refuses the connection", cause="unreachable", play=_unread, door="closed"),
    Fault(
        part="Connecting",
        name="never takes the connection (full backlog)",
        cause="unreachable",
        play=_unread,
        door="full",
        status=504,
        limit_s=LIMIT_S,
    ),
)

BEFORE_THE_HEAD: Final = (
    Fault(part="Before the head", name="resets after the request", cause="cut", play=just(RESET)),
    Fault(part="Before the head", name="closes without a word", cause="cut", play=just(HANG_UP)),
    Fault(part="Before the head", name="is silent", cause="silent", play=just(LONG), limit_s=LIMIT_S),
    Fault(part="Before the head", name="half a head, then resets", cause="cut", play=just(HALF_A_HEAD, 0.02, RESET)),
    Fault(
        part="Before the head", name="half a head, then silence", cause="silent", play=just(HALF_A_HEAD, LONG), limit_s=LIMIT_S
    ),
    Fault(part="Before the head", name="does not speak HTTP", cause="cut", play=just(b"SSH-2.0-OpenSSH_9.6\r\n", LONG)),
    Fault(
        part="Before the head",
        name="a head of 100 KB",
        cause="cut",
        play=just(b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %b\r\n" % (i, b"y" * 1000) for i in range(100)) + b"\r\n", LONG),
    ),
    Fault(
        part="Before the head",
        name="a transfer-encoding nobody knows",
        cause="cut",
        play=just(b"HTTP/1.1 200 OK\r\ntransfer-encoding: snappy\r\n\r\n", LONG),
    ),
    Fault(
        part="Before the head",
        name="a content-encoding nobody knows",
        cause="cut",
        play=body_play(b"\x28\xb5\x2f\xfd", headers="content-encoding: compress2\r\n"),
    ),
)


def _status(status: int, cause: Cause) -> Fault:
    return Fault(part="By status", name=str(status), cause=cause, play=status_play(status), status=status)


def _spent(asked: Asked) -> list[Step]:
    status, document = saying.spent(asked.dialect)
    return [answer(document, status=status)]


def _content_filter(_: Asked) -> list[Step]:
    document = (
        b'{"error":{"message":"The prompt was filtered.","type":null,"param":"prompt","code":"content_filter","status":400}}'
    )
    return [answer(document, status=400)]


BY_STATUS: Final = (
    _status(400, "client"),
    Fault(
        part="By status",
        name="400 by a content filter (Azure)",
        cause="client",
        play=_content_filter,
        status=400,
        dialects=("openai_chat", "openai_responses"),
    ),
    Fault(
        part="By status",
        name="no money left (429 of OpenAI's, 400 of Anthropic's)",
        cause="out_of_money",
        play=_spent,
        dialects=("openai_chat", "openai_responses", "anthropic"),
        statuses={"openai_chat": 429, "openai_responses": 429, "anthropic": 400},
    ),
    Fault(
        part="By status",
        name="402",
        cause="out_of_money",
        play=status_play(402),
        status=402,
        dialects=("openai_chat", "openai_responses", "anthropic"),
    ),
    _status(401, "our_credential"),
    _status(403, "client"),
    _status(404, "client"),
    _status(408, "conflict"),
    _status(409, "conflict"),
    _status(413, "client"),
    _status(422, "client"),
    _status(500, "broken"),
    Fault(
        part="By status",
        name="500 and x-should-retry: false",
        cause="broken",
        play=status_play(500, "x-should-retry: false\r\n"),
        status=500,
        alone=1,
        before_next=1,
        dialects=("openai_responses", "anthropic"),
    ),
    _status(502, "broken"),
    _status(503, "overloaded"),
    _status(504, "silent"),
    _status(529, "overloaded"),
    Fault(part="By status", name="a page with status 502", cause="broken", play=page_play(502), status=502),
    Fault(part="By status", name="a page with status 503", cause="overloaded", play=page_play(503), status=503),
    Fault(part="By status", name="a page with status 521", cause="broken", play=page_play(521), status=521),
    Fault(part="By status", name="a page with status 403", cause="client", play=page_play(403), status=403),
    Fault(part="By status", name="a page with status 302", cause="broken", play=page_play(302)),
    Fault(part="By status", name="204, which has no body", cause="broken", play=just(b"HTTP/1.1 204 No Content\r\n\r\n")),
)


def _until_a_date(header: str, written: Callable[[dt.datetime], str]) -> Play:
    """Throttled until the second after the next, in whole seconds as dates have them: for one second at least."""

    def play(asked: Asked) -> Iterable[Step]:
        until = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(seconds=2)
        return status_play(429, f"{header}: {written(until)}\r\n")(asked)

    return play


THROTTLED: Final = (
    Fault(part="Throttled", name="429", cause="throttled", play=status_play(429), status=429),
    Fault(part="Throttled", name="a page with status 429", cause="throttled", play=page_play(429), status=429),
    Fault(
        part="Throttled",
        name="429, retry-after: 1",
        cause="throttled",
        play=status_play(429, "retry-after: 1\r\n"),
        status=429,
        asked_s=1.0,
        tells_when=True,
    ),
    Fault(
        part="Throttled",
        name="429, retry-after-ms: 300",
        cause="throttled",
        play=status_play(429, "retry-after-ms: 300\r\n"),
        status=429,
        asked_s=0.3,
    ),
    Fault(
        part="Throttled",
        name="429, retryDelay 0.3s in the body (Google)",
        cause="throttled",
        play=status_play(429, delay="0.3s"),
        status=429,
        asked_s=0.3,
        dialects=("gemini",),
    ),
    Fault(
        part="Throttled",
        name="429, a reset in 300ms (OpenAI)",
        cause="throttled",
        play=status_play(429, "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 300ms\r\n"),
        status=429,
        asked_s=0.3,
        dialects=("openai_chat", "openai_responses"),
    ),
    Fault(
        part="Throttled",
        name="429, retry-after as a date",
        cause="throttled",
        play=_until_a_date("retry-after", format_datetime),
        status=429,
        asked_s=1.0,
    ),
    Fault(
        part="Throttled",
        name="429, a reset as a date (Anthropic)",
        cause="throttled",
        play=_until_a_date(
            "anthropic-ratelimit-requests-remaining: 0\r\nanthropic-ratelimit-requests-reset", dt.datetime.isoformat
        ),
        status=429,
        asked_s=1.0,
        dialects=("anthropic",),
    ),
    Fault(
        part="Throttled",
        name="429, retry-after: 60, longer than patience",
        cause="throttled",
        play=status_play(429, "retry-after: 60\r\n"),
        status=429,
        alone=1,
        tells_when=True,
    ),
)

FAILING_ONCE: Final = (
    Fault(part="Failing once", name="503, then well", cause="overloaded", play=status_play(503), status=503, mends=True),
    Fault(part="Failing once", name="500, then well", cause="broken", play=status_play(500), status=500, mends=True),
    Fault(part="Failing once", name="429, then well", cause="throttled", play=status_play(429), status=429, mends=True),
    Fault(part="Failing once", name="reset, then well", cause="cut", play=just(RESET), mends=True),
    Fault(part="Failing once", name="silence, then well", cause="silent", play=just(LONG), mends=True, limit_s=LIMIT_S),
    Fault(
        part="Failing once",
        name="closes a kept connection as the next request comes",
        cause=None,
        play=healthy,
        prime=lambda asked: [*healthy(asked), AMBUSH],
        unread=True,
    ),
    Fault(
        part="Failing once",
        name="closes a kept connection while it is idle",
        cause=None,
        play=healthy,
        prime=lambda asked: [*healthy(asked), HANG_UP],
    ),
)

LEFT_ALONE: Final = (
    Fault(
        part="Left alone",
        name="has failed 6 requests: its circuit is open",
        cause="overloaded",
        play=healthy,
        prime=status_play(503),
        primes=6,
        left_alone=503,
        tells_when=True,
    ),
    Fault(
        part="Left alone",
        name="has said retry-after: 60: its key rests",
        cause="throttled",
        play=healthy,
        prime=status_play(429, "retry-after: 60\r\n"),
        left_alone=429,
        tells_when=True,
    ),
)

LATE_S: Final = 0.6


def _late(name: str, cause: Cause | None, play: Play) -> Fault:
    """After so long a silence that the client was sent a keep-alive: a status can no longer be told, all else still can."""

    def after_a_while(asked: Asked) -> Iterable[Step]:
        yield LATE_S
        yield from play(asked)

    return Fault(part="After a keep-alive", name=name, cause=cause, play=after_a_while, forms=(True,), late=True)


AFTER_A_KEEP_ALIVE: Final = (
    _late("a good answer", None, healthy),
    _late("503", "overloaded", status_play(503)),
    _late("500", "broken", status_play(500)),
    _late("400", "client", status_play(400)),
    _late("a reset", "cut", just(RESET)),
    _late("a page with status 200", "broken", page_play(200)),
)

NO_FAILURE: Final = (Fault(part="No failure", name="all is well", cause=None, play=healthy),)
