"""The Responses API of OpenAI (and of Azure, xAI, DeepSeek, OpenRouter, LM Studio, Bedrock's compatible endpoint).

One rule: everything of substance is in the modules beside this one.
https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Mapping

import msgspec

from gatewright.dialects.openai_responses import errors, render_request, render_response, request, response
from gatewright.dialects.openai_responses.names import NAME
from gatewright.dialects.openai_responses.stream_parser import ResponsesStreamParser
from gatewright.dialects.openai_responses.stream_renderer import ResponsesStreamRenderer
from gatewright.dialects.openai_responses.usage import parse_usage
from gatewright.dialects.openai_responses.watch import ResponsesWatch
from gatewright.dialects.protocol import Framing, Peek
from gatewright.errors import Malformed, Problem
from gatewright.ir.blocks import DialectName
from gatewright.ir.request import Asked, Rendered, Request, Target
from gatewright.ir.response import Response, Usage
from gatewright.wire.http import Call, HttpAnswer
from gatewright.wire.json import BadJson, decode_lenient, encode


class _Peek(msgspec.Struct):
    model: str = ""
    stream: bool | None = None
    prompt: msgspec.Raw = msgspec.Raw()
    """A stored template, which may name the model."""
    max_output_tokens: object = None


_peek = msgspec.json.Decoder(_Peek).decode


class OpenAIResponses:
    """Implements `dialects.protocol.Dialect`."""

    name: DialectName = NAME
    framing: Framing = "sse"

    def peek(self, call: Call) -> Peek:
        try:
            found = call.notes["peek"] = _peek(call.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            request.read_body(call)  # says what is wrong where it is not JSON at all
            raise Malformed("", "an object with a model", str(error)) from None
        if not found.model and not bytes(found.prompt):
            raise Malformed("model", "a string", "nothing")
        return Peek(model=found.model, stream=bool(found.stream))

    def asked_output(self, call: Call) -> int:
        peeked = call.notes.get("peek")
        most = peeked.max_output_tokens if isinstance(peeked, _Peek) else 0
        return most if isinstance(most, int) else 0

    def asked_answers(self, call: Call) -> int:
        return 1

    def parse_request(self, call: Call) -> Request:
        return request.parse_request(call)

    def render_request(self, request: Request, target: Target) -> Rendered:
        return render_request.render_request(request, target)

    def parse_response(self, body: bytes, asked: Asked) -> Response:
        return response.parse_response(body, asked)

    def render_response(self, response: Response, request: Request) -> Rendered:
        return render_response.render_response(response, request)

    def stream_parser(self, asked: Asked) -> ResponsesStreamParser:
        return ResponsesStreamParser(asked)

    def stream_renderer(self, request: Request) -> ResponsesStreamRenderer:
        return ResponsesStreamRenderer(request)

    def watch(self, call: Call) -> ResponsesWatch:
        del call  # usage comes in the last event whether or not anyone asked
        return ResponsesWatch()

    def read_usage(self, body: bytes) -> Usage | None:
        try:
            value = decode_lenient(body)
        except BadJson:
            return None
        if not isinstance(value, dict):
            return None
        return parse_usage(value.get("usage"), value.get("service_tier"), value.get("output"))

    def pass_edits(self, call: Call, target: Target) -> dict[str, bytes | None]:
        asked = self.peek(call).model
        return {} if asked == target.model or not target.model else {"model": encode(target.model)}

    def pass_path(self, call: Call, target: Target) -> str:
        """`/responses`, and what follows it (`/compact`, `/input_tokens`)."""
        del target
        return "/responses" + call.path.partition("/responses")[2]

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        return errors.parse_error(status, headers, body)

    def render_error(self, problem: Problem, request_id: str) -> HttpAnswer:
        return errors.render_error(problem, request_id)

    def render_stream_error(self, problem: Problem, request_id: str) -> bytes:
        return errors.render_stream_error(problem, request_id)


OPENAI_RESPONSES = OpenAIResponses()
