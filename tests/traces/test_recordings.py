"""Recorded traffic through a gateway that traces: every exchange makes a case of the corpus that keeps the laws.

In the suite a share of the recordings is captured for clients of two dialects each, in turns; `python -m tests.traces` has all
clients ask for all of them.
"""

import os

import pytest

from tests.laws import cases
from tests.traces.judging import Found, judge
from tests.traces.replaying import CLIENTS, Asked, capture, every

SHARE = 23
"""One in so many is in the suite."""


@pytest.fixture(scope="module")
def captured(tmp_path_factory):
    """Some recordings of every dialect, each asked for by a client of its own and by one of another."""
    if cases.recordings_root() is None:
        message = "NO RECORDED TRAFFIC: set GATEWRIGHT_RECORDINGS to its folder; nothing was captured"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    wanted = []
    for number, (place, path, case) in enumerate(every(place="recordings")):
        if number % SHARE == 0:
            other = [name for name in CLIENTS if name != case.dialect][number // SHARE % 4]
            wanted += [Asked(place, path, case.dialect), Asked(place, path, other)]
    return capture(tmp_path_factory.mktemp("captured"), wanted)


def test_captured_recordings_are_cases_that_keep_the_laws(captured, tmp_path):
    """What the provider was sent and what it said, as traced: the recorded answer byte for byte, under every law."""
    found = Found()
    for asked, answered, trace in captured:
        judge(found, tmp_path, asked, answered, trace)
    print(found.told())
    assert not found.wrong, "\n".join(found.wrong[:40])
    assert sum(found.cases.values()) >= 60, found.told()
    assert {pair.partition("←")[0] for pair in found.cases} == set(CLIENTS)


def test_a_case_that_was_changed_is_noticed(captured, tmp_path):
    """The comparison itself can fail."""
    asked, answered, trace = next(one for one in captured if one[2].upstream and one[0].seen.case.text is None)
    call = trace.upstream[-1]
    other = call.__class__(**{**_fields(call), "answer": type(call.answer)(headers=call.answer.headers, body=b"{}", size=2)})
    found = Found()
    judge(found, tmp_path, asked, answered, trace.__class__(**{**_fields(trace), "upstream": (other,)}))
    assert any("another document" in line for line in found.wrong)


def _fields(struct):
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def test_a_client_is_traced_what_it_was_answered(captured):
    """The client's leg is what came over its socket."""
    for asked, answered, trace in captured:
        assert trace.answer.body == answered.body, asked.name
        assert trace.status == answered.status
