"""Anthropic's Messages API.

One rule: this object only joins the parts; each direction of each document has its own file.
https://platform.claude.com/docs/en/api/messages
"""

from collections.abc import Mapping
from typing import cast
from urllib.parse import urlencode

import msgspec

from gatewright.dialects.anthropic.content import NAME
from gatewright.dialects.anthropic.errors import parse_error, render_error, render_stream_error
from gatewright.dialects.anthropic.render_request import COUNT_PATH, PATH, render_request
from gatewright.dialects.anthropic.request import parse_request
from gatewright.dialects.anthropic.response import parse_response, render_response
from gatewright.dialects.anthropic.stream_parser import MessagesParser
from gatewright.dialects.anthropic.stream_renderer import MessagesRenderer
from gatewright.dialects.anthropic.usage import parse_usage
from gatewright.dialects.anthropic.watch import MessagesWatch
from gatewright.dialects.protocol import Framing, Peek
from gatewright.errors import Malformed, Problem
from gatewright.ir.blocks import DialectName
from gatewright.ir.request import Asked, Rendered, Request, Target
from gatewright.ir.response import Response, Usage
from gatewright.jsontypes import JsonObject
from gatewright.wire.http import Call, HttpAnswer
from gatewright.wire.json import encode
from gatewright.wire.prose import told


class _Peek(msgspec.Struct):
    model: str
    stream: bool | None = None
    max_tokens: object = None


class _UsagePeek(msgspec.Struct):
    usage: object = None


_peek = msgspec.json.Decoder(_Peek).decode
_peek_usage = msgspec.json.Decoder(_UsagePeek).decode


class Anthropic:
    """The dialect; stateless."""

    name: DialectName = NAME
    framing: Framing = "sse"

    def peek(self, call: Call) -> Peek:
        try:
            prose = told(call.body, _Peek)
            found = call.notes["peek"] = _peek(call.body) if prose is None else prose
        except msgspec.ValidationError as error:
            raise Malformed("", "an object with a model", str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Malformed("", "a JSON object with a model", "something that is not JSON") from None
        return Peek(model=found.model, stream=bool(found.stream), is_text=prose is not None)

    def asked_output(self, call: Call) -> int:
        peeked = call.notes.get("peek")
        most = peeked.max_tokens if isinstance(peeked, _Peek) else 0
        return most if isinstance(most, int) else 0

    def asked_answers(self, call: Call) -> int:
        return 1

    def parse_request(self, call: Call) -> Request:
        return parse_request(call)

    def render_request(self, request: Request, target: Target) -> Rendered:
        return render_request(request, target)

    def parse_response(self, body: bytes, asked: Asked) -> Response:
        return parse_response(body, asked)

    def render_response(self, response: Response, request: Request) -> Rendered:
        return render_response(response)

    def stream_parser(self, asked: Asked) -> MessagesParser:
        return MessagesParser(asked)

    def stream_renderer(self, request: Request) -> MessagesRenderer:
        return MessagesRenderer()

    def watch(self, call: Call) -> MessagesWatch:
        return MessagesWatch()

    def read_usage(self, body: bytes) -> Usage | None:
        try:
            usage = _peek_usage(body).usage
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return parse_usage(cast("JsonObject", usage)) if isinstance(usage, dict) and usage else None

    def pass_edits(self, call: Call, target: Target) -> dict[str, bytes | None]:
        return {} if self.peek(call).model == target.model else {"model": encode(target.model)}

    def pass_path(self, call: Call, target: Target) -> str:
        path = COUNT_PATH if call.path.endswith("/count_tokens") else PATH
        return f"{path}?{urlencode(dict(call.query))}" if call.query else path

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        return parse_error(status, headers, body)

    def render_error(self, problem: Problem, request_id: str) -> HttpAnswer:
        return render_error(problem, request_id)

    def render_stream_error(self, problem: Problem, request_id: str) -> bytes:
        return render_stream_error(problem, request_id)


ANTHROPIC = Anthropic()
