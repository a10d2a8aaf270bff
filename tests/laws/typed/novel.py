"""What providers may add tomorrow: a field that nobody knows, in every object of a request, an answer or a stream.

One rule: what is added is kept at home and told as lost abroad; nobody may fall over it, and nobody may pass it over in silence.
"""

from collections.abc import Iterator

from gatewright.errors import GatewrightError
from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue
from tests.laws import laws, silence
from tests.laws.finder import Violation, crash
from tests.laws.robust import replaced
from tests.laws.seen import Seen, client_request
from tests.laws.void import Path, pattern, spell

NOVEL = "brand_new"
VALUE: JsonObject = {"level": 3}


def places(value: JsonValue, at: Path = ()) -> Iterator[tuple[Path, JsonObject]]:
    """Every object that is the API's own: not the schemas, arguments and maps that users write."""
    if isinstance(value, dict):
        yield at, value
        for key, item in value.items():
            if key not in USERS:
                yield from places(item, (*at, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from places(item, (*at, i))


USERS = frozenset(
    (
        "parameters", "parametersJsonSchema", "parameters_json_schema", "input_schema", "schema", "json", "input", "args", "response",
        "metadata", "labels", "responseSchema", "responseJsonSchema", "response_schema", "response_json_schema", "usage",
        "usageMetadata", "additionalModelRequestFields", "requestMetadata", "arguments", "_meta", "structure", "logit_bias", "function_call",
    )
)  # fmt: skip
"""Keys of what users write or nobody translates (usage is metered)."""


def additions(document: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    """(where, document with one more field), each pattern of place once."""
    tried: set[str] = set()
    for path, holder in places(document):
        if (shape := pattern(path)) not in tried:
            tried.add(shape)
            yield spell(path) or "(the whole)", replaced(document, path, {**holder, NOVEL: VALUE})


def novelties(seen: Seen) -> list[Violation]:
    """Of one case, on the way to every other dialect."""
    case = seen.case
    if case.failed:
        return []
    found: list[Violation] = []

    def judge(side: str, base: dict[DialectName, bytes | None], trace: object, changed: Iterator[tuple[str, object]]) -> None:
        for where, document in changed:
            try:
                traces = trace(document)  # type: ignore[operator]
            except GatewrightError as refused:
                found.append(Violation("N", case.id, case.dialect, f"{side} {where}: refused: {refused.problem.message[:120]}"))
                continue
            except Exception as error:
                found.append(Violation("N", case.id, case.dialect, f"{side} {where}: {crash(error)}"))
                continue
            found.extend(
                Violation("N", case.id, f"{case.dialect}→{name}", f"{side} {where}: a new field vanishes in silence")
                for name, before in base.items()
                if before is not None and traces[name] == before
            )

    names = laws.others(seen)
    if case.request is not None and seen.request is not None:
        asked = silence.shortened(case.request)
        judge(
            "request",
            silence._request_traces(seen, asked, names),
            lambda d: silence._request_traces(seen, d, names),
            additions(asked),
        )
    whole = case.document if case.text is None else silence._last_document(seen)
    if whole is not None and seen.answer is not None and seen.problem is None:
        askers = {name: client_request(seen, name, stream=False) for name in names}
        answered = silence.shortened(whole)
        judge(
            "answer",
            dict(silence._answer_traces(seen, answered, askers)),
            lambda d: silence._answer_traces(seen, d, askers),
            additions(answered),
        )
    documents = silence.stream_documents(seen)
    if documents and case.dialect != "openai_responses":
        askers = {name: client_request(seen, name, stream=True) for name in names}
        judge(
            "stream",
            dict(silence._stream_traces(seen, documents, askers)),
            lambda d: silence._stream_traces(seen, d, askers),
            _added(documents),
        )
    return found


def _added(documents: list[tuple[bytes, JsonValue]]) -> Iterator[tuple[str, object]]:
    """One more field in one event, the last of its kind that has the place."""
    where: dict[str, tuple[int, Path, JsonObject]] = {}
    for number, (name, document) in enumerate(documents):
        if silence.kind_of(name, document) == "ping":
            continue  # says nothing, whatever it says
        for path, holder in places(document):
            where[f"{silence.kind_of(name, document)}:{pattern(path)}"] = (number, path, holder)
    for shape, (number, path, holder) in where.items():
        name, document = documents[number]
        changed = list(documents)
        changed[number] = (name, replaced(document, path, {**holder, NOVEL: VALUE}))
        yield shape, changed
