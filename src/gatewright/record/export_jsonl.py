"""Traces as lines of JSON, one trace a line: for notebooks, warehouses and other programs. docs/traces-jsonl.md has every field.

One rule: the form is stable. Fields are added, never renamed or removed; another form has another number in `schema`.
"""

import base64
import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import msgspec

from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.record import otlp_messages as told
from gatewright.record.traces import Fields, Message, Trace, TracedAttempt, TraceSummary, UpstreamCall
from gatewright.wire import json
from gatewright.wire.json import BadJson

SCHEMA: Final = 1


class Writes(Protocol):
    def write(self, data: bytes, /) -> int: ...


def summary_document(trace: TraceSummary) -> JsonObject:
    """What a list tells of a trace; the first fields of its line in an export, too."""
    return {
        "schema": SCHEMA,
        "id": trace.id,
        "at": instant(trace.at),
        "took_us": trace.took_us,
        "ttft_us": trace.ttft_us,
        "session": trace.session or None,
        "session_link": trace.link or None,
        "parent": trace.parent or None,
        "operation": trace.operation,
        "method": trace.method,
        "path": trace.path,
        "stream": trace.stream,
        "client_dialect": trace.client_dialect,
        "upstream_dialect": trace.upstream_dialect or None,
        "key": trace.key_name or None,
        "key_id": trace.key_id or None,
        "user": trace.user or None,
        "team": trace.team or None,
        "organization": trace.organization or None,
        "route": trace.route or None,
        "asked": trace.asked,
        "provider": trace.provider or None,
        "model": trace.model or None,
        "status": trace.status,
        "outcome": trace.outcome,
        "error": trace.error or None,
        "cache": trace.cache or None,
        "attempts": trace.attempts,
        "losses": trace.losses,
        "findings": trace.findings,
        "guards": list(trace.rules),
        "input_tokens": trace.input,
        "output_tokens": trace.output,
        "cost_micros": trace.cost_micros,
        "title": trace.title or None,
    }


def document(trace: Trace, request: Request | None, answer: Response | None, *, bodies: bool = True) -> JsonObject:
    """All of a trace. `request`, `answer`: what the client's bytes mean. `bodies` False: nothing that was said."""
    found: JsonObject = {
        **summary_document(trace),
        "problem": trace.problem or None,
        "usage": dict(trace.usage),
        "price_source": trace.price_source or None,
        "metadata": dict(trace.metadata),
        "redacted": trace.redacted,
        "tried": [_attempt(attempt) for attempt in trace.tried],
        "lost": [{"path": loss.path, "weight": loss.weight, "why": loss.why} for loss in trace.lost],
        "found": [json.decode(json.encode(finding)) for finding in trace.found],
    }
    if not bodies:
        return {**found, "title": None}
    return {
        **found,
        "conversation": conversation(request, answer),
        "client": {
            "query": _fields(trace.query),
            "request": _message(trace.request),
            "answer": {"status": trace.status, **_message(trace.answer)},
        },
        "upstream": [_call(call) for call in trace.upstream],
    }


def conversation(request: Request | None, answer: Response | None) -> JsonObject:
    """In parts, as OpenTelemetry's conventions have them. None: what is not kept whole, or is no model call."""
    return {
        "system": None if request is None else told.instructions(request),
        "messages": None if request is None else told.input_messages(request),
        "tools": None if request is None else told.tool_definitions(request.tools),
        "answer": None if answer is None else told.output_messages(answer),
    }


def instant(at: int) -> str:
    """RFC 3339, to the microsecond."""
    return datetime.fromtimestamp(at / 1_000_000, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _attempt(attempt: TracedAttempt) -> JsonObject:
    told_: JsonValue = json.decode(json.encode(msgspec.structs.asdict(attempt)))
    assert isinstance(told_, dict)
    return told_


def _call(call: UpstreamCall) -> JsonObject:
    return {
        "attempt": call.attempt,
        "target": call.target,
        "dialect": call.dialect,
        "method": call.method,
        "path": call.path,
        "request": _message(call.request),
        "answer": None if call.answer is None else {"status": call.status, **_message(call.answer)},
    }


def _message(message: Message) -> JsonObject:
    return {"headers": _fields(message.headers), "size": message.size, "cut": message.is_cut, **body(message)}


def _fields(fields: Fields) -> list[JsonValue]:
    return [[name, value] for name, value in fields]


def body(message: Message) -> JsonObject:
    """`json`, where it is a document and all of it is there; else `text`; else `base64`."""
    if not message.is_cut:
        try:
            return {"json": json.decode_lenient(message.body)}
        except BadJson:
            pass
    try:
        return {"text": message.body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(message.body).decode("ascii")}


def line(found: JsonObject) -> bytes:
    return json.encode(found) + b"\n"


def write_lines(lines: Iterable[bytes], to: Writes) -> int:
    """How many were written."""
    count = 0
    for told_line in lines:
        to.write(told_line)
        count += 1
    return count


@contextmanager
def opened(path: Path) -> Iterator[Writes]:
    """A file that is there when all of it is: it is written beside its place first. `.gz` and `.zst` are compressed."""
    beside = path.with_name(f"{path.name}.part")
    try:
        with beside.open("wb") as raw, _compressed(path, raw) as file:
            yield file
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _compressed(path: Path, raw: BinaryIO) -> Iterator[Writes]:
    match path.suffix:
        case ".gz":
            with gzip.GzipFile(path.stem, "wb", 6, raw) as zipped:
                yield zipped
        case ".zst":
            import zstandard  # noqa: PLC0415 - takes its time

            with zstandard.ZstdCompressor(level=3).stream_writer(raw, closefd=False) as squeezed:
                yield squeezed
        case _:
            yield raw
