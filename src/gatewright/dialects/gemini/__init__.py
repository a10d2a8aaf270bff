"""Gemini's generateContent and streamGenerateContent, as the Gemini API and Vertex AI speak them.

One rule: this file only names the parts; each does its work in a file of its own.
https://ai.google.dev/api/generate-content
"""

from collections.abc import Mapping

from gatewright.dialects.gemini.errors import error_document, parse_error, render_error
from gatewright.dialects.gemini.render_request import render_request
from gatewright.dialects.gemini.render_response import render_response
from gatewright.dialects.gemini.request import COUNTED, parse_request
from gatewright.dialects.gemini.response import parse_response
from gatewright.dialects.gemini.route import (
    Peeked,
    asked_answers,
    asked_output,
    check_body,
    counts,
    passing_path,
    read_path,
    wants_events,
)
from gatewright.dialects.gemini.stream_parser import GeminiStreamParser
from gatewright.dialects.gemini.stream_renderer import GeminiStreamRenderer
from gatewright.dialects.gemini.usage import parse_usage
from gatewright.dialects.gemini.watch import GeminiWatch
from gatewright.dialects.protocol import Framing, Peek
from gatewright.errors import Problem
from gatewright.ir.blocks import DialectName
from gatewright.ir.request import Asked, Rendered, Request, Target
from gatewright.ir.response import Response, Usage
from gatewright.wire.http import Call, HttpAnswer
from gatewright.wire.json import BadJson, decode_lenient, decode_object, encode


class Gemini:
    name: DialectName = "gemini"
    framing: Framing = "sse"

    def peek(self, call: Call) -> Peek:
        model, stream = read_path(call.path)
        call.notes["peek"] = check_body(call.body)
        return Peek(model=model, stream=stream)

    def asked_output(self, call: Call) -> int:
        peeked = call.notes.get("peek")
        return asked_output(peeked) if isinstance(peeked, Peeked) else 0

    def asked_answers(self, call: Call) -> int:
        peeked = call.notes.get("peek")
        return asked_answers(peeked) if isinstance(peeked, Peeked) else 1

    def parse_request(self, call: Call) -> Request:
        return parse_request(call)

    def render_request(self, request: Request, target: Target) -> Rendered:
        return render_request(request, target)

    def parse_response(self, body: bytes, asked: Asked) -> Response:
        return parse_response(body, asked)

    def render_response(self, response: Response, request: Request) -> Rendered:
        return render_response(response)

    def stream_parser(self, asked: Asked) -> GeminiStreamParser:
        return GeminiStreamParser(asked)

    def stream_renderer(self, request: Request) -> GeminiStreamRenderer:
        return GeminiStreamRenderer(request)

    def watch(self, call: Call) -> GeminiWatch:
        return GeminiWatch(events=wants_events(call))

    def read_usage(self, body: bytes) -> Usage | None:
        try:
            document = decode_lenient(body)
        except BadJson:
            return None
        return parse_usage(document.get("usageMetadata")) if isinstance(document, dict) else None

    def pass_edits(self, call: Call, target: Target) -> dict[str, bytes | None]:
        """The model is in the path; countTokens repeats it in the request that it counts."""
        if not counts(call.path):
            return {}
        try:
            whole = decode_object(call.body).get(COUNTED)
        except BadJson:
            return {}
        return {COUNTED: encode({**whole, "model": f"models/{target.model}"})} if isinstance(whole, dict) else {}

    def pass_path(self, call: Call, target: Target) -> str:
        return passing_path(call, target.model)

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        return parse_error(status, headers, body)

    def render_error(self, problem: Problem, request_id: str) -> HttpAnswer:
        return render_error(problem, request_id)

    def render_stream_error(self, problem: Problem, request_id: str) -> bytes:
        """As a server-sent event; within a JSON array Google's clients read the line all the same."""
        return b"data: " + encode(error_document(problem, request_id)) + b"\r\n\r\n"


GEMINI = Gemini()
