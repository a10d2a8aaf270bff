"""From an exchange to its trace: what it knows is written down as it knows it, and no credential is among it."""

import pytest
from tests.record.exchanged import exchanged

from gatewright.errors import Problem
from gatewright.exchange import AttemptRecord, Principal
from gatewright.ir.response import Usage
from gatewright.record.rows import Cost
from gatewright.record.trace_capture import Finished, Leg, Pieces
from gatewright.record.trace_making import FAILED_BYTES, MOST, Maker
from gatewright.stores.trace_document import whole
from gatewright.wire.http import Call

MAKER = Maker(most=1 << 20)
ANSWER = b'{"id":"c1"}'


def pieces(body: bytes, most: int = 1 << 20) -> Pieces:
    found = Pieces(most)
    found.add(body)
    return found


def leg(answer: bytes = ANSWER, *, status: int = 200, body: bytes = b"{}", scrub=bytes) -> Leg:
    sent = b"content-type: application/json\r\nx-api-key: sk-hidden\r\n"
    made = Leg(dialect="openai_chat", method="POST", path="/chat", sent=sent, body=body, scrub=scrub)
    made.status, made.headers = status, ((b"content-type", b"application/json"), (b"set-cookie", b"crumb-one"))
    made.answer = pieces(answer)
    return made


def finished(
    exchange=None, *, status: int = 200, answer: bytes = ANSWER, problem=None, call=None, ended: float = 101.0
) -> Finished:
    call = call or Call(path="/v1/messages", headers={"authorization": "Bearer gw-x", "user-agent": "agent/1"}, body=b'{"a":1}')
    return Finished(
        exchange=exchange or exchanged(), call=call, status=status, problem=problem,
        headers=b"content-type: application/json\r\nset-cookie: crumb-two\r\n", answer=pieces(answer), ended=ended,
    )  # fmt: skip


def attempt(target: str, **more) -> AttemptRecord:
    return AttemptRecord(target, "openai_chat", 100.01, **{"sent": True, "status": 200, "ended": 100.5, **more})


def test_a_request_that_went_well_is_told_whole():
    """Times count from its beginning, and its place in time is the clock's."""
    made = MAKER.trace(finished(), 1_000.0)
    assert (made.id, made.at, made.took_us, made.ttft_us) == ("req_1", 1_100_000_000, 1_000_000, 310_000)
    assert (made.status, made.outcome, made.error, made.problem) == (200, "ok", "", "")
    assert (made.provider, made.model, made.route, made.asked) == ("openai", "gpt-5", "smart", "smart")
    assert (made.input, made.output, made.usage) == (10, 20, {"input": 10, "output": 20})
    assert (made.request.body, made.answer.body, made.key_name) == (b'{"a":1}', ANSWER, "ci")
    assert [(one.target, one.cause, round(one.took_us, -1)) for one in made.tried] == [("openai/gpt-5", "", 980_000)]


def test_no_header_that_holds_a_credential_is_kept():
    """Of either leg, either way; names that the operator wants come beside those that always do."""
    exchange = exchanged()
    exchange.attempts[0].leg = leg()
    call = Call(path="/v1/messages", headers={"authorization": "Bearer gw-x", "cookie": "a=b", "x-run": "7"}, body=b"{}")
    one = finished(exchange, call=call)
    assert ("x-run", "7") in Maker(most=1 << 20, more_headers=["x-run"]).trace(one, 0.0).request.headers
    told = repr(MAKER.trace(one, 0.0))
    assert not [word for word in ("gw-x", "a=b", "sk-hidden", "crumb-one", "crumb-two") if word in told]


def test_bodies_are_cut_at_the_bound_and_say_so():
    """Of the client's and of the one that served; of attempts that failed a piece is kept, but for the last."""
    long = b"x" * (FAILED_BYTES + 10)
    first, last = attempt("a/m", cause="broken", status=500), attempt("b/m", cause="broken", status=500)
    first.leg, last.leg = leg(long.upper(), status=500), leg(long, status=500)
    made = whole(MAKER.trace(finished(exchanged(attempts=[first, last], served="", usage=None), status=502, answer=long), 0.0))
    assert [len(call.answer.body) for call in made.upstream] == [FAILED_BYTES, len(long)]
    assert [call.answer.is_cut for call in made.upstream] == [True, False]
    assert not made.answer.is_cut
    short = Maker(most=4).trace(finished(), 0.0)
    assert (short.request.body, short.request.size, short.request.is_cut) == (b'{"a"', 7, True)


