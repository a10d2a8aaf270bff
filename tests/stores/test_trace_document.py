"""A trace as it is kept: it comes back as it was, and bytes that have passed from leg to leg stand in it once."""

import msgspec
import pytest
from tests.record.tracing import trace

from gatewright.stores.trace_document import CannotOpen, document_of, trace_of
from gatewright.stores.trace_terms import Message, UpstreamCall

ASKED, TOLD = b'{"model":"m","messages":[' + b"1" * 300 + b"]}", b'{"choices":[' + b"2" * 300 + b"]}"


def call(asked: bytes, told: bytes | None) -> UpstreamCall:
    answer = None if told is None else Message(body=told, size=len(told))
    return UpstreamCall(
        attempt=0, target="a/b", dialect="openai_chat", request=Message(body=asked, size=len(asked)), status=200, answer=answer
    )


@pytest.mark.parametrize("asked", [ASKED, ASKED.replace(b'"m"', b'"n"'), b""])
@pytest.mark.parametrize("told", [TOLD, TOLD.replace(b"choices", b"CHOICES"), b"", None])
def test_a_trace_comes_back_as_it_was_and_what_has_passed_is_written_once(asked, told):
    """In either direction by itself, and in both."""
    ours = trace(
        request=Message(body=ASKED, size=len(ASKED)), answer=Message(body=TOLD), upstream=(call(asked, told), call(b"", told))
    )
    document = document_of(ours)
    assert trace_of(document) == ours
    assert document.count(ASKED) == 1
    assert document.count(TOLD) == 1


def test_what_is_short_or_cut_differently_is_written_as_it_is():
    """A body of a few bytes is not worth a word about it; one of which less was kept is another."""
    cut = ASKED[:280]
    ours = trace(request=Message(body=ASKED, size=300), answer=Message(body=b"{}"), upstream=(call(cut, b"{}"),))
    assert trace_of(document_of(ours)) == ours
    assert document_of(ours).count(cut) == 2


def test_what_an_older_version_wrote_is_read():
    """Which knew nothing of requests that pass."""
    ours = trace()
    older = msgspec.msgpack.decode(document_of(ours))
    assert all("sent_on" not in one for one in older["upstream"])
    assert trace_of(msgspec.msgpack.encode(older)) == ours
    with pytest.raises(CannotOpen, match="damaged"):
        trace_of(document_of(ours)[:-1])
