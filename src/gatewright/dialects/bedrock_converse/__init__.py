"""AWS Bedrock's Converse and ConverseStream.

One rule: this file only names the parts; each does its work in a file of its own. Streams are binary frames.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from collections.abc import Mapping

from gatewright.dialects.bedrock_converse.errors import parse_error, render_error, render_stream_error
from gatewright.dialects.bedrock_converse.render_request import render_request
from gatewright.dialects.bedrock_converse.request import parse_request
from gatewright.dialects.bedrock_converse.response import parse_response, render_response
from gatewright.dialects.bedrock_converse.route import Peeked, asked_output, check_body, passing_path, read_path
from gatewright.dialects.bedrock_converse.seals import NAME
from gatewright.dialects.bedrock_converse.stream_parser import ConverseParser
from gatewright.dialects.bedrock_converse.stream_renderer import ConverseRenderer
from gatewright.dialects.bedrock_converse.usage import parse_usage
from gatewright.dialects.bedrock_converse.watch import ConverseWatch, decoded
from gatewright.dialects.protocol import Framing, Peek
from gatewright.errors import Problem
from gatewright.ir.blocks import DialectName
from gatewright.ir.request import Asked, Rendered, Request, Target
from gatewright.ir.response import Response, Usage
from gatewright.wire.http import Call, HttpAnswer


class BedrockConverse:
    """The dialect; stateless."""

    name: DialectName = NAME
    framing: Framing = "eventstream"

    def peek(self, call: Call) -> Peek:
        model, stream = read_path(call.path)
        call.notes["peek"] = check_body(call.body)
        return Peek(model=model, stream=stream)

    def asked_output(self, call: Call) -> int:
        peeked = call.notes.get("peek")
        return asked_output(peeked) if isinstance(peeked, Peeked) else 0

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

    def stream_parser(self, asked: Asked) -> ConverseParser:
        return ConverseParser(asked)

    def stream_renderer(self, request: Request) -> ConverseRenderer:
        return ConverseRenderer()

    def watch(self, call: Call) -> ConverseWatch:
        return ConverseWatch()

    def read_usage(self, body: bytes) -> Usage | None:
        document = decoded(body)
        usage = document.get("usage") if isinstance(document, dict) else None
        if not isinstance(document, dict) or not isinstance(usage, dict) or not usage:
            return None
        return parse_usage(usage, document.get("serviceTier"))

    def pass_edits(self, call: Call, target: Target) -> dict[str, bytes | None]:
        """The model is in the path."""
        return {}

    def pass_path(self, call: Call, target: Target) -> str:
        return passing_path(call, target.model)

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        return parse_error(status, headers, body)

    def render_error(self, problem: Problem, request_id: str) -> HttpAnswer:
        return render_error(problem, request_id)

    def render_stream_error(self, problem: Problem, request_id: str) -> bytes:
        return render_stream_error(problem)


BEDROCK_CONVERSE = BedrockConverse()
