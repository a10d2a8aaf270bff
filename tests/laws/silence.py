"""Law 5, no silent loss: delete any one field, and something that a person can see must change.

One rule: a deletion is noticed when the rendered document, its path or headers, the losses, or what the client's own dialect keeps
(`request.client`) change, or when it is refused. Each distinct pattern of path (indices collapsed) is deleted at least once in each case.
What is tolerant asks for less, see `request_silences`; the corpus and the recordings are never judged so.
"""

import zlib
from collections.abc import Iterator

from gatewright.errors import GatewrightError
from gatewright.ir.blocks import DialectName
from gatewright.ir.events import UsageUpdate
from gatewright.ir.loss import is_void
from gatewright.ir.request import Asked, Request
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json
from gatewright.wire.sse import sse
from tests.laws import cases
from tests.laws.dialects import DIALECTS
from tests.laws.finder import Violation
from tests.laws.framing import events_of, wire_of
from tests.laws.seen import ISSUER, Seen, client_request, encoded, target
from tests.laws.void import Path, is_implied, pattern, says_nothing, spell

PER_PATTERN = 2
"""How many fields of one pattern are deleted in a case."""
LONG = 300
"""Strings beyond this are cut for this law: they are opaque here, and copying them is what costs."""


def shortened(value: JsonValue) -> JsonValue:
    """The document with long opaque strings cut. JSON in strings and data URLs stay what they are."""
    if isinstance(value, dict):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shortened(item) for item in value]
    if isinstance(value, str) and len(value) > LONG and value[0] not in "{[":
        return value[: LONG - LONG % 4]
    return value


