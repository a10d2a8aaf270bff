"""The laws of translation, one function each: a case in, violations out. Tests, the report and the golden files share them.

1 home: nothing is lost in the same dialect          2 fold and unfold are inverse         3 any chunking gives the same events
4 one grammar, and meaning survives every pair       5 no silent loss                      6 a seal comes back as it went
7 the official SDKs are content                      E errors keep status, message and retry-after in every dialect
P what passes through is not touched, and is understood as if translated
R no document makes a dialect fall over
(8, the golden files, is in golden.py.)
"""

from collections.abc import Callable

from gatewright.errors import GatewrightError
from gatewright.ir.blocks import DialectName, Text, ToolCall
from gatewright.ir.events import Grammar, MessageStop, StreamError, StreamEvent
from gatewright.ir.fold import fold, unfold
from gatewright.ir.request import Asked, Rendered
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject
from gatewright.wire import json as wire_json
from tests.laws import chunking, oracles, replay, sdk_readers, silence
from tests.laws.dialects import DIALECTS
from tests.laws.failing import law_errors
from tests.laws.finder import Finder, Violation, crash
from tests.laws.passing import law_passing
from tests.laws.robust import law_robust
from tests.laws.seen import (
    ISSUER,
    Seen,
    arguments,
    call_for,
    calls_of,
    client_request,
    differences,
    node_differences,
    seals_of,
    target,
    text_of,
)


def others(seen: Seen) -> list[DialectName]:
    return [name for name in DIALECTS if name != seen.case.dialect]


def rendered_request(seen: Seen, name: DialectName) -> Rendered:
    """The case's request for an upstream of `name`; at home with the model the client named."""
    assert seen.request is not None
    model = seen.request.model if name == seen.case.dialect else ""
    return DIALECTS[name].render_request(seen.request, target(name, model))


# ------------------------------------------------------------------------------------------------ law 1


def law_1(seen: Seen) -> list[Violation]:
    """render(parse(x)) == x as JSON in the same dialect."""
    law, case = Finder("1", seen), seen.case
    if seen.request_error is not None and not case.failed:
        law.add(f"request is not parsed: {crash(seen.request_error)}")
    if seen.request is not None:
        rendered = rendered_request(seen, case.dialect)
        law.all(differences(_asked_at_home(seen), rendered.body), about="request ")
        law.all([f"{loss.path}: {loss.why}" for loss in rendered.losses], about="request loses at home ")
    if case.failed:
        return law.found
    if seen.answer_error is not None:
        law.add(f"answer is not parsed: {crash(seen.answer_error)}")
    elif case.text is None and seen.answer is not None:
        request = client_request(seen, case.dialect, stream=False)
        home = seen.dialect.render_response(seen.answer, request)
        law.all(differences(case.document, home.body), about="answer ")
        law.all([f"{loss.path}: {loss.why}" for loss in home.losses], about="answer loses at home ")
    elif seen.answer is not None and seen.problem is None:
        again = _again(seen, case.dialect, seen.events)
        law.all(node_differences(seen.answer, fold(again)), about="stream ")
    return law.found


def _asked_at_home(seen: Seen) -> JsonObject:
    """The request's document; a Chat stream is always asked for its usage (the client is not shown it unless it asked, too)."""
    document = seen.case.request or {}
    if seen.case.dialect != "openai_chat" or document.get("stream") is not True:
        return document
    options = document.get("stream_options")
    return {**document, "stream_options": {**(options if isinstance(options, dict) else {}), "include_usage": True}}


def stream_wire(seen: Seen, name: DialectName, events: tuple[StreamEvent, ...]) -> bytes:
    """The events as a stream for a client of `name`."""
    return DIALECTS[name].stream_renderer(client_request(seen, name, stream=True)).render(events)


def _again(seen: Seen, name: DialectName, events: tuple[StreamEvent, ...]) -> list[StreamEvent]:
    """The events rendered for a client of `name` and parsed once more."""
    parser = DIALECTS[name].stream_parser(Asked(issuer=ISSUER))
    return [*parser.feed(stream_wire(seen, name, events)), *parser.close()]


# -------------------------------------------------------------------------------------------- laws 2, 3


def law_2(seen: Seen) -> list[Violation]:
    """fold(unfold(r)) == r."""
    law = Finder("2", seen)
    if seen.answer is not None and seen.problem is None:
        events = unfold(seen.answer)
        grammar = Grammar()
        for event in events:
            grammar.check(event)
        again = fold(events)
        if again != seen.answer:
            law.all(node_differences(seen.answer, again) or ["paths differ"])
    return law.found


