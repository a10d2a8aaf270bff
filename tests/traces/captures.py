"""A recording as a gateway traces it: without a gateway, its two legs as they are, for what needs no socket."""

from dataclasses import dataclass

from gatewright.record.traces import Message, Trace, UpstreamCall
from tests.laws import cases, laws
from tests.laws.cases import Case
from tests.laws.finder import Violation
from tests.laws.seen import look


def trace_of(case: Case) -> Trace:
    """As one provider's call whose bytes passed."""
    assert case.call is not None
    asked = Message(headers=tuple(case.call.headers.items()), body=case.call.body, size=len(case.call.body))
    answer = Message(headers=tuple(case.headers.items()), body=case.body, size=len(case.body))
    path = case.call.path + ("?" + "&".join(f"{k}={v}" for k, v in case.call.query.items()) if case.call.query else "")
    call = UpstreamCall(
        attempt=0, target=f"{case.provider}/m", dialect=case.dialect, path=path, request=asked, status=case.status, answer=answer
    )
    return Trace(
        id=f"req_{case.id}",
        at=1_795_000_000_000_000,
        operation="generate",
        path=case.call.path,
        query=tuple(case.call.query.items()),
        stream=case.stream,
        client_dialect=case.dialect,
        upstream_dialect=case.dialect,
        status=case.status,
        outcome="error" if case.failed else "ok",
        provider=case.provider,
        request=asked,
        answer=answer,
        upstream=(call,),
    )


@dataclass(frozen=True)
class Judged:
    case: Case
    found: list[Violation]


def judged(path, which=laws.ALL) -> Judged:
    """An exported case, loaded as the corpus is, under the laws."""
    case = cases.load("corpus", path)
    return Judged(case, laws.violations(look(case), which))
