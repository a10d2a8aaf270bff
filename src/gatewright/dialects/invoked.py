"""Bedrock's InvokeModel as clients of Claude speak it: Anthropic's Messages, the model in the path, the stream in event frames.

One rule: what is said is Anthropic's, byte for byte; only the wrapping is AWS's.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
"""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from gatewright.errors import Malformed, refuse
from gatewright.ir.blocks import DialectName
from gatewright.wire.eventstream import CONTENT_TYPE, encode_headers, frame
from gatewright.wire.http import Call
from gatewright.wire.json import BadJson, encode
from gatewright.wire.splice import splice
from gatewright.wire.sse import SseParser

_PATH: Final = re.compile(r"^/model/(?P<model>.+)/invoke(?P<stream>-with-response-stream)?$")
_CHUNK: Final = encode_headers({":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"})
METRICS: Final = "amazon-bedrock-invocationMetrics"

HEADERS: Final = b"content-type: %b\r\nx-amzn-bedrock-content-type: application/json\r\n" % CONTENT_TYPE.encode("ascii")
"""Of a stream."""


class _Body(msgspec.Struct):
    messages: list[msgspec.Raw]
    anthropic_beta: list[str] | None = None


class _Wrapped(msgspec.Struct):
    body: bytes
    """Decoded from base64 by msgspec."""


class _Input(msgspec.Struct, rename="camel"):
    converse: msgspec.Raw = msgspec.Raw()
    invoke_model: _Wrapped | None = None


class _ToCount(msgspec.Struct):
    input: _Input


class _Counted(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Message(msgspec.Struct):
    usage: _Counted | None = None


class _Event(msgspec.Struct):
    message: _Message | None = None
    usage: _Counted | None = None


_body = msgspec.json.Decoder(_Body).decode
_event = msgspec.json.Decoder(_Event).decode
_to_count = msgspec.json.Decoder(_ToCount).decode


def read_path(path: str) -> tuple[str, bool]:
    """Model and whether it is to stream. Raises Refused for another path."""
    found = _PATH.match(path)
    if found is None:
        raise refuse("not_found", f"no such operation: {path} (invoke and invoke-with-response-stream are served)")
    return found["model"], found["stream"] is not None


def as_messages(call: Call) -> Call:
    """The same call as Anthropic's own clients make it. Raises Malformed for a body that is not Anthropic's."""
    model, stream = read_path(call.path)
    try:
        told = _body(call.body)
    except msgspec.ValidationError as error:
        expected = "Anthropic's Messages, whichever model is asked (for bodies of other makers use Converse)"
        raise Malformed("", expected, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("", "a JSON object", "something that is not JSON") from None
    edits: dict[str, bytes | None] = {
        "model": encode(model),
        "stream": b"true" if stream else None,
        "anthropic_version": None,
        "anthropic_beta": None,
    }
    flags = ",".join(flag for flag in told.anthropic_beta or () if flag.isascii() and flag.isprintable())
    before = call.headers.get("anthropic-beta")
    headers: Mapping[str, str] = call.headers
    if flags:
        headers = {**call.headers, "anthropic-beta": f"{before},{flags}" if before else flags}
    return Call(path="/v1/messages", body=splice(call.body, edits), headers=headers)


def as_counted(call: Call, model: str) -> tuple[DialectName, Call]:
    """The call whose tokens CountTokens is to count, and its dialect. Raises Malformed where it holds none.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html
    """
    try:
        told = _to_count(call.body).input
    except msgspec.ValidationError as error:
        raise Malformed("", "an input with converse or invokeModel", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("", "a JSON object", "something that is not JSON") from None
    if told.invoke_model is not None:
        path = f"/model/{model}/invoke"
        return "anthropic", as_messages(Call(path=path, body=told.invoke_model.body, headers=call.headers))
    if not bytes(told.converse):
        raise Malformed("input", "converse or invokeModel", "neither")
    return "bedrock_converse", Call(path=f"/model/{model}/converse", body=bytes(told.converse), headers=call.headers)


class Frames:
    """Anthropic's server-sent events -> event frames. An error event becomes what `exception` makes of its document."""

    def __init__(self, exception: Callable[[bytes], bytes], elapsed_ms: Callable[[], int]) -> None:
        self._events = SseParser()
        self._exception = exception
        self._elapsed_ms = elapsed_ms
        self._first_ms: int | None = None
        self._input: int | None = None
        self._output: int | None = None

    def feed(self, data: bytes) -> bytes:
        """The frames of the events that `data` completes. Raises ValueError for an event that no frame can hold."""
        return b"".join(self._frame(name, document) for name, document in self._events.feed(data) if document)

    def _frame(self, name: bytes, document: bytes) -> bytes:
        if name == b"error":
            return self._exception(document)
        if self._first_ms is None:
            self._first_ms = self._elapsed_ms()
        if name in (b"message_start", b"message_delta"):
            self._count(document)
        elif name == b"message_stop" and METRICS.encode("ascii") not in document:
            with suppress(BadJson):  # nonsense is its reader's to refuse
                document = splice(document, {METRICS: encode(self._metrics())})
        return frame(_CHUNK, b'{"bytes":"%b"}' % b64encode(document))

    def _count(self, document: bytes) -> None:
        try:
            told = _event(document)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        for usage in (told.message.usage if told.message else None, told.usage):
            if usage is not None:
                self._input = self._input if usage.input_tokens is None else usage.input_tokens
                self._output = self._output if usage.output_tokens is None else usage.output_tokens

    def _metrics(self) -> dict[str, int]:
        """What Bedrock's clients read the usage from."""
        told = {
            "inputTokenCount": self._input,
            "outputTokenCount": self._output,
            "invocationLatency": self._elapsed_ms(),
            "firstByteLatency": self._first_ms,
        }
        return {name: figure for name, figure in told.items() if figure is not None}
