import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.guards.detect.arguments import Said, conditions
from gatewright.guards.detect.conversation import Unreadable, read_arguments

ARGUMENTS = {
    "to": "boss@example.com",
    "amount": 120,
    "text": "250",
    "flag": True,
    "items": [{"url": "https://a"}, {"url": "http://b", "sub": [{"url": "ftp://c"}]}],
    "none": None,
}


def ready(said: dict):
    return conditions(msgspec.convert(said, Said), "arguments")


@pytest.mark.parametrize(
    ("said", "forbids", "permits"),
    [
        ({"to": r"@example\.com$"}, True, True),
        ({"to": {"not_matches": r"@example\.com$"}}, False, False),
        ({"to": ["a", "boss@example.com"]}, True, True),
        ({"to": {"none_of": ["a"]}}, True, True),
        ({"amount": {"max": 100}}, False, False),
        ({"amount": {"min": 100, "max": 200}}, True, True),
        ({"text": {"min": 200}}, True, True),
        ({"flag": {"min": 0}}, False, False),
        ({"flag": True}, True, True),
        ({"flag": 1}, False, False),
        ({"amount": 120}, True, True),
        ({"none": {"equals": None}}, True, True),
        ({"items[*].url": "^http:"}, True, False),
        ({"items[*].url": "^http"}, True, True),
        ({"items[0].url": "^https:"}, True, True),
        ({"items[-1].url": "^http:"}, True, True),
        ({"**.url": "^ftp:"}, True, False),
        ({"$.items.*.url": "^http"}, True, True),
        ({"missing": {"exists": True}}, False, False),
        ({"missing": {"exists": False}}, True, True),
        ({"missing": {"not_matches": "x"}}, False, False),
        ({"to": {"exists": True, "max_length": 3}}, False, False),
        ({"items": {"min_length": 2, "max_length": 2}}, True, True),
        ({"to": "example", "amount": {"min": 500}}, False, False),
        ({}, True, True),
    ],
)
def test_conditions_say_what_they_mean(said, forbids, permits):
    """To forbid, one value is enough; to permit, all must fit."""
    assert ready(said).forbid(ARGUMENTS) is forbids
    assert ready(said).permit(ARGUMENTS) is permits


def test_what_cannot_be_read_is_never_permitted():
    """Nor a key that comes twice: who calls the tool may read the other one."""
    for text in ('{"to": "a"', "NaN", '{"to":"a@example.com","to":"b@evil.example"}', "[" * 100_000):
        arguments = read_arguments(text)
        assert isinstance(arguments, Unreadable)
        assert ready({"to": "x"}).forbid(arguments)
        assert not ready({"to": "x"}).permit(arguments)
        assert ready({}).permit(arguments)
    assert read_arguments("") == {}


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"to": {}}, r"a condition is needed.*\$.arguments.to"),
        ({"to": "(?=a)"}, r"lookaround.*\$.arguments.to.matches"),
        ({"a..b": "x"}, "not a path"),
        ({"to": {"exists": False, "max": 1}}, "leaves no value"),
        ({"to": {"matchs": "a"}}, "unknown field"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(said, says):
    with pytest.raises(ValueError, match=says):
        ready(said)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.sampled_from("ab"), x, max_size=2),
)


@given(JSON, st.lists(st.sampled_from(["a", "b", "*", "**", "[0]", "[*]"]), min_size=1, max_size=5))
def test_no_arguments_make_it_fail(arguments, steps):
    """Permitting is never more than forbidding: what all fit, one fits."""
    path = ".".join(steps).replace(".[", "[")
    where = ready({path: {"not_matches": "x"}})
    assert where.forbid(arguments) or not where.permit(arguments)
