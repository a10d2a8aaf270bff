"""Claude on Bedrock: Anthropic's Messages through InvokeModel, whose stream is an AWS event stream of base64.

One rule: the body is Anthropic's but for what Bedrock has elsewhere: the model and the wish for a stream stand in the path, the
version and the beta flags in the body.
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
"""

import re
from base64 import b64encode
from typing import Final
from urllib.parse import quote

import msgspec

from gatewright.providers.quirks.betas import BETAS
from gatewright.providers.shapes.seam import Said, Unwrapper
from gatewright.wire.eventstream import CONTENT_TYPE, Decoder, Message
from gatewright.wire.json import BadJson, decode_lenient, decode_object, encode
from gatewright.wire.splice import splice
from gatewright.wire.sse import sse

VERSION: Final = b'"bedrock-2023-05-31"'

GEOGRAPHY: Final = re.compile(r"^(?:us|us-gov|eu|apac|jp|au|ca|global)\.(?=anthropic\.)")
"""Beginnings of inference profiles: tokens are counted for the bare model."""

COUNT_TOKENS: Final = "/v1/messages/count_tokens"

TYPE_OF_EXCEPTION: Final = {
    "throttlingException": "rate_limit_error",
    "modelTimeoutException": "timeout_error",
    "serviceUnavailableException": "overloaded_error",
    "validationException": "invalid_request_error",
    "accessDeniedException": "permission_error",
    "resourceNotFoundException": "not_found_error",
}
"""Exceptions within a stream → Anthropic's error types; all others are `api_error`."""


class _Chunk(msgspec.Struct):
    bytes: bytes
    """Decoded from base64 by msgspec."""


class _Typed(msgspec.Struct):
    type: str = ""


_chunk = msgspec.json.Decoder(_Chunk).decode
_typed = msgspec.json.Decoder(_Typed).decode


class BedrockClaude:
    """Dialect `anthropic`, for Claude models only."""

    def request(self, said: Said) -> Said:
        if said.path.partition("?")[0] == COUNT_TOKENS:
            return self._count(said)
        action = "invoke-with-response-stream" if said.stream else "invoke"
        return msgspec.structs.replace(
            said, path=f"/model/{quote(said.model, safe='')}/{action}", body=_body(said), headers=_headers(said)
        )

    def unwrapper(self, said: Said, content_type: bytes) -> Unwrapper | None:
        if said.path.endswith("/count-tokens"):
            return CountUnwrapper()
        return StreamUnwrapper() if content_type.startswith(CONTENT_TYPE.encode("ascii")) else None

    def _count(self, said: Said) -> Said:
        asked = decode_object(_body(said))
        thinking = asked.get("thinking")
        budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
        asked.setdefault("max_tokens", 1024 + (budget if isinstance(budget, int) else 0))  # wanted here, though nothing is made
        body = {"input": {"invokeModel": {"body": b64encode(encode(asked)).decode("ascii")}}}
        model = quote(GEOGRAPHY.sub("", said.model), safe="")
        return msgspec.structs.replace(
            said, path=f"/model/{model}/count-tokens", body=encode(body), headers=_headers(said), stream=False
        )


def _body(said: Said) -> bytes:
    edits: dict[str, bytes | None] = {"model": None, "stream": None, "anthropic_version": VERSION}
    flags = betas(next((value for name, value in said.headers if name.lower() == "anthropic-beta"), ""))
    if flags:
        edits["anthropic_beta"] = encode(flags)
    return splice(said.body, edits)


def _headers(said: Said) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in said.headers if name.lower() not in ("anthropic-version", "anthropic-beta"))


def betas(header: str) -> list[str]:
    """The flags of an `anthropic-beta` header that Bedrock knows, by its names for them.

    The quirk has left out the others and said so; where quirks have no part (counting tokens) they must not kill the call either.
    """
    known = BETAS["bedrock"]
    asked = (flag.strip() for flag in header.split(","))
    return list(dict.fromkeys(known[flag] for flag in asked if flag in known))


class StreamUnwrapper:
    """Frames of `{"bytes": base64}` → Anthropic's server-sent events; an exception frame → its error event."""

    content_type = b"text/event-stream"

    def __init__(self) -> None:
        self._frames = Decoder()

    def feed(self, data: bytes) -> bytes:
        return b"".join(map(_event, self._frames.feed(data)))

    def close(self) -> bytes:
        self._frames.close()
        return b""


def _event(message: Message) -> bytes:
    kind = message.headers.get(":message-type")
    if kind != "event":
        return _error(message)
    if message.headers.get(":event-type") != "chunk":
        return b""
    try:
        document = _chunk(message.payload).bytes
        name = _typed(document).type
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("a chunk of its stream is not base64 of a JSON object") from None
    if b"\n" in document or b"\r" in document:
        document = encode(decode_lenient(document))
    if "\n" in name or "\r" in name:
        raise ValueError("an event of its stream has a line break in its name")
    return sse(document, name.encode("utf-8"))


def _error(message: Message) -> bytes:
    """An exception (`:exception-type`) or error (`:error-code`) frame, as Anthropic would tell it."""
    word = str(message.headers.get(":exception-type") or message.headers.get(":error-code") or "")
    try:
        document = decode_lenient(message.payload)
    except BadJson:
        document = None
    told = message.headers.get(":error-message")
    if told is None and isinstance(document, dict):
        told = str(document.get("message") or document.get("Message") or "")
    kind = TYPE_OF_EXCEPTION.get(word[:1].lower() + word[1:], "api_error")
    text = str(told or f"the provider ended its stream with {word or 'an error'}")
    return sse(encode({"type": "error", "error": {"type": kind, "message": text}}), b"error")


class CountUnwrapper:
    """`{"inputTokens": n}` → `{"input_tokens": n}`."""

    content_type = b"application/json"

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        self._held += data
        return b""

    def close(self) -> bytes:
        return encode({"input_tokens": decode_object(self._held).get("inputTokens")})
