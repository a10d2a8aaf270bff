"""A body that is mostly prose is read as the other way would read it, or not at all."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewright.errors import Malformed
from gatewright.pipeline.peek import check_text
from gatewright.wire.prose import LONG, MOST, told

LOREM = "The quick brown fox jumps over the lazy dog, and nobody minds. " * 150


class Shape(msgspec.Struct):
    model: str = ""
    stream: bool | None = None
    most: object = None


def body(content: bytes = LOREM.encode(), *, head: bytes = b'"model":"m"', tail: bytes = b'"most":[1,{"a":2.5}]') -> bytes:
    return b'{%b,"messages":[{"role":"user","content":"%b"}],%b}' % (head, content, tail)


def test_prose_is_read() -> None:
    assert told(body(), Shape) == Shape(model="m", most=[1, {"a": 2.5}])


def test_what_is_short_or_of_many_strings_is_left_to_the_other_reader() -> None:
    """Each string would be an object."""
    assert told(body(b"short"), Shape) is None
    assert told(json.dumps({"model": "m", "messages": [{"role": "user", "content": "yes"}] * 500}).encode(), Shape) is None


def test_what_could_cost_much_is_left_to_the_reader_that_makes_nothing() -> None:
    """A body of empty objects has no quotes, and memory for each of them."""
    objects = b'"most":[' + b"{}," * (MOST // 3) + b"{}]"
    assert told(body(tail=objects), Shape) is None
    assert told(body(LOREM.encode() * (MOST // len(LOREM) + 1)), Shape) is None


@pytest.mark.parametrize(
    "bad",
    [
        body(LOREM.encode() + b"\xff"),
        body(LOREM.encode() + b"\xed\xa0\x80"),
        body(LOREM.encode() + rb"\ud800"),
        body(LOREM.encode() + rb"\udc00 \ud83d"),
        body(LOREM.encode() + b"\n"),
        body(LOREM.encode() + rb"\x"),
        body() + b"{}",
        body()[:-1],
        b"\xef\xbb\xbf" + body(),
        body(tail=b'"most":NaN'),
        body(tail=b'"most":-Infinity'),
        body(tail=b'"most":01'),
        body(tail=b'"most":1,'),
        body(tail=b'"most":' + b"[" * 100_000),
        body(tail=b'"most":' + b"[" * 2_000 + b"]" * 2_000),
        body(head=b'"model":7'),
        body(head=b'"model":null'),
        body(tail=b'"stream":"true"'),
        b'"' + LOREM.encode() + b'"',
        b'["' + LOREM.encode() + b'"]',
    ],
    ids=repr,
)
def test_what_is_no_json_no_text_or_of_another_shape_is_not_taken(bad: bytes) -> None:
    """The other reader says what is wrong with it."""
    assert told(bad, Shape) is None


def test_of_a_field_that_comes_twice_the_last_counts_for_both_readers() -> None:
    """An upstream and a gateway that read different ones would be a way around the gateway's rules."""
    twice = body(head=b'"model":"a","stream":true', tail=rb'"mod\u0065l":"b","stream":false')
    assert told(twice, Shape) == msgspec.json.decode(twice, type=Shape) == Shape(model="b", stream=False)


@given(
    st.lists(st.tuples(st.integers(0, 12_000), st.binary(max_size=6)), max_size=4),
    st.sampled_from(
        [LOREM, "Grüße, 世界 😀, und so weiter, und so fort. " * 200, "a\\n" + "b" * 5000, "\\ud83d\\ude00" + "c" * 5000]
    ),
)
@example([(60, b'\\"')], LOREM)
def test_what_is_taken_is_what_the_other_reader_reads(edits: list[tuple[int, bytes]], content: str) -> None:
    """Whatever bytes stand where: it takes nothing that is refused otherwise, and reads nothing else in it."""
    damaged = bytearray(body(content.encode()))
    for at, put in edits:
        damaged[at : at + len(put)] = put
    wire = bytes(damaged)
    assert len(wire) >= LONG
    found = told(wire, Shape)
    if found is not None:
        assert found == msgspec.json.decode(wire, type=Shape)
        try:
            check_text(wire)
        except Malformed:
            pytest.fail("it is no text")