def law_3(seen: Seen) -> list[Violation]:
    """Any chunking of a stream gives the same events."""
    law, case = Finder("3", seen), seen.case
    if case.text is None or case.failed or not seen.events:
        return law.found
    for way, chunks in chunking.feeds(case.body, case.read_sizes, binary=case.binary):
        parser = seen.dialect.stream_parser(Asked(issuer=ISSUER))
        events: list[StreamEvent] = []
        for chunk in chunks:
            events += parser.feed(chunk)
        events += parser.close()
        if tuple(events) != seen.events:
            at = next(
                (i for i, (a, b) in enumerate(zip(events, seen.events, strict=False)) if a != b),
                min(len(events), len(seen.events)),
            )
            law.add(
                f"{way}: {len(events)} events, not {len(seen.events)}; the first to differ is {at}: {str(events[at : at + 1])[:150]}"
            )
    return law.found


# ------------------------------------------------------------------------------------------------ law 4


def law_4(seen: Seen) -> list[Violation]:
    """Parsers emit only the grammar, renderers accept all of it, and what comes out means what went in."""
    law, case = Finder("4", seen), seen.case
    if case.failed:
        return law.found
    if case.text is not None:
        if seen.answer_error is not None:
            law.add(f"the stream's parser raised {crash(seen.answer_error)}")
            return law.found
        law.all(_ungrammatical(seen.events), about="its own parser: ")
    if seen.answer is None:
        if seen.problem is None:
            law.add("neither an answer nor a problem was parsed")
        return law.found
    events = seen.events or tuple(unfold(seen.answer))
    for name in DIALECTS:
        try:
            again = _again(seen, name, events)
        except Exception as error:
            law.add(f"stream: {crash(error)}", name)
            continue
        law.all(_ungrammatical(again), name, about="stream parsed again: ")
        if type(events[-1]) is not type(again[-1] if again else None):
            law.add(
                f"stream ends in {type(again[-1] if again else None).__name__}, not {type(events[-1]).__name__}: {again[-1:]}"[
                    :300
                ],
                name,
            )
        elif not isinstance(again[-1], StreamError):
            law.all(_meaning(seen.answer, fold(again)), name, about="stream ")
    if seen.problem is None:
        for name in DIALECTS:
            try:
                rendered = DIALECTS[name].render_response(seen.answer, client_request(seen, name, stream=False))
                once_more = DIALECTS[name].parse_response(wire_json.encode(rendered.body), Asked(issuer=ISSUER))
            except Exception as error:
                law.add(f"answer: {crash(error)}", name)
                continue
            law.all(_meaning(seen.answer, once_more), name, about="answer ")
    return law.found


def _ungrammatical(events: list[StreamEvent] | tuple[StreamEvent, ...]) -> list[str]:
    grammar = Grammar()
    for number, event in enumerate(events):
        try:
            grammar.check(event)
        except AssertionError as error:
            return [f"event {number}: {error}"]
    return [] if grammar.state == "end" else [f"ends in state {grammar.state!r}"]


def _meaning(meant: Response, told: Response) -> list[str]:
    """Text and tool calls that changed their meaning. Blocks only the origin knows may be told in words abroad."""
    found: list[str] = []
    one, other = text_of(meant.blocks), text_of(told.blocks)
    if one != other:
        at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        found.append(f"text differs at {at}: {one[at : at + 50]!r} became {other[at : at + 50]!r}")
    calls, again = calls_of(meant.blocks), calls_of(told.blocks)
    same = len(calls) == len(again) and all(
        a[0] == b[0] and (a[1] == b[1] or a[1] is None or b[1] is None) for a, b in zip(calls, again, strict=True)
    )
    if not same:
        found.append(f"tool calls {str(calls)[:150]} became {str(again)[:150]}")
    return found


# --------------------------------------------------------------------------------------------- laws 5, 6


def law_5(seen: Seen, *, tolerant: bool = False) -> list[Violation]:
    """No silent loss, in requests, whole answers and streams, on the way to every other dialect. `tolerant`: see `silence.py`."""
    names = others(seen)
    found = silence.request_silences(seen, names, tolerant=tolerant)
    return found + silence.answer_silences(seen, names) + silence.stream_silences(seen, names)


def law_6(seen: Seen) -> list[Violation]:
    """A seal shown to any client and replayed equals itself."""
    law = Finder("6", seen)
    if seen.answer is None or seen.problem is not None or not (sealed := seals_of(seen.answer.blocks)):
        return law.found
    for name in DIALECTS:
        for way in ("answer", "stream"):
            try:
                back = replay.seals_after_replay(seen, name, streamed=way == "stream")
            except Exception as error:
                law.add(f"{way}: {crash(error)}", name)
                continue
            lost = [seal for seal in sealed if seal not in back]
            if lost:
                law.add(
                    f"{way}: {len(lost)} of {len(sealed)} seals did not come back, such as {lost[0][:40]!r}; back came {len(back)}",
                    name,
                )
    return law.found


