"""Cases: provider traffic, one exchange a file, from the project's own corpus and from the recordings beside it.

One rule: a case is what stands in its file. Only what a host says in the URL instead of the body (the model of an Azure
deployment, Vertex project paths) is put where the dialect's own API has it.
"""

import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire import eventstream
from gatewright.wire.http import Call

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "corpus"

DIALECT_OF: dict[str, DialectName] = {
    "chat.completions": "openai_chat",
    "responses": "openai_responses",
    "responses.retrieve": "openai_responses",
    "messages": "anthropic",
    "generateContent": "gemini",
    "streamGenerateContent": "gemini",
    "converse": "bedrock_converse",
    "converse-stream": "bedrock_converse",
}
"""The recordings' `api` → dialect, whoever the provider is. Other APIs are not translated."""

PATH_OF: dict[DialectName, str] = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
}
MODEL: dict[DialectName, str] = {
    "openai_chat": "gpt-5.2",
    "openai_responses": "gpt-5.2",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-2.5-pro",
    "bedrock_converse": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
}
"""The model asked for when a case of another dialect is rendered for this one."""
GENERATIONS: dict[DialectName, tuple[str, ...]] = {
    "openai_chat": ("gpt-5.2", "gpt-4.1-mini", "gpt-5-mini"),
    "openai_responses": ("gpt-5.2", "gpt-4.1-mini", "gpt-5-mini"),
    "anthropic": ("claude-sonnet-4-5", "claude-haiku-4-5", "claude-sonnet-5"),
    "gemini": ("gemini-2.5-pro", "gemini-3-pro-preview"),
    "bedrock_converse": (
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        "us.anthropic.claude-sonnet-4-6",
        "anthropic.claude-3-haiku-20240307-v1:0",
        "us.amazon.nova-2-lite-v1:0",
        "openai.gpt-oss-120b-1:0",
        "meta.llama3-3-70b-instruct-v1:0",
    ),
}
"""Models that differ in what they take."""
IN_PATH: frozenset[DialectName] = frozenset(("gemini", "bedrock_converse"))
"""Dialects whose path, not body, names the model and whether to stream."""


@dataclass(frozen=True)
class Case:
    id: str
    place: str
    """`corpus` or `recordings`."""
    file: Path
    dialect: DialectName
    provider: str
    stream: bool
    request: JsonObject | None
    """The request's document. None: the source kept none."""
    call: Call | None
    status: int
    headers: dict[str, str]
    text: str | None
    """The body of a stream, as on the wire. None: the answer is one document."""
    document: JsonValue
    """The answer's document. None for streams."""
    binary: bool = False
    """The stream is binary frames; `text` holds its bytes as Latin-1."""
    read_sizes: tuple[int, ...] = ()
    features: frozenset[str] = field(default=frozenset())

    @property
    def body(self) -> bytes:
        """The answer's bytes."""
        if self.text is not None:
            return self.text.encode("latin-1" if self.binary else "utf-8")
        return json.dumps(self.document, ensure_ascii=False).encode("utf-8", "surrogatepass")

    @property
    def failed(self) -> bool:
        return self.status >= 400


def recordings_root() -> Path | None:
    """`GATEWRIGHT_RECORDINGS`, else `../shared/recordings` beside the checkout, else None."""
    told = os.environ.get("GATEWRIGHT_RECORDINGS")
    root = Path(told) if told else ROOT.parent / "shared" / "recordings"
    return root if (root / "index.jsonl").is_file() else None


