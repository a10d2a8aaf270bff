"""A trace's request once more: what is sent, to a gateway, and what came back as a trace of its own.

One rule: the request is the client's, byte for byte, but for the model where another is named. The key is the caller's own: a
trace has none.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from gatewright.ir.response import Usage
from gatewright.record.export_meaning import meaning_of
from gatewright.record.otlp_attributes import usage_attributes
from gatewright.record.traces import Message, Trace
from gatewright.transport.client import HttpTransport
from gatewright.transport.failures import TransportError
from gatewright.transport.seam import Outgoing, Timeouts, header_lines
from gatewright.wire import json
from gatewright.wire.json import BadJson
from gatewright.wire.splice import splice

MOST_BYTES: Final = 256 << 20
"""Of an answer."""
_SENT: Final = ("content-type", "accept", "anthropic-version", "anthropic-beta", "openai-beta")
_TIMEOUTS: Final = Timeouts(connect_s=5, headers_s=900, first_event_s=900, idle_s=300, total_s=3600)


class CannotAgain(ValueError):
    """Why a trace cannot be sent again."""


class Again(msgspec.Struct, frozen=True):
    """What is sent."""

    method: str
    path: str
    """With the query, percent-encoded."""
    headers: Mapping[str, str]
    body: bytes
    asked: str
    """The model."""


class NobodyThere(Exception):
    """No gateway answered."""


def request_of(trace: Trace, model: str = "") -> Again:
    """Raises CannotAgain."""
    if trace.request.is_cut:
        raise CannotAgain(
            f"of the request only {len(trace.request.body)} of {trace.request.size} bytes were kept; "
            "raise traces.max_body_bytes for the next"
        )
    if model and trace.operation != "generate":
        raise CannotAgain(f"another model can be asked for model calls alone; this is `{trace.operation}`")
    path, body = trace.path, trace.request.body
    if model:
        path, body = _renamed(trace, model)
    query = urlencode([(name, value) for name, value in trace.query if value != "***"])
    return Again(
        method=trace.method,
        path=quote(path, safe="/:@!$&'()*+,;=-._~") + (f"?{query}" if query else ""),
        headers={name: value for name, value in trace.request.headers if name in _SENT},
        body=body,
        asked=model or trace.asked,
    )


def _renamed(trace: Trace, model: str) -> tuple[str, bytes]:
    """(path, body) that ask for `model`."""
    if trace.client_dialect == "gemini":
        head, found, tail = trace.path.rpartition("/models/")
        action = tail.rpartition(":")[2]
        return f"{head}{found}{model}:{action}", trace.request.body
    if trace.client_dialect == "bedrock_converse":
        head, found, tail = trace.path.rpartition("/model/")
        return f"{head}{found}{model}/{tail.rpartition('/')[2]}", trace.request.body
    try:
        return trace.path, splice(trace.request.body, {"model": json.encode(model)})
    except BadJson as error:
        raise CannotAgain(f"the request names its model nowhere: it is {error}") from None


class Priced(msgspec.Struct, frozen=True):
    micros: int | None


Price = Callable[[str, str, Usage], int | None]
"""Provider, model, usage → micro-dollars."""


async def send(base: str, again: Again, key: str, price: Price, trace: Trace) -> Trace:
    """Ask the gateway at `base`; what came back, as a trace. Raises NobodyThere."""
    prefix = urlsplit(base).path.rstrip("/")
    at, began = time.time(), time.monotonic()
    transport = HttpTransport(base, with_system=True, max_connections=1)
    parts: list[bytes] = []
    first: float | None = None
    try:
        incoming = await transport.send(
            Outgoing(
                method=again.method.encode("ascii"),
                path=(prefix + again.path).encode("ascii"),
                headers=header_lines({**again.headers, "x-gatewright-key": key, "user-agent": "gatewright-replay"}.items()),
                body=again.body,
                timeouts=_TIMEOUTS,
            )
        )
        size = 0
        while (piece := await incoming.next()) is not None:
            first = time.monotonic() if first is None else first
            size += len(piece)
            if size > MOST_BYTES:
                incoming.abort()
                break
            parts.append(piece)
    except TransportError as failed:
        raise NobodyThere(failed.problem.message) from None
    finally:
        await transport.close()
    ended = time.monotonic()
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(incoming.headers)}
    provider, _, model = headers.get("x-gatewright-target", "").partition("/")
    body = b"".join(parts)
    bare = msgspec.structs.replace(
        trace,
        id=headers.get("x-request-id", "replay"),
        at=int(at * 1_000_000),
        took_us=int((ended - began) * 1_000_000),
        ttft_us=None if first is None else int((first - began) * 1_000_000),
        asked=again.asked,
        provider=provider,
        model=model,
        status=incoming.status,
        outcome="ok" if incoming.status < 400 else "error",
        error="",
        problem="",
        cost_micros=None,
        usage={},
        tried=(),
        upstream=(),
        found=(),
        lost=(),
        parent=trace.id,
        path=urlsplit(again.path).path if trace.client_dialect not in ("gemini", "bedrock_converse") else _decoded(again.path),
        request=Message(headers=tuple(again.headers.items()), body=again.body, size=len(again.body)),
        answer=Message(headers=tuple(headers.items()), body=body, size=len(body)),
    )
    return _counted(bare, headers, price)


def _decoded(path: str) -> str:
    from urllib.parse import unquote  # noqa: PLC0415 - here alone

    return unquote(urlsplit(path).path)


def _counted(trace: Trace, headers: Mapping[str, str], price: Price) -> Trace:
    """With what the answer says of usage, and what that costs by the prices of the configuration."""
    answer = meaning_of(trace).answer
    usage = None if answer is None else answer.usage
    error = "" if trace.status < 400 else _error_of(trace)
    if usage is None:
        return msgspec.structs.replace(trace, input=None, output=None, problem=error, error=error and "refused")
    told = {name: figure for name in Usage.__struct_fields__ if isinstance(figure := getattr(usage, name), int)}
    sums = usage_attributes(told)
    return msgspec.structs.replace(
        trace,
        usage=told,
        input=sums.get("gen_ai.usage.input_tokens"),
        output=sums.get("gen_ai.usage.output_tokens"),
        cost_micros=_told_cost(headers) if "x-gatewright-cost" in headers else price(trace.provider, trace.model, usage),
    )


def _told_cost(headers: Mapping[str, str]) -> int | None:
    try:
        return round(float(headers["x-gatewright-cost"]) * 1_000_000)
    except ValueError:
        return None


def _error_of(trace: Trace) -> str:
    """The message of an error, in whichever dialect it stands."""
    try:
        document = json.decode_lenient(trace.answer.body)
    except BadJson:
        return trace.answer.body[:200].decode("utf-8", "replace")
    inner = document.get("error", document) if isinstance(document, dict) else document
    message = inner.get("message") if isinstance(inner, dict) else None
    return str(message or inner)[:500]
