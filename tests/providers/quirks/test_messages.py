"""What is changed inside messages."""

import pytest

from gatewright.providers.quirks.messages import NINE, nine


@pytest.mark.parametrize("ref", ["", "call_1", "functions.get_weather:0", "toolu_01ABCDEFGHIJKLMNOPQRSTUV", "a" * 400, "é\ud800"])
def test_ids_of_every_kind_become_nine_letters_and_digits(ref):
    """Always the same for the same id, so that a result finds its call."""
    assert NINE.fullmatch(nine(ref))
    assert nine(ref) == nine(ref)


def test_a_good_id_stays_and_others_do_not_meet():
    """A provider's own id is never another's."""
    assert nine("D681PevKs") == "D681PevKs"
    assert len({nine(f"call_{i}") for i in range(2000)}) == 2000