def files() -> Iterator[tuple[str, Path]]:
    """(place, file) of every case of both places, in a stable order."""
    for path in sorted(CORPUS.glob("*/*.json")):
        yield "corpus", path
    root = recordings_root()
    if root is None:
        return
    for line in (root / "index.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if entry["api"] in DIALECT_OF:
            yield "recordings", root / entry["file"]


def _frames(events: list[JsonValue]) -> str:
    """A corpus stream, `[event type, payload]` a frame, as Latin-1. `!` before the type: an exception; a bare string: raw base64."""
    wire = b""
    for event in events:
        if isinstance(event, str):
            wire += base64.b64decode(event)
            continue
        assert isinstance(event, list)
        name, payload = str(event[0]), json.dumps(event[1], ensure_ascii=False, separators=(",", ":")).encode()
        kind = "exception" if name.startswith("!") else "event"
        headers = {f":{kind}-type": name.removeprefix("!"), ":content-type": "application/json", ":message-type": kind}
        wire += eventstream.encode(headers, payload)
    return wire.decode("latin-1")


BINARY: dict[str, Callable[[JsonValue], str]] = {
    "base64": lambda body: base64.b64decode(cast("str", body)).decode("latin-1"),
    "eventstream": lambda body: _frames(cast("list[JsonValue]", body)),
}
"""`body_encoding` of streams of binary frames → the bytes, as Latin-1."""


@lru_cache(maxsize=4096)
def load(place: str, path: Path) -> Case:
    document = json.loads(path.read_text(encoding="utf-8"))
    dialect = DIALECT_OF[document["api"]]
    request, response = document["request"], document["response"]
    body = request.get("json") or None
    call = None
    if body is not None:
        body = _with_model(body, dialect, request["path"])
        call = call_of(dialect, body, path=_client_path(dialect, request["path"]), headers=request.get("headers") or {})
    streamed = response["body_encoding"] in ("text", *BINARY)
    binary = response["body_encoding"] in BINARY
    return Case(
        id=document["id"],
        place=place,
        file=path,
        dialect=dialect,
        provider=document["provider"],
        stream=document["stream"],
        request=body,
        call=call,
        status=response["status"],
        headers={name.lower(): value for name, value in (response.get("headers") or {}).items()},
        text=(BINARY[response["body_encoding"]](response["body"]) if binary else response["body"]) if streamed else None,
        binary=binary,
        document=None if streamed else response["body"],
        read_sizes=tuple(response.get("read_sizes") or ()),
        features=frozenset(document.get("features") or ()),
    )


def _with_model(body: JsonObject, dialect: DialectName, path: str) -> JsonObject:
    """Azure deployments and Responses prompts name no model in the body; the dialects' own API wants one."""
    if dialect in IN_PATH or body.get("model"):
        return body
    deployment = re.search(r"/deployments/([^/]+)/", path)
    return {**body, "model": deployment.group(1) if deployment else MODEL[dialect]}


def _client_path(dialect: DialectName, path: str) -> str:
    """The path a client of the gateway would use: host-specific prefixes (Vertex projects, Azure deployments) are the provider's."""
    if dialect not in IN_PATH:
        return PATH_OF[dialect]
    if dialect == "bedrock_converse":
        return unquote(path)
    split = urlsplit(path)
    query = f"?{split.query}" if split.query else ""
    return f"/v1beta/models/{split.path.rsplit('/models/', 1)[1]}{query}"


def call_of(dialect: DialectName, body: JsonObject, *, path: str = "", headers: dict[str, str] | None = None) -> Call:
    """A client's call with this body. A `path` is needed where it names the model; the others have one each."""
    split = urlsplit(path or PATH_OF[dialect])
    return Call(
        path=split.path,
        query=dict(parse_qsl(split.query, keep_blank_values=True)),
        headers={name.lower(): value for name, value in (headers or {}).items()},
        body=json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"),
    )


def minimal_body(dialect: DialectName) -> JsonObject:
    """The least request of a dialect, for answers whose request was not kept."""
    if dialect == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
    if dialect == "bedrock_converse":
        return {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
    if dialect == "openai_responses":
        return {"model": MODEL[dialect], "input": "Hello"}
    least: JsonObject = {"model": MODEL[dialect], "messages": [{"role": "user", "content": "Hello"}]}
    return {**least, "max_tokens": 4096} if dialect == "anthropic" else least


def gemini_path(model: str, *, stream: bool) -> str:
    return f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"


def path_for(dialect: DialectName, model: str, *, stream: bool) -> str:
    """The client's path; empty where the dialect has one for all models."""
    if dialect == "bedrock_converse":
        return f"/model/{model}/{'converse-stream' if stream else 'converse'}"
    return gemini_path(model, stream=stream) if dialect == "gemini" else ""


def minimal_call(dialect: DialectName, *, stream: bool) -> Call:
    """A call with the least request. A Chat stream asks for usage, so that nothing is held back."""
    body = minimal_body(dialect)
    if dialect in IN_PATH:
        return call_of(dialect, body, path=path_for(dialect, MODEL[dialect], stream=stream))
    return call_of(dialect, streaming(dialect, body) if stream else body)


def streaming(dialect: DialectName, body: JsonObject) -> JsonObject:
    """The body, asking for a stream with all there is to tell. Some say it in the path alone."""
    if dialect in IN_PATH:
        return body
    if dialect == "openai_chat":
        return {**body, "stream": True, "stream_options": {"include_usage": True}}
    return {**body, "stream": True}
