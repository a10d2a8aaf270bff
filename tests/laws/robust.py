"""Law R: no document makes a dialect fall over. What is wrong is refused with words; everything else is rendered.

One rule: in every case one field of each pattern is given values of other types, chosen by a checksum so that runs are equal.
"""

import zlib
from collections.abc import Callable, Iterator

from gatewright.errors import GatewrightError
from gatewright.ir.events import Grammar
from gatewright.ir.request import Asked
from gatewright.jsontypes import JsonValue
from gatewright.wire import json as wire_json
from tests.laws import silence
from tests.laws.dialects import DIALECTS
from tests.laws.finder import Finder, Violation, crash
from tests.laws.framing import wire_of
from tests.laws.seen import ISSUER, Seen, client_request, target
from tests.laws.void import Path, pattern, spell

STRANGE: tuple[JsonValue, ...] = (
    None,
    True,
    0,
    -1,
    1e300,
    "",
    "strange",
    [],
    [None],
    ["x"],
    [{}],
    {},
    {"type": "strange"},
    {"x": [1]},
)
PER_PATTERN = {"corpus": 3, "recordings": 1}
"""How many strange values each pattern is given. The corpus is small and broad, the recordings are many and alike."""


def replaced(value: JsonValue, path: Path, new: JsonValue) -> JsonValue:
    """A copy with `new` at `path`; everything beside the path is shared."""
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(value, dict) and isinstance(head, str):
        return {**value, head: replaced(value[head], rest, new)}
    assert isinstance(value, list)
    assert isinstance(head, int)
    return [*value[:head], replaced(value[head], rest, new), *value[head + 1 :]]


def mutations(document: JsonValue, seed: str, times: int) -> Iterator[tuple[str, JsonValue]]:
    """(what was done, document)."""
    tried: set[str] = set()
    for path, _ in silence.fields(document):
        shape = pattern(path)
        if shape in tried:
            continue
        tried.add(shape)
        start = zlib.crc32(f"{seed} {shape}".encode())
        for turn in range(times):
            new = STRANGE[(start + turn * 5) % len(STRANGE)]
            yield f"{spell(path)} = {new!r}", replaced(document, path, new)


def law_robust(seen: Seen) -> list[Violation]:
    """Strange values raise nothing but our own exceptions, in requests, answers, streams and errors."""
    law, case = Finder("R", seen), seen.case
    if case.request is not None and case.call is not None and seen.request is not None:
        for what, document in mutations(silence.shortened(case.request), case.id, PER_PATTERN[case.place]):
            _try(law, f"request {what}", lambda document=document: _request(seen, document))
    if case.text is None:
        answer = _error if case.failed else _answer
        askers = {name: client_request(seen, name, stream=False) for name in DIALECTS}
        for what, document in mutations(silence.shortened(case.document), case.id, PER_PATTERN[case.place]):
            _try(law, f"answer {what}", lambda document=document: answer(seen, document, askers))
    elif not case.failed:
        askers = {name: client_request(seen, name, stream=True) for name in DIALECTS}
        for what, wire in _streams(seen):
            _try(law, f"stream {what}", lambda wire=wire: _stream(seen, wire, askers))
    return law.found


def _try(law: Finder, what: str, attempt: Callable[[], None]) -> None:
    try:
        attempt()
    except GatewrightError as refused:
        if not refused.problem.message:
            law.add(f"{what}: refused without a word")
    except Exception as error:
        law.add(f"{what}: {crash(error)}")


def _request(seen: Seen, document: JsonValue) -> None:
    call = seen.case.call
    assert call is not None
    request = seen.dialect.parse_request(type(call)(path=call.path, query=call.query, body=wire_json.encode(document)))
    for name in DIALECTS:
        try:
            wire_json.encode(DIALECTS[name].render_request(request, target(name)).body)
        except GatewrightError:
            continue


def _answer(seen: Seen, document: JsonValue, askers: dict) -> None:
    body = wire_json.encode(document)
    seen.dialect.read_usage(body)
    answer = seen.dialect.parse_response(body, Asked(issuer=ISSUER))
    for name, request in askers.items():
        wire_json.encode(DIALECTS[name].render_response(answer, request).body)


def _error(seen: Seen, document: JsonValue, askers: dict) -> None:
    problem = seen.dialect.parse_error(seen.case.status, seen.case.headers, wire_json.encode(document))
    for name in askers:
        DIALECTS[name].render_error(problem, "req_1")
        DIALECTS[name].render_stream_error(problem, "req_1")


def _streams(seen: Seen) -> Iterator[tuple[str, bytes]]:
    documents = silence.stream_documents(seen) or []
    tried: set[tuple[str, str]] = set()
    for number, (name, document) in enumerate(documents):
        kind = silence.kind_of(name, document)
        for path, _ in silence.fields(document):
            if (kind, pattern(path)) in tried:
                continue
            tried.add((kind, pattern(path)))
            start = zlib.crc32(f"{seen.case.id} {kind} {pattern(path)}".encode())
            new = STRANGE[start % len(STRANGE)]
            changed = [*documents[:number], (name, replaced(document, path, new)), *documents[number + 1 :]]
            yield (
                f"event {number} {spell(path)} = {new!r}",
                wire_of(seen.case.dialect, [(n, wire_json.encode(d)) for n, d in changed]),
            )


def _stream(seen: Seen, wire: bytes, askers: dict) -> None:
    parser = seen.dialect.stream_parser(Asked(issuer=ISSUER))
    events = [*parser.feed(wire), *parser.close()]
    grammar = Grammar()
    for event in events:
        grammar.check(event)
    assert grammar.state == "end", f"ends in state {grammar.state}"
    for name, request in askers.items():
        DIALECTS[name].stream_renderer(request).render(events)