# ------------------------------------------------------------------------------------------------ law 7


def law_7(seen: Seen) -> list[Violation]:
    """Every rendered body validates against the official SDKs' types, and every rendered stream is read to the end by them.

    That the providers themselves would take the requests is held in tests/upstreams.
    """
    law, case = Finder("7", seen), seen.case
    if case.failed:
        return law.found
    for name in others(seen):
        if seen.request is not None:
            _judge_request(law, seen, name)
        if seen.answer is not None:
            _judge_answer(law, seen, name)
            _judge_stream(law, seen, name)
    return law.found


def _judge_request(law: Finder, seen: Seen, name: DialectName) -> None:
    case = seen.case
    assert case.request is not None
    try:
        rendered = rendered_request(seen, name)
    except GatewrightError as refused:
        if not refused.problem.message:
            law.add("request refused without a message", name)
        return
    except Exception as error:
        law.add(f"request: {crash(error)}", name)
        return
    law.all(oracles.request(name, rendered.body), name, about="request ")
    try:
        again = DIALECTS[name].parse_request(call_for(name, rendered))
    except Exception as error:
        law.add(f"request rendered is not parsed again: {crash(error)}", name)
        return
    if bool(again.stream) != bool(seen.request and seen.request.stream):
        law.add(f"request: stream is {again.stream}", name)


def _judge_answer(law: Finder, seen: Seen, name: DialectName) -> None:
    if seen.problem is not None:
        return
    assert seen.answer is not None
    try:
        rendered = DIALECTS[name].render_response(seen.answer, client_request(seen, name, stream=False))
    except Exception as error:
        law.add(f"answer: {crash(error)}", name)
        return
    law.all(oracles.answer(name, rendered.body), name, about="answer ")


def _judge_stream(law: Finder, seen: Seen, name: DialectName) -> None:
    assert seen.answer is not None
    events = seen.events or tuple(unfold(seen.answer))
    try:
        wire = stream_wire(seen, name, events)
    except Exception as error:
        law.add(f"stream: {crash(error)}", name)
        return
    if name == "openai_chat" and b'"type":"custom"' in wire:
        return  # The API streams calls of custom tools so; openai 3.52 types them in whole answers only.
    law.all(oracles.stream_shapes(name, wire), name, about="stream ")
    told = sdk_readers.read_stream(name, wire)
    if isinstance(events[-1], StreamError):
        if told.error is None:
            law.add("stream: the SDK did not notice the error", name)
        return
    if told.error is not None:
        law.add(f"stream: the SDK raised {crash(told.error)}", name)
    elif not told.ended and isinstance(events[-1], MessageStop) and events[-1].finish is not None:
        law.add("stream: the SDK saw no end", name)
    elif told.text or told.calls:
        law.all(_as_told(seen.answer, told), name, about="stream read by the SDK: ")


def _as_told(answer: Response, told: sdk_readers.Told) -> list[str]:
    found = []
    said = "".join(block.text for block in answer.blocks if isinstance(block, Text))
    text = text_of(answer.blocks)
    if told.text not in (said, text):  # the SDKs keep a refusal apart, where their dialect does
        found.append(f"text {told.text[:60]!r}, not {text[:60]!r}")
    calls = [(block.name, arguments(block.arguments)) for block in answer.blocks if isinstance(block, ToolCall)]
    if [name for name, _ in calls] != [name for name, _ in told.calls]:
        found.append(f"tool calls {told.calls}, not {calls}"[:300])
    return found


LAWS: dict[str, Callable[[Seen], list[Violation]]] = {
    "1": law_1,
    "2": law_2,
    "3": law_3,
    "4": law_4,
    "5": law_5,
    "6": law_6,
    "7": law_7,
    "E": law_errors,
    "P": law_passing,
    "R": law_robust,
}
ALL = "".join(LAWS)


def violations(seen: Seen, laws: str = ALL, *, tolerant: bool = False) -> list[Violation]:
    """All that one case violates. A law that itself falls over is a violation, not an end. `tolerant`: see `law_5`."""
    found: list[Violation] = []
    for law in laws:
        try:
            found += law_5(seen, tolerant=True) if tolerant and law == "5" else LAWS[law](seen)
        except Exception as error:
            found.append(Violation(law, seen.case.id, seen.case.dialect, f"raised {crash(error)}"))
    return found
