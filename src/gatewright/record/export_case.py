"""A trace as a case of the corpus: one leg of it, in the form that `corpus/` and the recordings have.

    upstream leg   what a provider was sent, and what it answered: provider traffic, as the laws of translation judge it
    client leg     what a client sent, and what the gateway made of the answer

One rule: the bytes of the leg are what the case says, or there is no case: what was cut, or is not the dialect's, is refused.
"""

import base64
import json as stdlib_json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import quote, unquote, urlsplit

import msgspec

from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.record.traces import Fields, Message, Trace
from gatewright.wire import eventstream, json
from gatewright.wire.json import BadJson

Leg: TypeAlias = Literal["upstream", "client"]

_API: Final[dict[DialectName, tuple[str, str]]] = {
    "openai_chat": ("chat.completions", "chat.completions"),
    "openai_responses": ("responses", "responses"),
    "anthropic": ("messages", "messages"),
    "gemini": ("generateContent", "streamGenerateContent"),
    "bedrock_converse": ("converse", "converse-stream"),
}
"""Dialect → the word of the corpus for it: whole, streamed."""
_PATH: Final[dict[DialectName, str]] = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
}
_PROVIDER: Final[dict[DialectName, str]] = {
    "openai_chat": "openai",
    "openai_responses": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "bedrock_converse": "bedrock",
}
"""Whose API it is; on the client's leg the gateway speaks for it."""
_ASKED_WITH: Final = ("content-type", "anthropic-version", "anthropic-beta", "openai-beta")
_ANSWERED_WITH: Final = ("content-type", "retry-after", "retry-after-ms", "x-amzn-errortype")
_NAME: Final = re.compile(r"[^a-z0-9]+")
_FRAMES: Final = "application/vnd.amazon.eventstream"


class NoCase(ValueError):
    """Why a trace makes no case, and what to do."""


class _Exchange(msgspec.Struct, frozen=True):
    dialect: DialectName
    provider: str
    path: str
    request: Message
    status: int
    answer: Message


def case_name(trace: Trace) -> str:
    """`trace_0a1b2c3d`: of letters, digits and underscores."""
    return "trace_" + (_NAME.sub("_", trace.id.lower()).strip("_")[-16:] or "unnamed")


def case_folder(trace: Trace, leg: Leg = "upstream") -> str:
    """The folder of `corpus/` that it belongs in. Raises NoCase."""
    return _exchange(trace, leg).dialect


def case_of(trace: Trace, leg: Leg = "upstream", *, name: str = "", note: str = "") -> JsonObject:
    """The case's document. Raises NoCase."""
    seen = _exchange(trace, leg)
    for what, message in (("request", seen.request), ("answer", seen.answer)):
        if message.is_cut:
            raise NoCase(
                f"trace {trace.id}: of the {leg}'s {what} only {len(message.body)} of {message.size} bytes were kept; "
                "raise traces.max_body_bytes and ask again"
            )
    asked = _document(trace, leg, seen.request.body)
    streamed = _streams(seen, asked)
    encoding, body = _body(seen, streamed=streamed)
    return {
        "id": name or case_name(trace),
        "provider": seen.provider,
        "api": _API[seen.dialect][streamed],
        "stream": streamed,
        "features": ["trace", *(["error", f"error_{seen.status}"] if seen.status >= 400 else [])],
        "request": {
            "method": "POST",
            "path": _path(seen),
            "headers": _picked(seen.request.headers, _ASKED_WITH) or {"content-type": "application/json"},
            "json": asked,
        },
        "response": {
            "status": seen.status,
            "headers": _picked(seen.answer.headers, _ANSWERED_WITH, ("x-ratelimit-", "anthropic-ratelimit-")),
            "body_encoding": encoding,
            "body": body,
        },
        "note": note or _note(trace, leg),
    }


def write_case(case: JsonObject) -> bytes:
    """As the files of the corpus are written: an indent of one space, a line break at the end."""
    return msgspec.json.format(json.encode(case), indent=1) + b"\n"


