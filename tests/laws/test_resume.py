"""Recorded streams, cut here and there and gone on with by another API: the client's own parser reads one answer, or nobody tries."""

import re
from collections.abc import Iterator

import msgspec
import pytest

from gatewright.dialects import BY_NAME
from gatewright.ir.blocks import Reasoning, Text
from gatewright.ir.continuing import continued, why_not
from gatewright.ir.events import Grammar, MessageStart, MessageStop, StreamError
from gatewright.ir.fold import Folder, unfold
from gatewright.ir.request import Asked, Request
from gatewright.ir.response import Finish, Response, Usage
from gatewright.pipeline.continuation import Live, Spliced, reads_on
from gatewright.wire.eventstream import Splitter
from tests.laws import cases

NAMES = tuple(BY_NAME)
CUTS = 9
"""Places in each stream."""
ASKED = Asked(issuer="one")
HELD = {"stream_image", "stream_partial_args", "stream_server_tool"}
"""Cases with blocks of which a part is out before they are blocks."""
_EVENT = re.compile(rb".*?(?:\r\n\r\n|\n\n|\r\r|\Z)", re.DOTALL)
PATHS = [
    (place, path)
    for place, path in cases.files()
    if (case := cases.load(place, path)).stream and case.text is not None and not case.failed
]


def steps(case: cases.Case) -> list[bytes]:
    """The stream, event by event."""
    if case.binary:
        return list(Splitter().feed(case.body))
    return [found.group() for found in _EVENT.finditer(case.body) if found.group()]


def request_of(case: cases.Case) -> Request:
    request = BY_NAME[case.dialect].parse_request(case.call or cases.minimal_call(case.dialect, stream=True))
    if case.dialect != "gemini":
        return request
    return msgspec.structs.replace(request, client={**request.client, "alt": "sse"})  # as it was, whatever was kept of the URL


def told_by(origin: str, text: str) -> list:
    """An answer as the events of an API, with all that it says beside it."""
    abroad = "openai_chat" if origin == "anthropic" else "anthropic"
    usage = Usage(input=1, output=1)
    blocks = (Reasoning(text="hm"), Text(text=text))
    response = Response(origin=abroad, id="z", model="z", blocks=blocks, finish=Finish(reason="stop"), usage=usage)
    dialect = BY_NAME[origin]
    renderer = dialect.stream_renderer(dialect.parse_request(cases.minimal_call(origin, stream=True)))
    parser = dialect.stream_parser(Asked())
    return [*parser.feed(renderer.render(unfold(response))), *parser.close()]


def cuts_of(case: cases.Case) -> Iterator[bytes]:
    found = steps(case)
    for cut in sorted({len(found) * k // CUTS for k in range(CUTS)}):
        yield b"".join(found[:cut])


def resumed(case: cases.Case, out: bytes, other: str) -> bool | None:
    """Whether the stream goes on from `out`; None: it need not, or must not."""
    dialect, request = BY_NAME[case.dialect], request_of(case)
    before = dialect.stream_parser(ASKED).feed(out)
    if any(isinstance(event, MessageStop | StreamError) for event in before):
        return None
    checked, live = (Live(dialect.stream_renderer(request), dialect) for _ in range(2))
    checked.render(before)
    live.render(before)
    delivered = live.delivered
    if why_not(request, delivered):
        return None
    if not reads_on(checked, request, out, b""):
        return False
    onward = continued(request, delivered, "turn")
    wire = Spliced(live, onward, request, None).render(told_by(other, f"{onward.anchor} and so on."))
    parser = dialect.stream_parser(ASKED)
    told = [*parser.feed(out + wire), *parser.close()]
    grammar, folder = Grammar(), Folder()
    for event in told:
        grammar.check(event)
        folder.add(event)
    assert folder.problem is None, folder.problem
    whole = folder.response
    said = "".join(block.text for block in whole.blocks if isinstance(block, Text))
    assert said.split() == [*delivered.text.split(), "and", "so", "on."]
    assert said.startswith(delivered.text.rstrip())
    assert whole.finish is not None
    assert whole.finish.reason == "stop"
    if begun := [event for event in before if isinstance(event, MessageStart)]:
        assert (whole.id, whole.model) == (begun[0].id, begun[0].model)
    earlier = Folder()
    for event in before:
        earlier.add(event)
    ended = len(delivered.blocks) - delivered.open
    assert whole.blocks[:ended] == tuple(earlier.blocks[:ended])
    return True


@pytest.mark.parametrize("dialect", NAMES)
def test_a_recorded_stream_goes_on_from_any_cut(dialect):
    """What providers really send, cut between any two events: blocks, words and names of the first stay, the rest is joined."""
    tally: dict[bool | None, int] = {True: 0, False: 0, None: 0}
    for number, (place, path) in enumerate(PATHS):
        case = cases.load(place, path)
        if case.dialect != dialect or (dialect == "gemini" and case.body.lstrip()[:1] in (b"[", b"{")):
            continue
        for at, out in enumerate(cuts_of(case)):
            try:
                found = resumed(case, out, NAMES[(number + at) % len(NAMES)])
            except AssertionError as error:
                raise AssertionError(f"{place}/{path.name}, cut {at}") from error
            half_told = path.stem in HELD or b".done" in out.rpartition(b"event: ")[2]  # ends that Responses tells three times
            assert found is not False or half_told, f"{place}/{path.name}, cut {at}: not to be gone on from"
            tally[found] += 1
    assert tally[True] > 5, tally


def test_half_a_block_is_not_gone_on_from():
    """Its beginning is out, though no parser calls it a block yet."""
    names = [("gemini", "stream_partial_args"), ("bedrock_converse", "stream_image"), ("bedrock_converse", "stream_server_tool")]
    held = [cases.load(place, path) for place, path in PATHS if (path.parent.name, path.stem) in names]
    assert len(held) == len(names)
    assert all(any(resumed(case, out, "anthropic") is False for out in cuts_of(case)) for case in held)
