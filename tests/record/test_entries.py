"""Records as they are read: of one entry or several, whatever stands in them."""

import msgspec
import pytest
from tests.record.entries import begun, settled, tried

from gatewright.record.entries import BEGUN, ENCODER, SEVERAL, WENT, Begun, Settled, Went, Who, read, settled_of

WHO = msgspec.Raw(ENCODER.encode(Who("ci", "ci")))


def went(request_id="r", usage=(10, None, None, None, None, 5, None, None)):
    return (
        WENT, request_id, 1.5, 0.25, WHO, "generate", "smart", "smart", "openai_chat", False, 200, "", None, "up/m", "up/m",
        "anthropic", 0.125, 0.0625, 0.0, 200, "answered", None, usage, None, None, "", "", {"prompt_tokens": 10},
    )  # fmt: skip


def test_several_are_read_as_they_were_written():
    """In order, whatever they are made of."""
    b, s = begun("a"), settled("b", tried())
    found = read(ENCODER.encode((SEVERAL, [b, went("c"), s])))
    assert [(type(one), one.id) for one in found] == [(Begun, "a"), (Settled, "c"), (Settled, "b")]
    assert ENCODER.encode(found[0]) == ENCODER.encode(b)
    assert ENCODER.encode(found[2]) == ENCODER.encode(s)


def test_one_by_itself_is_a_record_too():
    """As those wrote it that knew no other."""
    assert [one.id for one in read(ENCODER.encode(settled("a", tried())))] == ["a"]
    assert [one.id for one in read(ENCODER.encode(went("a")))] == ["a"]


def test_tuples_have_the_fields_of_what_they_are_read_as():
    """One more or less, and every request would be lost."""
    assert len(went()) == len(Went.__struct_fields__) + 1
    assert (Begun.__struct_config__.tag, Went.__struct_config__.tag) == (BEGUN, WENT)
    one = settled_of(Went(*went()[1:]))
    assert (one.at, one.took_us, one.outcome, one.served) == (1_500_000, 250_000, "ok", "up/m")
    (attempt,) = one.attempts
    assert (attempt.after_us, attempt.took_us, attempt.dialect, attempt.stage) == (125_000, 62_500, "anthropic", "answered")


@pytest.mark.parametrize("figure", [-1, 1 << 53, (1 << 64) - 1])
def test_a_figure_beyond_all_measure_is_none_among_several(figure):
    """And the others stand as they are."""
    strange = (figure, 4, None, None, None, 5, None, None)
    found = read(ENCODER.encode((SEVERAL, [went("a", strange), settled("b", tried(usage=strange)), went("c")])))
    assert [one.attempts[0].usage for one in found if isinstance(one, Settled)] == [
        (None, 4, None, None, None, 5, None, None), (None, 4, None, None, None, 5, None, None),
        (10, None, None, None, None, 5, None, None),
    ]  # fmt: skip


@pytest.mark.parametrize("strange", [["z", 1], ["w"], [], 7, None, "w", {"a": 1}, ["m", []], ["s", "id"]], ids=str)
def test_what_is_no_entry_is_told_and_the_others_are_read(strange):
    """Another version's, say."""
    told = []
    found = read(ENCODER.encode((SEVERAL, [went("a"), strange, went("b")])), told.append)
    assert [one.id for one in found] == ["a", "b"]
    assert len(told) == (strange != ["m", []])


@pytest.mark.parametrize("payload", [b"", b"\xc1", b"\x91", ENCODER.encode(7), ENCODER.encode(["z"]), ENCODER.encode(["m", 7])])
def test_what_is_no_record_is_told(payload):
    """Raised, where nobody wants to be told."""
    told = []
    assert read(payload, told.append) == []
    assert len(told) == 1
    with pytest.raises(msgspec.DecodeError):
        read(payload)