def fields(value: JsonValue, at: Path = ()) -> Iterator[tuple[Path, JsonValue]]:
    """Every field and item at any depth that says something."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not is_void(item):
                yield (*at, key), item
                yield from fields(item, (*at, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            if not is_void(item):
                yield (*at, i), item
                yield from fields(item, (*at, i))


def without(value: JsonValue, path: Path) -> JsonValue:
    """A copy that lacks what stands at `path`; everything beside the path is shared."""
    head, rest = path[0], path[1:]
    if isinstance(value, dict) and isinstance(head, str):
        if not rest:
            return {key: item for key, item in value.items() if key != head}
        return {**value, head: without(value[head], rest)}
    assert isinstance(value, list)
    assert isinstance(head, int)
    if not rest:
        return [*value[:head], *value[head + 1 :]]
    return [*value[:head], without(value[head], rest), *value[head + 1 :]]


def altered(value: JsonValue, path: Path) -> JsonValue:
    """A copy that says something else at `path`, of the same kind."""
    if path:
        head, rest = path[0], path[1:]
        if isinstance(value, dict):
            assert isinstance(head, str)
            return {**value, head: altered(value[head], rest)}
        assert isinstance(value, list)
        assert isinstance(head, int)
        return [*value[:head], altered(value[head], rest), *value[head + 1 :]]
    if isinstance(value, dict):
        kinds = value.keys() & {"type", "role"} if len(value) > 1 else ()
        return {key: item if key in kinds else altered(item, ()) for key, item in value.items()}
    if isinstance(value, list):
        return [altered(item, ()) for item in value]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return f"{value}x" if isinstance(value, str) else value


def _is_told(seen: Seen, document: JsonObject, path: Path, name: DialectName, base: bytes | None) -> bool:
    """Whether another value at `path` is noticed."""
    other = altered(document, path)
    assert isinstance(other, dict)
    try:
        return _request_traces(seen, other, [name])[name] != base
    except GatewrightError:  # it was read, and did not please
        return True


def deletions(dialect: DialectName, side: str, document: JsonValue) -> Iterator[tuple[Path, JsonValue]]:
    """(path, document without it), each pattern `PER_PATTERN` times."""
    tried: dict[str, int] = {}
    for path, value in fields(document):
        shape = pattern(path)
        if tried.get(shape, 0) >= PER_PATTERN or says_nothing(dialect, side, shape, value) or is_implied(document, path):
            continue
        tried[shape] = tried.get(shape, 0) + 1
        yield path, without(document, path)


def _request_traces(seen: Seen, document: JsonObject, names: list[DialectName]) -> dict[DialectName, bytes | None]:
    """For each target what can be seen of the request; None: refused. Raises GatewrightError when it is not even parsed."""
    case = seen.case
    assert case.call is not None
    call = cases.Call(path=case.call.path, query=case.call.query, headers=case.call.headers, body=wire_json.encode(document))
    request = seen.dialect.parse_request(call)
    traces: dict[DialectName, bytes | None] = {}
    for name in names:
        models = cases.GENERATIONS[name]
        model = models[zlib.crc32(f"{case.id} {name}".encode()) % len(models)]  # each generation takes its share of the cases
        try:
            rendered = DIALECTS[name].render_request(request, target(name, model))
            traces[name] = encoded(
                (rendered.body, rendered.path, rendered.headers, rendered.losses, request.client, request.model)
            )
        except GatewrightError:
            traces[name] = None
    return traces


def request_silences(seen: Seen, names: list[DialectName], *, tolerant: bool = False) -> list[Violation]:
    """Fields of the request that vanish without a word on the way to each of `names`.

    `tolerant`: what the gateway has written for a provider may say what would stand there without it, too (the `max_tokens`
    that Anthropic would be sent for want of one, an id that we would make). There a field counts as told as well when another value in
    its place is noticed.
    """
    case = seen.case
    if case.request is None or seen.request is None:
        return []
    document = shortened(case.request)
    assert isinstance(document, dict)
    found: list[Violation] = []
    try:
        base = _request_traces(seen, document, names)
    except GatewrightError as error:
        return [] if case.failed else [Violation("5", case.id, case.dialect, f"request is refused: {error}")]
    for path, changed in deletions(case.dialect, "request", document):
        assert isinstance(changed, dict)
        try:
            traces = _request_traces(seen, changed, names)
        except GatewrightError:
            continue
        found += [
            Violation("5", case.id, f"{case.dialect}→{name}", f"request {spell(path)} vanishes in silence")
            for name in names
            if base[name] is not None
            and base[name] == traces[name]
            and not (tolerant and _is_told(seen, document, path, name, base[name]))
        ]
    return found


def _answer_traces(seen: Seen, document: JsonValue, askers: dict[DialectName, Request]) -> dict[DialectName, bytes]:
    answer = seen.dialect.parse_response(wire_json.encode(document), Asked(issuer=ISSUER))
    traces: dict[DialectName, bytes] = {}
    for name, request in askers.items():
        rendered = DIALECTS[name].render_response(answer, request)
        # Usage is metered, not translated: the neutral form keeps its object verbatim (Usage.raw), whatever the client is shown.
        traces[name] = encoded((rendered.body, rendered.losses, answer.usage))
    return traces


def _last_document(seen: Seen) -> JsonValue:
    """The whole answer that a Responses stream repeats in its last event."""
    documents = stream_documents(seen) if seen.case.dialect == "openai_responses" else None
    for _, document in reversed(documents or []):
        if isinstance(document, dict) and document.get("type") in ("response.completed", "response.incomplete"):
            return document["response"]
    return None


def answer_silences(seen: Seen, names: list[DialectName]) -> list[Violation]:
    """Fields of a whole answer that vanish without a word on the way to a client of each of `names`."""
    case = seen.case
    whole = case.document if case.text is None else _last_document(seen)
    if whole is None or case.failed or seen.answer is None or seen.problem is not None:
        return []
    document = shortened(whole)
    askers = {name: client_request(seen, name, stream=False) for name in names}
    base = _answer_traces(seen, document, askers)
    found: list[Violation] = []
    for path, changed in deletions(case.dialect, "answer", document):
        try:
            traces = _answer_traces(seen, changed, askers)
        except GatewrightError:
            continue
        found += [
            Violation("5", case.id, f"{case.dialect}→{name}", f"answer {spell(path)} vanishes in silence")
            for name in names
            if base[name] == traces[name]
        ]
    return found


# ---------------------------------------------------------------------------------------------- streams


def stream_documents(seen: Seen) -> list[tuple[bytes, JsonValue]] | None:
    """(event name, document) of every event; None when the stream is not one that deletions can be tried on."""
    if seen.case.text is None or seen.problem is not None or seen.answer is None:
        return None
    documents: list[tuple[bytes, JsonValue]] = []
    for name, data in events_of(seen.case.dialect, seen.case.body):
        if not data.startswith(b"{"):
            continue
        try:
            documents.append((name, shortened(wire_json.decode_lenient(data))))
        except wire_json.BadJson:
            return None
    return documents


def kind_of(name: bytes, document: JsonValue) -> str:
    told = document.get("type") if isinstance(document, dict) else None
    return told if isinstance(told, str) else name.decode()


def _stream_traces(
    seen: Seen, documents: list[tuple[bytes, JsonValue]], askers: dict[DialectName, Request]
) -> dict[DialectName, bytes]:
    parser = seen.dialect.stream_parser(Asked(issuer=ISSUER))
    wire = wire_of(seen.case.dialect, ((name, wire_json.encode(document)) for name, document in documents))
    if seen.case.dialect == "openai_chat":
        wire += sse(b"[DONE]")
    events = [*parser.feed(wire), *parser.close()]
    usage = [event for event in events if isinstance(event, UsageUpdate)]
    traces: dict[DialectName, bytes] = {}
    for name, request in askers.items():
        renderer = DIALECTS[name].stream_renderer(request)
        traces[name] = renderer.render(events) + encoded((renderer.losses, usage))
    return traces


def stream_silences(seen: Seen, names: list[DialectName]) -> list[Violation]:
    """Fields of a stream that vanish without a word: each pattern is deleted from all events of one type at once, because streams
    repeat themselves. Responses streams repeat everything in their last event, which is judged as a whole answer instead.
    """
    case = seen.case
    documents = stream_documents(seen)
    if not documents or case.dialect == "openai_responses":
        return []
    askers = {name: client_request(seen, name, stream=True) for name in names}
    base = _stream_traces(seen, documents, askers)
    places: dict[tuple[str, str], list[tuple[int, Path]]] = {}
    for number, (name, document) in enumerate(documents):
        kind = kind_of(name, document)
        for path, value in fields(document):
            shape = pattern(path)
            if not isinstance(path[-1], int) and not says_nothing(case.dialect, "stream", f"{kind}:{shape}", value):
                places.setdefault((kind, shape), []).append((number, path))
    found: list[Violation] = []
    for (kind, shape), where in places.items():
        changed = list(documents)
        for number, path in where:
            changed[number] = (changed[number][0], without(changed[number][1], path))
        traces = _stream_traces(seen, changed, askers)
        found += [
            Violation("5", case.id, f"{case.dialect}→{name}", f"stream {kind}:{shape} vanishes in silence")
            for name in names
            if base[name] == traces[name]
        ]
    return found
