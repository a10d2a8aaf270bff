"""Transport errors as problems."""

import pytest

from gatewright.errors import STATUS_OF
from gatewright.routing.breaker import OUTCOME_OF
from gatewright.routing.retry import POLICY, cause_of
from gatewright.transport import BadAnswer, Closed, ConnectFailed, Cut, PoolTimeout, TimedOut, TooLarge, TransportError

STATUS = {ConnectFailed: 502, PoolTimeout: 503, TimedOut: 504, Cut: 502, BadAnswer: 502, TooLarge: 502}


@pytest.mark.parametrize("kind", STATUS)
def test_every_failure_is_a_problem_with_a_status(kind):
    """What a client is told follows from the class: never its own fault, and in words that name the peer."""
    error = kind("host:443 did it", phase="body", sent=True)
    assert isinstance(error, TransportError)
    assert error.problem.message == str(error) == "host:443 did it"
    assert error.problem.http_status == STATUS_OF[error.kind] == STATUS[kind]
    assert (error.phase, error.sent) == ("body", True)


def test_no_failure_is_forgotten():
    """A class added later must say its status here."""
    known = {c for c in TransportError.__subclasses__() if c.__module__.startswith("gatewright.transport")}
    assert known == {*STATUS, Closed}


def test_what_the_gateway_does_itself_is_no_upstreams_failure():
    """A client reads that the gateway is stopping; nothing is tried again for it, and no circuit counts it."""
    problem = Closed("host:443: given up", phase="body", sent=True).again().problem
    assert (problem.http_status, problem.code) == (503, "gateway_stopping")
    for stage in ("connecting", "waiting", "streaming"):
        cause = cause_of(problem, stage)
        assert POLICY[cause] == ()
        assert OUTCOME_OF[cause] == "neutral"
    assert problem.headers == (("retry-after", "1"),)
