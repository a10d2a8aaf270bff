"""Problems and refusals."""

from gatewright.errors import MAX_REFUSAL, Malformed, Problem, Refused, kind_of


def test_a_refusal_does_not_repeat_miles_of_the_request():
    """A client may put anything into a role; the answer quotes the beginning of it."""
    told = Refused(Problem(kind="invalid_request", message="unknown role " + "x" * 100_000)).problem.message
    assert len(told) == MAX_REFUSAL + 1
    assert told.startswith("unknown role xxx")
    assert Malformed("messages[0]", "an object", "a number").problem.message == "messages[0]: expected an object, got a number"


def test_an_unknown_status_has_a_kind():
    """Whose fault it is shows in the hundred."""
    assert (kind_of(418), kind_of(599), kind_of(429)) == ("invalid_request", "upstream", "rate_limit")
