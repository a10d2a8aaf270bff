"""Recorded traffic for Invariant's Explorer: what it is pushed is what the reference's converters make of it.

In the suite a share of the recordings is asked for by clients of two dialects each, and one each at Invariant's own paths;
`python -m tests.traces.pushes` has all clients ask for all of them.
"""

import os

import pytest

from tests.laws import cases
from tests.serving import Answer
from tests.traces.pushing import Pushes, at_the_paths, judge, pushed
from tests.traces.replaying import CLIENTS, Asked, every

SHARE = 11
"""One in so many is in the suite."""


@pytest.fixture(scope="module")
def recordings():
    if cases.recordings_root() is None:
        message = "NO RECORDED TRAFFIC: nothing was pushed; set GATEWRIGHT_RECORDINGS"
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return list(every(place="recordings"))


async def test_what_explorer_is_pushed_of_ordinary_traffic_has_the_references_form(recordings, tmp_path):
    """Whoever answered, and however: what its client sent and was given, message for message."""
    wanted = []
    for number, (place, path, case) in enumerate(recordings[::SHARE]):
        other = [name for name in CLIENTS if name != case.dialect][number % 4]
        wanted += [Asked(place, path, case.dialect), Asked(place, path, other)]
    found = Pushes()
    for one in await pushed(tmp_path, wanted):
        judge(found, *one)
    assert not found.different, "\n".join(found.different[:40])
    assert sum(found.same.values()) >= 100, found.told()
    assert sum(found.excused.values()) < sum(found.same.values()) / 3, found.told()
    assert {pair.partition("←")[0] for pair in found.same} == set(CLIENTS)
    assert {pair.partition("←")[2] for pair in found.same} == set(CLIENTS)


async def test_explorer_is_pushed_what_the_reference_would_push(recordings, tmp_path):
    """Recorded answers at Invariant's own paths, their bytes passing: one trace each, message for message."""
    found = await at_the_paths(tmp_path, recordings[5::SHARE])
    assert not found.different, "\n".join(found.different[:40])
    assert sum(found.same.values()) >= 30, found.told()
    assert {pair.partition("←")[2] for pair in found.same} == {"openai_chat", "anthropic", "gemini"}


async def test_a_push_that_differs_is_noticed(recordings, tmp_path):
    """The comparison itself can fail: on another word, on a message too few, on a push that should not be or is missing."""
    place, path, _ = next(
        one for one in recordings if one[2].dialect == "anthropic" and one[2].text is None and not one[2].failed
    )
    [(asked, sent, answered, body)] = await pushed(tmp_path, [Asked(place, path, "anthropic")])
    assert body is not None
    [messages] = body["messages"]
    for other in (
        {**body, "messages": [[*messages[:-1], {**messages[-1], "content": "another"}]]},
        {**body, "messages": [messages[:-1]]},
        {**body, "messages": [messages, messages]},
        {**body, "dataset": "another"},
        None,
    ):
        found = Pushes()
        judge(found, asked, sent, answered, other)
        assert len(found.different) == 1, other
    found = Pushes()
    judge(found, asked, sent, Answer(status=500, headers={}, body=b"{}"), body)
    assert len(found.different) == 1
