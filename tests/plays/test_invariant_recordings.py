"""Recorded traffic at Invariant's paths: what Explorer is pushed equals what the reference's converters make of the same bytes.

A share of the recordings in the suite; all of them with GATEWRIGHT_ALL_RECORDINGS=1.
"""

import json
import os
from collections import Counter

import msgspec
import pytest

from gatewright.invariant.choices import other_choices
from gatewright.invariant.messages import messages_of
from tests.invariant import oracle
from tests.laws import cases, seen
from tests.plays.invariant_scene import DATASET, DIALECTS, key_lines, scene
from tests.pricing.replaying import wire_of
from tests.serving import call

SHARE = 1 if os.environ.get("GATEWRIGHT_ALL_RECORDINGS") else 9


def recorded(dialect):
    """(case, view) of what was asked and answered in a dialect."""
    found = []
    for place, path in cases.files():
        case = cases.load(place, path)
        view = seen.see(place, path)
        if case.dialect == dialect and case.call is not None and not case.failed and view.request and view.answer:
            found.append((case, view))
    return found[::SHARE]


def path_of(case, dialect):
    root = f"/api/v1/gateway/{DATASET}"
    if dialect == "openai_chat":
        return f"{root}/openai/chat/completions"
    if dialect == "anthropic":
        return f"{root}/anthropic/v1/messages"
    method = "streamGenerateContent" if case.stream else "generateContent"
    alt = "?alt=sse" if case.stream and not case.body.startswith(b"[") else ""
    return f"{root}/gemini/v1beta/models/m:{method}{alt}"


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_recordings_are_pushed_as_the_reference_converts_them(tmp_path, dialect):
    """Whole answers: message for message. Streams: as the whole answer would be, where the reference loses parts of them."""
    told = Counter()
    async with scene(tmp_path, deadline_s=30) as s:
        for case, view in recorded(dialect):
            s.up.answers = [[wire_of(case)]]
            got = await call(s.port, path_of(case, dialect), case.call.body, headers=key_lines(dialect))
            if got.status != 200:  # what the gateway itself refuses: it says why, and nothing is pushed
                told["refused"] += 1
                continue
            (pushed,) = (await s.explorer.trace(told["pushed"] + 1))["messages"]
            told["pushed"] += 1
            whole = case.document if case.text is None else None
            try:
                wanted = oracle.messages(dialect, json.loads(case.call.body), whole) if isinstance(whole, dict) else None
            except oracle.Lost:
                told["lost by the reference"] += 1
                wanted = None
            told["as the reference"] += wanted is not None
            if wanted is None:
                others = (*view.answer.others, *other_choices(view.events))
                wanted = messages_of(view.request, msgspec.structs.replace(view.answer, others=others), dialect)
            assert pushed == wanted, case.id
        counts = s.gw.house.current.exploring.explorer.counts
        assert (counts.dropped, counts.failed) == (0, 0)
    print(dialect, dict(told))
    assert told["pushed"] >= 5
    assert told["refused"] <= told["pushed"] // 10
    assert told["as the reference"] >= 2