def test_a_credential_at_the_bound_is_scrubbed_before_what_is_left_over_is_cut():
    """Its first letters would else be left of it."""
    failed, last = attempt("a/m", cause="broken", status=500), attempt("b/m")
    failed.leg = leg(b"x" * (FAILED_BYTES - 4) + b"sk-hidden", status=500, scrub=lambda said: said.replace(b"sk-hidden", b"***"))
    made = MAKER.trace(finished(exchanged(attempts=[failed, last])), 0.0)
    assert made.upstream[0].answer.body.endswith(b"xx***")


def test_bytes_that_passed_are_kept_once():
    """They are scrubbed of the provider's credential first."""
    exchange, more = exchanged(), b"1" * 300
    call = Call(path="/v1/messages", headers={}, body=b'{"a":"%b"}' % more)
    exchange.attempts[0].leg = leg(
        b'{"id":"sk-hidden"}' + more, body=call.body, scrub=lambda said: said.replace(b"sk-hidden", b"***")
    )
    answer = b'{"id":"***"}' + more
    made = MAKER.trace(finished(exchange, answer=answer, call=call), 0.0)
    (leg_,) = made.upstream
    assert (leg_.sent_on, leg_.passed, leg_.request.body, leg_.answer.body) == (True, True, b"", b"")
    assert (made.size, made.request.body, made.answer.body) == (len(call.body) + len(answer), call.body, answer)
    (leg_,) = whole(made).upstream
    assert (leg_.sent_on, leg_.passed, leg_.request.body, leg_.answer.body) == (False, False, call.body, answer)


@pytest.mark.parametrize(
    ("status", "left", "problem", "expected"),
    [
        (200, False, None, (200, "ok", "")),
        (404, False, None, (404, "error", "")),
        (200, False, Problem(kind="overloaded", message="no room"), (200, "error", "overloaded")),
        (502, False, Problem(kind="upstream", message="away", code="unreachable"), (502, "error", "unreachable")),
        (200, True, None, (499, "left", "")),
        (499, False, None, (499, "left", "")),
    ],
)
def test_how_it_ended_is_told(status, left, problem, expected):
    """A client that left is no error of anybody's."""
    exchange = exchanged()
    exchange.left = left
    made = MAKER.trace(finished(exchange, status=status, problem=problem), 0.0)
    assert (made.status, made.outcome, made.error) == expected


def test_the_price_is_of_all_attempts_or_unknown():
    """What is known already is not asked for again; one that is not known makes the whole unknown."""
    asked = []

    def price(provider, model, usage, at):
        asked.append((provider, model, at))
        return Cost(70, "table") if provider == "a" else Cost()

    known = attempt("z/m", cause="cut", cost_micros=30, price_source="provider")
    usage = Usage(input=1, output=1)
    maker = Maker(price, most=100)
    both = maker.trace(finished(exchanged(attempts=[known, attempt("a/m", usage=usage)], served="a/m", usage=usage)), 0.0)
    assert (both.cost_micros, both.price_source, asked) == (100, "table", [("a", "m", 100_000_000)])
    half = maker.trace(finished(exchanged(attempts=[known, attempt("b/m", usage=usage)], served="b/m", usage=usage)), 0.0)
    assert half.cost_micros is None
    refused = maker.trace(finished(exchanged(attempts=[attempt("b/m", status=503, cause="broken")], served="")), 0.0)
    assert refused.cost_micros == 0


def test_sessions_are_within_a_key():
    """Two keys that name their runs alike have two."""
    call = Call(path="/v1/messages", headers={"x-gatewright-session": "run-1"}, body=b"{}")
    exchange = exchanged()
    exchange.principal = Principal("other", key_id="k2")
    told = [MAKER.trace(finished(one, call=call), 0.0) for one in (exchanged(), exchange)]
    assert [one.link for one in told] == ["header", "header"]
    assert told[0].session.endswith(":run-1")
    assert told[1].session == "k2:run-1"


def test_attempts_beyond_the_bound_are_counted_and_the_last_are_told():
    """A trace's size does not grow with a client's patience."""
    tried = [attempt(f"a/{number}", cause="broken", status=500) for number in range(MOST + 5)]
    made = MAKER.trace(finished(exchanged(attempts=tried, served="", usage=None), status=500), 0.0)
    assert (made.attempts, len(made.tried), made.tried[-1].target) == (MOST + 5, MOST, f"a/{MOST + 4}")