def _exchange(trace: Trace, leg: Leg) -> _Exchange:
    if trace.operation != "generate":
        raise NoCase(f"trace {trace.id}: the corpus has model calls alone, and this is `{trace.operation or 'unknown'}`")
    if leg == "client":
        dialect = trace.client_dialect
        query = "&".join(f"{quote(name)}={quote(value)}" for name, value in trace.query)
        path = quote(trace.path, safe="/:-._~") + (f"?{query}" if query else "")
        status = trace.status if trace.status != 499 else 0
        return _Exchange(dialect, _PROVIDER[dialect], path, trace.request, status or 200, trace.answer)
    call = trace.served
    if call is None:
        raise NoCase(f"trace {trace.id}: no provider was asked; its other leg makes a case: --leg client")
    if call.answer is None:
        raise NoCase(f"trace {trace.id}: {call.target} did not answer: there is nothing to be judged")
    provider = call.target.partition("/")[0] or _PROVIDER[call.dialect]
    return _Exchange(call.dialect, provider, call.path, call.request, call.status, call.answer)


def _document(trace: Trace, leg: Leg, body: bytes) -> JsonObject:
    try:
        return json.decode_object(body)
    except BadJson as error:
        raise NoCase(f"trace {trace.id}: the {leg}'s request is {error}; the corpus has JSON requests alone") from None


def _streams(seen: _Exchange, asked: JsonObject) -> bool:
    match seen.dialect:
        case "gemini":
            return ":streamGenerateContent" in unquote(seen.path)
        case "bedrock_converse":
            return urlsplit(seen.path).path.endswith("/converse-stream")
        case _:
            return asked.get("stream") is True


def _path(seen: _Exchange) -> str:
    """As the dialect's own API has it: what a host puts before it, and keys, are no part of a case."""
    split = urlsplit(seen.path)
    if (own := _PATH.get(seen.dialect)) is not None:
        return own
    if seen.dialect == "bedrock_converse":
        return "/model/" + split.path.rpartition("/model/")[2]
    model = split.path.rpartition("/models/")[2]
    kept = "&".join(pair for pair in split.query.split("&") if pair and not pair.startswith("key="))
    return f"/v1beta/models/{model}" + (f"?{kept}" if kept else "")


def _body(seen: _Exchange, *, streamed: bool) -> tuple[str, JsonValue]:
    """(how it is written, the body)."""
    body = seen.answer.body
    kind = next((value for name, value in seen.answer.headers if name == "content-type"), "").partition(";")[0].strip().lower()
    if kind == _FRAMES or (streamed and seen.status < 400 and seen.dialect == "bedrock_converse"):
        return "eventstream", cast("JsonValue", list(_frames(body)))
    if not streamed or seen.status >= 400 or kind == "application/json":
        try:
            document = json.decode_lenient(body)
        except BadJson:
            pass
        else:
            if not isinstance(document, str) and not (streamed and seen.status < 400):
                return "json", document
    return "text", body.decode("utf-8", "replace")


def _frames(body: bytes) -> Iterable[JsonValue]:
    """`[event type, payload]` where that is the whole of a frame, else its bytes."""
    splitter = eventstream.Splitter()
    try:
        whole = splitter.feed(body)
    except eventstream.BadFrame:
        yield base64.b64encode(body).decode("ascii")
        return
    for frame in whole:
        yield _frame(frame)
    if rest := body[sum(map(len, whole)) :]:
        yield base64.b64encode(rest).decode("ascii")


def _frame(frame: bytes) -> JsonValue:
    raw = base64.b64encode(frame).decode("ascii")
    try:
        message = eventstream.Decoder().feed(frame)[0]
        payload = json.decode(message.payload)
        kind = str(message.headers.get(":message-type", ""))
        name = str(message.headers.get(f":{kind}-type", ""))
        headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
        again = eventstream.encode(headers, _compact(payload))
    except (BadJson, eventstream.BadFrame):
        return raw
    return [("!" if kind == "exception" else "") + name, payload] if again == frame else raw


def _compact(payload: JsonValue) -> bytes:
    """As who reads a case writes frames: the standard library's numbers, not ours."""
    return stdlib_json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def _picked(headers: Fields, names: tuple[str, ...], families: tuple[str, ...] = ()) -> JsonObject:
    return {name: value for name, value in headers if name in names or (families and name.startswith(families))}


def _note(trace: Trace, leg: Leg) -> str:
    day = datetime.fromtimestamp(trace.at / 1_000_000, UTC).date().isoformat()
    asked = trace.asked or "a model"
    if leg == "client":
        return f"What a client was told that asked for {asked} on {day}, written from a trace."
    target = f"{trace.provider}/{trace.model}" if trace.provider else "the provider"
    return f"What {target} answered to a client of {trace.client_dialect} on {day}, written from a trace."
