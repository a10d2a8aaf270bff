"""What a trace's bytes mean: as its dialect reads them, or a note that says why not. It never fails."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws import cases
from tests.laws.seen import see
from tests.record.tracing import ANSWER, ASKED, JSON, message, trace
from tests.traces.captures import trace_of

from gatewright.ir.blocks import Text, ToolCall
from gatewright.record.export_meaning import meaning_of
from gatewright.record.traces import Message

CORPUS = [path for place, path in cases.files() if place == "corpus"]


def test_a_conversation_is_read():
    """Both ways."""
    meaning = meaning_of(trace())
    assert [message.role for message in meaning.request.messages] == ["system", "user"]
    assert [type(block) for block in meaning.answer.blocks] == [Text, ToolCall]
    assert meaning.notes == ()


@pytest.mark.parametrize("path", CORPUS, ids=[f"{path.parent.name}/{path.stem}" for path in CORPUS])
def test_every_case_is_read_or_noted(path):
    """Whole or streamed, in every dialect: an answer that there is, or the words of what became of it."""
    case = cases.load("corpus", path)
    if case.call is None:
        return
    meaning = meaning_of(trace_of(case))
    assert meaning.request is not None
    if case.failed:
        assert meaning.answer is None
    else:
        assert meaning.answer is not None or meaning.notes
        assert (see("corpus", path).problem is not None) == bool(meaning.notes), meaning.notes


def test_every_choice_of_a_stream_is_told():
    """The first as the answer, the others as a whole answer would have them."""
    pieces = [(0, "Low"), (1, "High"), (0, " tide."), (1, " tide.")]
    chunks = [{"choices": [{"index": index, "delta": {"role": "assistant", "content": text}}]} for index, text in pieces]
    chunks += [{"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]} for index in (0, 1)]
    body = b"".join(b"data: %b\n\n" % json.dumps({"id": "c", "model": "m", **chunk}).encode() for chunk in chunks)
    headers = (("content-type", "text/event-stream"),)
    answer = meaning_of(trace(answer=Message(headers=headers, body=body + b"data: [DONE]\n\n", size=len(body) + 14))).answer
    assert "".join(block.text for block in answer.blocks) == "Low tide."
    assert [one["message"]["content"] for one in answer.others] == ["High tide."]


def test_what_was_cut_is_said():
    """A request that was cut is not read as another one; of a stream, what came is told."""
    cut = Message(headers=JSON, body=ASKED[:100], size=len(ASKED))
    meaning = meaning_of(trace(request=cut))
    assert meaning.request is None
    assert meaning.notes[0].startswith("of the request 100 of")
    whole = meaning_of(trace(answer=Message(headers=JSON, body=ANSWER[:50], size=len(ANSWER))))
    assert whole.answer is None
    assert "50 of" in whole.notes[0]


def test_what_is_no_model_call_means_nothing_here():
    """Embeddings, files, lists."""
    assert meaning_of(trace(operation="forward", path="/v1/embeddings")).request is None


@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from(sorted(cases.MODEL)))
def test_nonsense_never_fails(asked, answered, dialect):
    """A store may be older than the program, or somebody else's."""
    for kind in ("application/json", "text/event-stream", "application/vnd.amazon.eventstream", ""):
        told = trace(client_dialect=dialect, request=message(asked), answer=message(answered, (("content-type", kind),)))
        meaning_of(told)
