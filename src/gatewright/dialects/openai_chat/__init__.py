"""Chat Completions: OpenAI's, and what a crowd of hosts speaks in its name.

https://platform.openai.com/docs/api-reference/chat
"""

from collections.abc import Mapping

import msgspec

from gatewright.dialects.openai_chat import errors
from gatewright.dialects.openai_chat.render_request import PATH, render_request
from gatewright.dialects.openai_chat.render_response import render_response
from gatewright.dialects.openai_chat.request import parse_request
from gatewright.dialects.openai_chat.response import parse_response
from gatewright.dialects.openai_chat.stream_parser import ChatStreamParser
from gatewright.dialects.openai_chat.stream_renderer import ChatStreamRenderer
from gatewright.dialects.openai_chat.usage import Figures, usage_in, usage_of
from gatewright.dialects.openai_chat.watch import ChatWatch
from gatewright.dialects.openai_chat.words import NAME
from gatewright.dialects.protocol import Framing, Peek
from gatewright.errors import Malformed, Problem
from gatewright.ir.blocks import DialectName
from gatewright.ir.request import Asked, Rendered, Request, Target
from gatewright.ir.response import Response, Usage
from gatewright.jsontypes import JsonValue
from gatewright.wire import json as wire_json
from gatewright.wire.http import Call, HttpAnswer
from gatewright.wire.prose import told


class _Options(msgspec.Struct):
    include_usage: bool | None = None


class _Passing(msgspec.Struct):
    """The little of a request that a stream passing through depends on, and how long the answer may be."""

    model: str = ""
    stream: bool | None = None
    stream_options: _Options | None = None
    max_completion_tokens: object = None
    max_tokens: object = None
    n: object = None


class _Telling(msgspec.Struct):
    """What of an answer tells usage; the text is not built."""

    usage: Figures | None = None
    service_tier: JsonValue = None
    x_groq: JsonValue = None


_telling = msgspec.json.Decoder(_Telling).decode
_passing = msgspec.json.Decoder(_Passing).decode
_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class OpenAIChat:
    """Implements `Dialect`."""

    name: DialectName = NAME
    framing: Framing = "sse"

    def peek(self, call: Call) -> Peek:
        body = call.body
        try:
            prose = told(body, _Passing)
            peeked = call.notes["peek"] = _passing(body) if prose is None else prose
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed("", "a JSON object with a model", str(error)) from None
        if not peeked.model:
            raise Malformed("model", "a model name", "nothing")
        return Peek(model=peeked.model, stream=peeked.stream is True, is_text=prose is not None)

    def asked_output(self, call: Call) -> int:
        peeked = _pass_peek(call)
        most, older = peeked.max_completion_tokens, peeked.max_tokens
        if most is None:
            most = older
        elif isinstance(most, int) and isinstance(older, int):  # nobody knows which one a host goes by, and to some -1 is no end
            most = max(most, older) if min(most, older) >= 0 else 0
        return most * _answers(peeked.n) if isinstance(most, int) and most > 0 else 0

    def asked_answers(self, call: Call) -> int:
        return _answers(_pass_peek(call).n)

    def parse_request(self, call: Call) -> Request:
        return parse_request(call)

    def render_request(self, request: Request, target: Target) -> Rendered:
        return render_request(request, target)

    def parse_response(self, body: bytes, asked: Asked) -> Response:
        return parse_response(body, asked)

    def render_response(self, response: Response, request: Request) -> Rendered:
        return render_response(response, request)

    def stream_parser(self, asked: Asked) -> ChatStreamParser:
        return ChatStreamParser(asked)

    def stream_renderer(self, request: Request) -> ChatStreamRenderer:
        return ChatStreamRenderer(request)

    def watch(self, call: Call) -> ChatWatch:
        options = _pass_peek(call).stream_options
        return ChatWatch(usage_asked=options is not None and options.include_usage is True)

    def read_usage(self, body: bytes) -> Usage | None:
        try:
            told = _telling(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return _read_usage_slowly(body)
        figures = told.usage
        if figures is not None and (figures.prompt_tokens is not None or figures.said):
            return usage_of(figures, told.service_tier, {})
        return None if told.x_groq is None else usage_in({"x_groq": told.x_groq})

    def pass_edits(self, call: Call, target: Target) -> dict[str, bytes | None]:
        peeked = _pass_peek(call)
        edits: dict[str, bytes | None] = {}
        if peeked.model != target.model:
            edits["model"] = wire_json.encode(target.model)
        if peeked.stream and not (peeked.stream_options is not None and peeked.stream_options.include_usage):
            edits["stream_options"] = _with_usage(call.body)
        return edits

    def pass_path(self, call: Call, target: Target) -> str:
        return PATH

    def parse_error(self, status: int, headers: Mapping[str, str], body: bytes) -> Problem:
        return errors.parse_error(status, headers, body)

    def render_error(self, problem: Problem, request_id: str) -> HttpAnswer:
        return errors.render_error(problem, request_id)

    def render_stream_error(self, problem: Problem, request_id: str) -> bytes:
        return errors.render_stream_error(problem)


def _answers(n: object) -> int:
    return n if isinstance(n, int) and n > 1 else 1


def _read_usage_slowly(body: bytes) -> Usage | None:
    """For an answer with something odd beside its usage: a lone surrogate, a usage that is no object."""
    try:
        document = wire_json.decode_lenient(body)
    except wire_json.BadJson:
        return None
    return usage_in(document) if isinstance(document, dict) else None


def _pass_peek(call: Call) -> _Passing:
    """Nothing is known of a body that is not of this shape; the upstream will say what is wrong with it."""
    noted = call.notes.get("peek")
    if isinstance(noted, _Passing):
        return noted
    try:
        return _passing(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Passing()


def _with_usage(body: bytes) -> bytes:
    """The client's `stream_options`, if any, with usage asked for. Raises BadJson for what is not even read that far."""
    try:
        raw = _raw(body).get("stream_options")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise wire_json.BadJson(f"not a JSON object: {error}") from None
    options = wire_json.decode(bytes(raw)) if raw is not None else None
    return wire_json.encode({**(options if isinstance(options, dict) else {}), "include_usage": True})


OPENAI_CHAT = OpenAIChat()
