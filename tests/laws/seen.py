"""One case as the dialects see it: parsed once, asked for by every law.

One rule: nothing in here judges. What cannot be parsed is None beside the exception, and the laws say whether that is right.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

import msgspec

from gatewright.dialects.protocol import Dialect
from gatewright.errors import GatewrightError, Problem, UpstreamFailed
from gatewright.ir.blocks import Block, DialectName, Refusal, Text, ToolCall
from gatewright.ir.events import StreamEvent
from gatewright.ir.fold import Folder
from gatewright.ir.request import Asked, Rendered, Request, Target
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import json as wire_json
from gatewright.wire.http import Call
from tests.laws import cases
from tests.laws.cases import Case
from tests.laws.dialects import DIALECTS

ISSUER = "origin-endpoint"
"""Name of the endpoint that every recorded answer is taken to come from."""


@dataclass(frozen=True)
class Seen:
    case: Case
    dialect: Dialect
    request: Request | None
    request_error: Exception | None
    answer: Response | None
    """The whole answer, or what a stream folds to. None: an error, or no answer of this dialect."""
    events: tuple[StreamEvent, ...]
    """Of a stream, fed at once."""
    problem: Problem | None
    """What an error answer, an error within a 200 or an error event says."""
    answer_error: Exception | None
    """An exception that is not one of ours."""


def target(name: DialectName, model: str = "", issuer: str = ISSUER) -> Target:
    return Target(model=model or cases.MODEL[name], issuer=issuer)


@lru_cache(maxsize=4096)
def see(place: str, path: Path) -> Seen:
    return look(cases.load(place, path))


def look(case: Case) -> Seen:
    """A case that stands in no file, too."""
    dialect = DIALECTS[case.dialect]
    request, request_error = None, None
    if case.call is not None:
        try:
            request = dialect.parse_request(case.call)
        except Exception as error:
            request_error = error
    answer, events, problem, answer_error = None, [], None, None
    try:
        if case.failed:
            problem = dialect.parse_error(case.status, case.headers, case.body)
        elif case.text is None:
            answer = dialect.parse_response(case.body, Asked(issuer=ISSUER))
        else:
            parser = dialect.stream_parser(Asked(issuer=ISSUER))
            events = [*parser.feed(case.body), *parser.close()]
            folder = Folder()
            for event in events:
                folder.add(event)
            problem = folder.problem
            answer = folder.response if folder.start is not None else None
    except UpstreamFailed as failed:
        problem = failed.problem
    except Exception as error:
        answer_error = error
    return Seen(
        case=case,
        dialect=dialect,
        request=request,
        request_error=request_error,
        answer=answer,
        events=tuple(events),
        problem=problem,
        answer_error=answer_error,
    )


def path_of(rendered: Rendered) -> str:
    """The client path that the rendered provider path stands for."""
    if rendered.path.startswith("/model/"):
        return unquote(rendered.path)
    return rendered.path if rendered.path.startswith("/v1") else f"/v1beta{rendered.path}"


def call_for(name: DialectName, rendered: Rendered) -> Call:
    return cases.call_of(name, rendered.body, path=path_of(rendered) if name in cases.IN_PATH else "")


def client_body(seen: Seen, name: DialectName) -> tuple[JsonObject, str]:
    """Body and model of a request that a client of dialect `name` could have sent to get this answer: the case's own, translated."""
    case = seen.case
    if case.request is not None and name == case.dialect and seen.request is not None:
        return case.request, seen.request.model
    if seen.request is not None:
        try:
            return DIALECTS[name].render_request(seen.request, target(name)).body, cases.MODEL[name]
        except GatewrightError:
            pass
    return cases.minimal_body(name), cases.MODEL[name]


def client_call(seen: Seen, name: DialectName, *, stream: bool) -> Call:
    """That request as a call; a stream asks for all there is to tell."""
    body, model = client_body(seen, name)
    if name in cases.IN_PATH:
        return cases.call_of(name, body, path=cases.path_for(name, model, stream=stream))
    return cases.call_of(name, cases.streaming(name, body) if stream else {**body, "stream": False})


def client_request(seen: Seen, name: DialectName, *, stream: bool) -> Request:
    """That request, parsed. Falls back to the least one where the translated one is not parsed back (a violation elsewhere)."""
    try:
        return DIALECTS[name].parse_request(client_call(seen, name, stream=stream))
    except GatewrightError:
        return DIALECTS[name].parse_request(cases.minimal_call(name, stream=stream))


def encoded(value: object) -> bytes:
    return msgspec.json.encode(value, order="sorted")


# ----------------------------------------------------------------------------------------- comparing


def differences(one: JsonValue, other: JsonValue, at: str = "") -> list[str]:
    """Where two documents differ as JSON; 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = [f"{at}.{key}".lstrip(".") + " is missing" for key in one if key not in other]
        found += [f"{at}.{key}".lstrip(".") + f" was added: {str(other[key])[:60]}" for key in other if key not in one]
        for key, value in one.items():
            if key in other:
                found += differences(value, other[key], f"{at}.{key}".lstrip("."))
        return found
    if isinstance(one, list) and isinstance(other, list):
        found = [f"{at}: {len(one)} items became {len(other)}"] if len(one) != len(other) else []
        for i, (a, b) in enumerate(zip(one, other, strict=False)):
            found += differences(a, b, f"{at}[{i}]")
        return found
    same = isinstance(one, bool) == isinstance(other, bool) and one == other
    return [] if same else [f"{at}: {str(one)[:70]!r} became {str(other)[:70]!r}"]


def node_differences(one: object, other: object) -> list[str]:
    """Where two IR values differ, paths in the origin's document (`at`) apart."""
    return differences(_plain(msgspec.to_builtins(one)), _plain(msgspec.to_builtins(other)))


def _plain(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key != "at"}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def text_of(blocks: tuple[Block, ...]) -> str:
    """All that the answer says to the user."""
    return "".join(block.text for block in blocks if isinstance(block, Text | Refusal))


def calls_of(blocks: tuple[Block, ...]) -> list[tuple[str, JsonValue]]:
    return [(block.name, arguments(block.arguments)) for block in blocks if isinstance(block, ToolCall)]


def arguments(text: str) -> JsonValue:
    """Arguments as JSON; empty ones are `{}`; what is not JSON (or wrapped because it is not, or free text) is None."""
    if not text.strip():
        return {}
    try:
        value = wire_json.decode(text.encode("utf-8", "replace"))
    except wire_json.BadJson:
        return None
    if not isinstance(value, dict):
        return None
    return None if set(value) in ({"_raw"}, {"input"}) else value


def seals_of(blocks: tuple[Block, ...]) -> list[str]:
    sealed = (getattr(block, "seal", None) for block in blocks)
    return [seal.data for seal in sealed if seal is not None]
