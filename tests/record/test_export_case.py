"""A trace as a case of the corpus: of its form, with its bytes, or refused with the reason."""

import json

import pytest
from tests.laws import cases, test_corpus
from tests.record.tracing import ANSWER, JSON, message, trace
from tests.traces.captures import trace_of

from gatewright.record.export_case import NoCase, case_folder, case_name, case_of, write_case
from gatewright.record.traces import Message

CORPUS = [path for place, path in cases.files() if place == "corpus"]


@pytest.mark.parametrize("path", CORPUS, ids=[f"{path.parent.name}/{path.stem}" for path in CORPUS])
def test_what_was_a_case_is_that_case_again(path, tmp_path):
    """A case of the corpus, traced and exported: the same request, the same answer byte for byte, of the corpus' form."""
    case = cases.load("corpus", path)
    traced = trace_of(case)
    again = case_of(traced, "upstream", name="again")
    folder = tmp_path / case_folder(traced)
    folder.mkdir()
    file = folder / "again.json"
    file.write_bytes(write_case(again))
    test_corpus.test_a_case_is_of_the_recordings_form(file)
    loaded = cases.load("corpus", file)
    assert (loaded.request, loaded.status, loaded.stream) == (case.request, case.status, case.stream)
    assert loaded.call.path == case.call.path
    assert loaded.call.query == case.call.query
    if case.text is None:
        assert loaded.document == case.document
    else:
        assert loaded.body == case.body


def test_both_legs_make_a_case():
    """What the provider said, and what its client was given."""
    told = trace(client_dialect="anthropic", answer=message(b'{"id":"msg_1"}'))
    assert case_of(told)["api"] == "chat.completions"
    client = case_of(told, "client")
    assert (client["api"], client["response"]["body"]) == ("messages", {"id": "msg_1"})


def test_names_are_of_letters_digits_and_underscores():
    """Whatever an id looks like."""
    assert case_name(trace(id="req_AB-01/../x")) == "trace_req_ab_01_x"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"operation": "forward"}, "model calls alone"),
        ({"upstream": ()}, "no provider was asked"),
        ({"upstream": (trace().upstream[0].__class__(attempt=0, target="a/b", dialect="openai_chat"),)}, "did not answer"),
    ],
)
def test_what_makes_no_case_is_refused_with_the_reason(changes, words):
    """The corpus has whole model calls alone."""
    with pytest.raises(NoCase, match=words):
        case_of(trace(**changes))


def test_a_cut_body_makes_no_case():
    """Half a document is not what anybody sent; what to do is said."""
    cut = Message(headers=JSON, body=ANSWER[:20], size=len(ANSWER))
    with pytest.raises(NoCase, match=r"raise traces\.max_body_bytes"):
        case_of(trace(answer=cut), "client")


def test_headers_of_a_case_are_those_that_mean_something():
    """None that says who asked."""
    headers = (*JSON, ("x-request-id", "req_1"), ("retry-after", "7"), ("openai-organization", "acme"))
    case = case_of(
        trace(answer=message(ANSWER, headers), request=message(trace().request.body, (*JSON, ("user-agent", "x")))), "client"
    )
    assert case["response"]["headers"] == {"content-type": "application/json", "retry-after": "7"}
    assert case["request"]["headers"] == {"content-type": "application/json"}
    assert json.loads(write_case(case)) == case
