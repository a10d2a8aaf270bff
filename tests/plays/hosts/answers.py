"""What a host answers: its own recorded words where there are any, else words written after the dialect's documents.

One rule: whoever has no recordings plays the written ones; with recordings both are played.
"""

import base64
import functools
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

from gatewright.wire.eventstream import CONTENT_TYPE, Decoder, encode
from gatewright.wire.sse import SseParser
from tests.plays import wires

RECORDINGS = Path(os.environ.get("GATEWRIGHT_RECORDINGS", Path(__file__).resolve().parents[3].parent / "shared" / "recordings"))

APIS = {
    "openai_chat": ("chat.completions", "chat.completions"),
    "openai_responses": ("responses", "responses"),
    "anthropic": ("messages", "messages"),
    "gemini": ("generateContent", "streamGenerateContent"),
    "bedrock_converse": ("converse", "converse-stream"),
}
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": wires.TEXT}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
    "metrics": {"latencyMs": 1},
}
CONVERSE_STREAM = (
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "hello"}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": " from far"}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": CONVERSE["usage"], "metrics": {"latencyMs": 1}}),
)


def http(body: bytes, content_type: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def frame(name: str, payload: bytes) -> bytes:
    return encode({":event-type": name, ":content-type": "application/json", ":message-type": "event"}, payload)


def written(host: str, dialect: str, *, stream: bool) -> tuple[bytes, str]:
    """(body, content type), with the text `wires.TEXT`."""
    if dialect == "bedrock_converse":
        frames = b"".join(frame(name, wires.dump(payload)) for name, payload in CONVERSE_STREAM)
        return (frames, CONTENT_TYPE) if stream else (wires.dump(CONVERSE), "application/json")
    if not stream:
        return wires.dump(wires.WHOLE[dialect]), "application/json"
    wire = b"".join(wires.STREAM[dialect])
    if host != "bedrock":
        return wire, "text/event-stream"
    parser = SseParser()
    events = [data for _, data in (*parser.feed(wire), *parser.close())]
    return b"".join(frame("chunk", wires.dump({"bytes": base64.b64encode(e).decode()})) for e in events), CONTENT_TYPE


@functools.cache
def _index() -> list[dict]:
    place = RECORDINGS / "index.jsonl"
    return [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()] if place.is_file() else []


ODD = frozenset(
    ("error_in_body", "truncated_stream", "n>1", "n>1_returned", "exception_frame", "odd_finish_or_block", "response_only")
)


def recorded(provider: str, dialect: str, *, stream: bool) -> list[tuple[str, bytes, str]]:
    """(id, body, content type) of this provider's recorded answers in plain words; at most three."""
    api = APIS[dialect][stream]
    if provider == "bedrock" and dialect == "anthropic":
        return []  # recorded with many makers' bodies
    found = []
    for entry in _index():
        if (entry["provider"], entry["api"], entry["stream"], entry["status"]) != (provider, api, stream, 200):
            continue
        if ODD & set(entry["features"]) or len(found) == 3:
            continue
        exchange = json.loads((RECORDINGS / entry["file"]).read_text(encoding="utf-8"))
        answer, asked = exchange["response"], exchange["request"]
        if stream and dialect == "gemini" and "alt=sse" not in (asked or {}).get("path", ""):
            continue  # an array, not events
        if "%24alt" in urlsplit((asked or {}).get("path", "")).query:
            continue  # enums as numbers, for who asked so
        kind = answer["body_encoding"]
        body = (
            base64.b64decode(answer["body"])
            if kind == "base64"
            else answer["body"].encode()
            if kind == "text"
            else json.dumps(answer["body"], ensure_ascii=False).encode()
        )
        if text(dialect, body):
            content_type = CONTENT_TYPE if kind == "base64" else "text/event-stream" if kind == "text" else "application/json"
            found.append((entry["id"], body, content_type))
    return found


def text(dialect: str, body: bytes) -> str:
    """The text that an answer tells a client of the dialect, whole or streamed; read without the gateway's parsers."""
    if body[:1] == b"{":
        return _whole(dialect, json.loads(body))
    if dialect == "bedrock_converse":
        told = [json.loads(message.payload) for message in Decoder().feed(body)]
        return "".join(event.get("delta", {}).get("text", "") for event in told)
    parser = SseParser()
    pieces = []
    for _, data in (*parser.feed(body), *parser.close()):
        if data != b"[DONE]" and data[:1] == b"{":
            pieces.append(_piece(dialect, json.loads(data)))
    return "".join(pieces)


def _parts(content: object) -> str:
    if isinstance(content, str):
        return content
    return "".join(p.get("text", "") for p in content if p.get("type") == "text") if isinstance(content, list) else ""


def _whole(dialect: str, document: dict) -> str:
    match dialect:
        case "openai_chat":
            return _parts(document["choices"][0]["message"].get("content")) if document.get("choices") else ""
        case "openai_responses":
            items = [item for item in document.get("output", ()) if item.get("type") == "message"]
            return "".join(p.get("text", "") for item in items for p in item["content"])
        case "anthropic":
            return "".join(b["text"] for b in document.get("content", ()) if b["type"] == "text")
        case "bedrock_converse":
            return "".join(b.get("text", "") for b in document["output"]["message"]["content"])
        case _:
            return _piece(dialect, document)


def _piece(dialect: str, event: dict) -> str:
    match dialect:
        case "openai_chat":
            choices = event.get("choices") or ()
            return "".join(_parts((c.get("delta") or {}).get("content")) for c in choices if c.get("index", 0) == 0)
        case "openai_responses":
            return event.get("delta", "") if event.get("type") == "response.output_text.delta" else ""
        case "anthropic":
            delta = event.get("delta") or {}
            return delta.get("text", "") if delta.get("type") == "text_delta" else ""
        case _:
            parts = [p for c in event.get("candidates", ())[:1] for p in (c.get("content") or {}).get("parts", ())]
            return "".join(p.get("text", "") for p in parts if not p.get("thought"))
