"""A provider that tells whatever it was sent: the credentials of a call come back in headers, errors, redirects and streams.

Which of these it does is the model's name, such as `fail-401`, `redirect`, `stream-error`.
"""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CREDENTIALS = (
    "authorization",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "x-internal-token",
    "x-amz-security-token",
    "x-collector-key",
    "x-key",
)
MODES = (
    "ok",
    "tells",
    "fail-400",
    "fail-401",
    "fail-429",
    "fail-500",
    "plain-403",
    "redirect",
    "stream-ok",
    "stream-error",
    "nonsense",
    "cut",
)


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: set[str] = set()
    """Everything that looked like a credential in what came."""
    collected: list[bytes] = []
    """What came for a webhook and for a collector."""

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        told = [value.removeprefix("Bearer ") for name in CREDENTIALS if (value := self.headers.get(name))]
        Provider.seen.update(told)
        secret = " ".join(told) or "nothing"
        try:
            asked = json.loads(body)
            model = asked.get("model", "") if isinstance(asked, dict) else ""
        except ValueError:
            model = ""
        place = f"{self.path} {model}"
        mode = next((mode for mode in MODES if mode in place.replace("%3A", ":")), "ok")
        if "/hooks/" in self.path or "/otlp" in self.path:
            packed = self.headers.get("content-encoding") == "gzip"
            Provider.collected.append(gzip.decompress(body) if packed else body)
            return self.whole(200, {})
        dialect = "anthropic" if "messages" in self.path else "gemini" if "enerateContent" in self.path else "openai"
        if mode.startswith("fail-"):
            error = {
                "message": f"Incorrect API key provided: {secret}",
                "type": secret,
                "code": secret,
                "param": secret,
                "status": secret,
            }
            return self.whole(int(mode[5:]), {"type": "error", "error": error, "request_id": secret}, secret)
        if mode == "plain-403":
            return self.written(403, f"denied for {secret}".encode(), "text/plain", secret)
        if mode == "redirect":
            return self.written(
                302, b"", "text/plain", secret, location=f"http://127.0.0.1:{self.server.server_port}/login?token={secret}"
            )
        if mode == "nonsense":
            return self.written(200, f'{{"key": "{secret}", "choices": [{{"mess'.encode(), "application/json", secret)
        words = secret if mode == "tells" else "hello ELEPHANT12 there"
        if (
            mode in ("stream-ok", "stream-error", "cut")
            or '"stream": true' in body.decode("utf-8", "replace")
            or '"stream":true' in body.decode("utf-8", "replace")
        ):
            return self.streamed(dialect, mode, words, secret)
        return self.whole(200, answer(dialect, words), secret)

    def whole(self, status: int, document: dict, secret: str = "") -> None:
        self.written(status, json.dumps(document).encode(), "application/json", secret)

    def written(self, status: int, body: bytes, kind: str, secret: str, location: str = "") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if location:
            self.send_header("location", location)
        for name in ("openai-organization", "www-authenticate", "set-cookie", "x-echo"):
            self.send_header(name, secret)
        self.end_headers()
        self.wfile.write(body)

    def streamed(self, dialect: str, mode: str, words: str, secret: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        pieces = pieces_of(dialect, words)
        if mode == "stream-error":
            error = {"message": f"bad key {secret}", "type": secret, "code": secret}
            pieces[-1:] = [("error", {"type": "error", "error": error})]
        for name, piece in pieces:
            data = (f"event: {name}\n" if dialect == "anthropic" else "") + f"data: {json.dumps(piece)}\n\n"
            self.chunk(data.encode())
        if mode == "cut":
            self.close_connection = True
            return
        if dialect == "openai" and mode != "stream-error":
            self.chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))


def answer(dialect: str, words: str) -> dict:
    match dialect:
        case "anthropic":
            return {
                "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": words}],
                "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 6, "output_tokens": 5},
            }  # fmt: skip
        case "gemini":
            part = {"role": "model", "parts": [{"text": words}]}
            usage = {"promptTokenCount": 6, "candidatesTokenCount": 5, "totalTokenCount": 11}
            return {"candidates": [{"content": part, "finishReason": "STOP", "index": 0}], "usageMetadata": usage}
    choice = {"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 6, "completion_tokens": 5, "total_tokens": 11}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def pieces_of(dialect: str, words: str) -> list[tuple[str, dict]]:
    match dialect:
        case "anthropic":
            message = {**answer(dialect, ""), "content": [], "stop_reason": None}
            block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
            delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": words}}
            end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
            events = [
                {"type": "message_start", "message": message},
                block,
                delta,
                {"type": "content_block_stop", "index": 0},
                end,
            ]
            return [(str(event["type"]), event) for event in [*events, {"type": "message_stop"}]]
        case "gemini":
            return [("", answer(dialect, words))]
    base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    deltas = [({"role": "assistant", "content": words}, None), ({}, "stop")]
    return [("", {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": end}]}) for delta, end in deltas]


@contextmanager
def echoing() -> Iterator[int]:
    """Its port."""
    Provider.seen = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
