"""Placeholders, and the way back."""

from gatewright.guards.redact import Redactor, Restorer
from tests.guards.streaming import check_round_trip


def test_what_goes_out_redacted_comes_back_as_it_was() -> None:
    """2,000 random texts, cut anywhere on their way back; `make guards` runs 10,000 and more."""
    assert sum(check_round_trip(seed) for seed in range(2_000)) > 1_000


def test_the_same_words_get_the_same_placeholder() -> None:
    redactor = Redactor()
    assert redactor.replace("email", "a@b.c", reversible=True) == "<email_1>"
    assert redactor.replace("email", "x@y.z", reversible=True) == "<email_2>"
    assert redactor.replace("email", "a@b.c", reversible=True) == "<email_1>"


def test_a_placeholder_that_the_client_wrote_itself_is_not_taken() -> None:
    redactor = Redactor()
    redactor.avoid(["what is <email_1>?"])
    assert redactor.replace("email", "a@b.c", reversible=True) == "<email_2>"


def test_what_is_not_to_come_back_is_not_remembered() -> None:
    redactor = Redactor()
    redactor.replace("email", "a@b.c", reversible=False)
    assert redactor.originals == {}


def test_a_placeholder_split_anywhere_is_put_back() -> None:
    """Every split of a text around one, and what only looks like one stays."""
    text = "to <email_1>, not <email_2> or <email_"
    for at in range(len(text) + 1):
        restorer = Restorer({"<email_1>": "a@b.c"})
        assert restorer.feed(text[:at]) + restorer.feed(text[at:]) + restorer.close() == "to a@b.c, not <email_2> or <email_"
