"""Law P: what passes through in its own dialect passes byte for byte, and watching it tells the same as translating it."""

from collections.abc import Sequence

import msgspec

from gatewright.ir.events import MessageStop, StreamError, StreamEvent, UsageUpdate
from gatewright.ir.request import Asked
from gatewright.ir.response import Usage
from gatewright.wire import json as wire_json
from gatewright.wire.http import Call
from gatewright.wire.splice import splice
from tests.laws import chunking
from tests.laws.cases import IN_PATH
from tests.laws.finder import Finder, Violation
from tests.laws.seen import ISSUER, Seen, client_call, differences, node_differences, target
from tests.passing import watched

replace = msgspec.structs.replace
SLOW_BYTES = 1 << 14
"""Beyond this a stream is watched by seven bytes at a time, not by one."""


def law_passing(seen: Seen) -> list[Violation]:
    """Watch, read_usage, peek, pass_edits and pass_path agree with the translation of the same bytes."""
    law, case = Finder("P", seen), seen.case
    if seen.request is not None and case.call is not None and not case.failed:
        _judge_edits(law, seen, case.call)
    if case.failed or seen.answer is None:
        return law.found
    if case.text is None:
        if seen.problem is None:
            law.all(node_differences(_axes(seen.dialect.read_usage(case.body)), _axes(seen.answer.usage)), about="read_usage ")
        return law.found
    call = client_call(seen, case.dialect, stream=True)
    if case.body.startswith(b"["):  # a Gemini client that did not ask for server-sent events
        call = Call(path=call.path, body=call.body)
    small = 1 if len(case.body) < SLOW_BYTES else 7
    for way, chunks in (("at once", [case.body]), (f"by {small}", chunking.in_sizes(case.body, small))):
        watch = seen.dialect.watch(call)
        passed = watched(watch, chunks, sse=not case.binary and not case.body.startswith(b"["))
        if passed != case.body:
            at = next(
                (i for i, (a, b) in enumerate(zip(passed, case.body, strict=False)) if a != b), min(len(passed), len(case.body))
            )
            law.add(f"watched {way}: {len(passed)} bytes, not {len(case.body)}; differ at {at}: {passed[at : at + 60]!r}")
        law.all(node_differences(_axes(watch.usage), _axes(seen.answer.usage)), about=f"watched {way}: usage ")
        ended = isinstance(seen.events[-1], MessageStop)
        if ended and not watch.finished:
            law.add(f"watched {way}: the end was not seen")
        if isinstance(seen.events[-1], StreamError) and watch.finished and watch.problem is None:
            law.add(f"watched {way}: neither an error nor a cut was seen: {str(seen.problem)[:120]}")
        if not watch.content and any(type(event).__name__ == "TextDelta" for event in seen.events):
            law.add(f"watched {way}: content was not seen")
    if case.dialect == "openai_chat":
        _judge_unasked(law, seen, call)
    return law.found


def _judge_unasked(law: Finder, seen: Seen, call: Call) -> None:
    """A Chat client that did not ask for usage gets all but the usage-only chunk."""
    body = {key: value for key, value in wire_json.decode_object(call.body).items() if key != "stream_options"}
    watch = seen.dialect.watch(Call(path=call.path, body=wire_json.encode(body)))
    passed = watched(watch, [seen.case.body])
    parser = seen.dialect.stream_parser(Asked(issuer=ISSUER))
    if _told([*parser.feed(passed), *parser.close()]) != _told(seen.events):
        law.add("watched for a client that asked for no usage: more than usage is missing")
    law.all(
        node_differences(_axes(watch.usage), _axes(seen.answer.usage if seen.answer else None)),
        about="watched, usage not asked for: usage ",
    )


def _axes(usage: Usage | None) -> Usage | None:
    """The figures, for a watch need not keep the object they stood in."""
    return usage and replace(usage, raw={})


def _told(events: Sequence[StreamEvent]) -> list[StreamEvent]:
    """All but usage, and what else stood in the chunk that told it."""
    kept = [event for event in events if not isinstance(event, UsageUpdate)]
    return [MessageStop(finish=event.finish) if isinstance(event, MessageStop) else event for event in kept]


def _judge_edits(law: Finder, seen: Seen, call: Call) -> None:
    request = seen.request
    assert request is not None
    peeked = seen.dialect.peek(call)
    if (peeked.model, peeked.stream) != (request.model, bool(request.stream)):
        law.add(f"peek: {peeked}, not {request.model!r}, {request.stream}")
    there = target(seen.case.dialect, "another-model")
    edits = seen.dialect.pass_edits(call, there)
    edited = wire_json.decode_object(splice(call.body, edits) if edits else call.body)
    expected = dict(seen.case.request or {})
    for key in ("stream_options",):
        if key in edited:
            expected[key] = edited[key]
    if seen.case.dialect not in IN_PATH:
        expected["model"] = "another-model"
    law.all(differences(expected, edited), about="pass_edits ")
    path = seen.dialect.pass_path(call, there)
    if not path.startswith("/") or (seen.case.dialect in IN_PATH and "another-model" not in path):
        law.add(f"pass_path: {path!r}")
