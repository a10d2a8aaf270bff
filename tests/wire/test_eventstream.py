"""AWS event streams on the wire: the same messages and bytes as botocore, in any chunking."""

import base64
import json
from typing import Any, cast
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.cases import recordings_root

from gatewright.wire.eventstream import (
    BadFrame,
    Byte,
    Decoder,
    Integer,
    Short,
    Splitter,
    Timestamp,
    Uuid,
    decode_headers,
    encode,
    encode_headers,
    frame,
)

_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
_values = st.one_of(
    st.booleans(),
    st.integers(-(1 << 7), (1 << 7) - 1).map(Byte),
    st.integers(-(1 << 15), (1 << 15) - 1).map(Short),
    st.integers(-(1 << 31), (1 << 31) - 1).map(Integer),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.integers(-(1 << 63), (1 << 63) - 1).map(Timestamp),
    st.binary(max_size=300),
    _text,
    st.binary(min_size=16, max_size=16).map(Uuid),
)
_messages = st.tuples(st.dictionaries(_text, _values, max_size=6), st.binary(max_size=2000))


def botocore_reads(data: bytes) -> list[tuple[dict[str, Any], bytes]]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return [(message.headers, message.payload) for message in buffer]


def ours(data: bytes, size: int = 0) -> list[tuple[dict[str, Any], bytes]]:
    decoder = Decoder()
    pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    found = [(dict(m.headers), m.payload) for piece in pieces for m in decoder.feed(piece)]
    decoder.close()
    return found


@settings(max_examples=300, deadline=None)
@given(st.lists(_messages, max_size=4), st.sampled_from([0, 1, 7, 100]))
def test_what_is_encoded_is_read_alike_by_botocore_and_by_us(messages: list[tuple[dict[str, Any], bytes]], size: int):
    """Every header type, every order, any payload; read whole and in pieces; and written again it is the same bytes."""
    wire = b"".join(encode(headers, payload) for headers, payload in messages)
    assert botocore_reads(wire) == ours(wire, size) == messages
    assert b"".join(encode(cast("Any", headers), payload) for headers, payload in ours(wire)) == wire


@settings(max_examples=300, deadline=None)
@given(_messages, st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_is_refused_as_botocore_refuses_it(message: tuple[dict[str, Any], bytes], at: int, flip: int):
    """A checksum covers every byte: neither reader gives a message that was damaged."""
    wire = bytearray(encode(*message))
    wire[at % len(wire)] ^= flip
    with pytest.raises(BadFrame):
        ours(bytes(wire))
    buffer = EventStreamBuffer()
    buffer.add_data(bytes(wire))
    with pytest.raises(Exception, match=r"Checksum|length|Header"):
        list(buffer)


def test_every_recorded_frame_is_written_again_byte_for_byte():
    """What Bedrock itself sent, decoded and encoded."""
    root = recordings_root()
    if root is None:
        pytest.skip("no recorded traffic at hand: set GATEWRIGHT_RECORDINGS to its folder")
    frames = 0
    for path in sorted((root / "bedrock").glob("*stream/*.json")):
        answer = json.loads(path.read_bytes())["response"]
        if answer["body_encoding"] != "base64":
            continue
        wire = base64.b64decode(answer["body"])
        read = ours(wire)
        assert read == ours(wire, 1) == botocore_reads(wire)
        assert b"".join(encode(headers, payload) for headers, payload in read) == wire
        assert b"".join(Splitter().feed(wire)) == wire
        frames += len(read)
    assert frames > 500


HEADERS: dict[str, Any] = {":event-type": "ping", ":message-type": "event"}


def test_what_is_complete_comes_before_the_complaint():
    """A bad frame behind good ones: those first, the complaint with the next call, and again with every call."""
    decoder = Decoder()
    assert len(decoder.feed(encode(HEADERS, b"{}") + b"\0" * 12)) == 1
    for _ in range(2):
        with pytest.raises(BadFrame, match="prelude's checksum"):
            decoder.feed(b"")
    with pytest.raises(BadFrame):
        decoder.close()


def test_a_stream_that_ends_within_a_frame_is_no_clean_end():
    decoder = Decoder()
    assert decoder.feed(encode(HEADERS, b"{}")[:-1]) == []
    with pytest.raises(BadFrame, match="breaks off"):
        decoder.close()


def test_a_length_beyond_the_bound_is_refused_before_anything_is_held():
    """The prelude is right and claims 20 MB; nothing of it is waited for."""
    wire = frame(b"", b"x" * 2000)
    with pytest.raises(BadFrame, match="the payload has 2000 bytes"):
        Decoder(max_payload_bytes=1999).feed(wire[:12])
    assert Decoder(max_payload_bytes=2000).feed(wire)[0].payload == b"x" * 2000


def test_lengths_that_contradict_each_other_are_refused():
    """Headers longer than the whole message, and a whole message shorter than its own frame."""
    for lengths in ((20, 30), (3, 0), (0, 0), (1 << 20, 129 << 10)):
        head = b"".join(n.to_bytes(4, "big") for n in lengths)
        wire = head + crc32(head).to_bytes(4, "big")
        with pytest.raises(BadFrame):
            Splitter().feed(wire)


@pytest.mark.parametrize(
    "block",
    [b"\x01a", b"\x05ab", b"\x01a\x0a", b"\x01a\x07\x00\x05ab", b"\x01a\x05\x00", b"\x01a\x09\x00", b"\x01\xff\x00",
     b"\x01a\x07\x00\x01\xff", b"\x01a\x00\x01a\x01"],
)  # fmt: skip
def test_headers_that_are_none_are_refused(block: bytes):
    """Cut names and values, unknown types, bytes that are no UTF-8, a name told twice."""
    with pytest.raises(BadFrame):
        decode_headers(block)
    with pytest.raises(BadFrame):
        Decoder().feed(frame(block, b""))


@pytest.mark.parametrize(
    "headers",
    [{"n" * 256: True}, {"n": Byte(200)}, {"n": 1 << 63}, {"n": b"x" * 0x8000}, {"n": Uuid(b"short")},
     {f"n{i}": b"x" * 30_000 for i in range(5)}],
)  # fmt: skip
def test_headers_that_do_not_fit_are_refused(headers: dict[str, Any]):
    with pytest.raises(BadFrame):
        encode_headers(headers)


def test_a_large_frame_in_small_pieces_costs_what_its_bytes_cost():
    """Waiting for a frame looks at nothing twice: 4 MB in reads of 100 bytes."""
    wire = encode(HEADERS, b"x" * (4 << 20))
    assert len(ours(wire, 100)) == 1
