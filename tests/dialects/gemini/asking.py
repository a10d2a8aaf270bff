"""Short ways to ask the dialect, for its tests."""

import json
from urllib.parse import parse_qsl, urlsplit

from gatewright.dialects.gemini import GEMINI
from gatewright.ir.events import Grammar, StreamEvent
from gatewright.ir.request import Asked, Rendered, Request, Target
from gatewright.wire.http import Call

PATH = "/v1beta/models/gemini-2.5-flash:generateContent"
STREAM = "/v1beta/models/gemini-2.5-flash:streamGenerateContent"


def call(body: object, path: str = PATH) -> Call:
    split = urlsplit(path)
    return Call(path=split.path, query=dict(parse_qsl(split.query)), body=json.dumps(body).encode())


def parsed(body: object, path: str = PATH) -> Request:
    return GEMINI.parse_request(call(body, path))


def rendered(request: Request, model: str = "gemini-2.5-flash", issuer: str = "google") -> Rendered:
    return GEMINI.render_request(request, Target(model=model, issuer=issuer))


def ask(*parts: object, **more: object) -> dict:
    return {"contents": [{"role": "user", "parts": [{"text": p} if isinstance(p, str) else p for p in parts]}], **more}


def chunk(*parts: object, usage: object = None, **candidate: object) -> dict:
    document = {"candidates": [{"content": {"parts": list(parts), "role": "model"}, "index": 0, **candidate}]}
    if usage is not None:
        document["usageMetadata"] = usage
    return {**document, "modelVersion": "gemini-2.5-flash", "responseId": "r-1"}


def sse(*chunks: object) -> bytes:
    return b"".join(b"data: " + json.dumps(c).encode() + b"\r\n\r\n" for c in chunks)


def events(wire: bytes, size: int = 0) -> list[StreamEvent]:
    """The events of a stream in reads of `size` bytes (0: at once), checked against the grammar."""
    parser = GEMINI.stream_parser(Asked(issuer="google"))
    found: list[StreamEvent] = []
    for at in range(0, len(wire), size or len(wire) or 1):
        found += parser.feed(wire[at : at + (size or len(wire))])
    found += parser.close()
    grammar = Grammar()
    for event in found:
        grammar.check(event)
    return found


def client(stream_alt: str | None = "sse") -> Request:
    """A client's request for a stream, as SSE or as a JSON array."""
    return parsed(ask("Hi"), STREAM + (f"?alt={stream_alt}" if stream_alt else ""))


def losses_of(rendered_: Rendered) -> dict[str, str]:
    return {loss.path: loss.weight for loss in rendered_.losses}
