"""The official SDKs' readers as judges: a rendered stream or error, fed through their own HTTP clients, and what they made of it."""

from collections.abc import Callable
from functools import lru_cache
from typing import cast

import anthropic
import httpx2
import openai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from gatewright.ir.blocks import DialectName
from gatewright.wire import json as wire_json
from tests.laws import bedrock_oracle

UNREADABLE_BY_CHOICE = (openai.LengthFinishReasonError, openai.ContentFilterFinishReasonError)
"""What openai-python raises at the end of a stream it has read in full, to say why it stopped."""


class _Wire:
    """What the SDK's HTTP client is answered next."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: list[tuple[str, str]] = []
        self.body = b""

    def __call__(self, _request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(self.status, headers=self.headers, content=self.body)


_wire = _Wire()


@lru_cache(maxsize=1)
def _openai() -> openai.OpenAI:
    http = httpx2.Client(transport=httpx2.MockTransport(_wire))
    return openai.OpenAI(api_key="k", base_url="http://gateway.invalid/v1", max_retries=0, http_client=http)


@lru_cache(maxsize=1)
def _anthropic() -> anthropic.Anthropic:
    http = httpx2.Client(transport=httpx2.MockTransport(_wire))
    return anthropic.Anthropic(api_key="k", base_url="http://gateway.invalid", max_retries=0, http_client=http)


@lru_cache(maxsize=1)
def _genai() -> genai.Client:
    http = httpx2.Client(transport=httpx2.MockTransport(_wire))
    options = genai_types.HttpOptions(base_url="http://gateway.invalid", httpx_client=http)
    return genai.Client(api_key="k", http_options=options)


class Told:
    """What the SDK's reader understood of a stream: the text, the tool calls, and the error it raised, if any."""

    def __init__(self) -> None:
        self.text = ""
        self.calls: list[tuple[str, str]] = []
        self.error: Exception | None = None
        self.ended = False


def _read_chat(told: Told) -> None:
    with _openai().chat.completions.stream(model="m", messages=[]) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion()
    for choice in final.choices[:1]:
        told.text = choice.message.content or ""
        for call in choice.message.tool_calls or []:
            told.calls.append((call.function.name, call.function.arguments))
        told.ended = choice.finish_reason is not None


def _read_responses(told: Told) -> None:
    with _openai().responses.stream(model="m", input="x") as stream:
        last = None
        for event in stream:
            last = event
            if event.type in ("error", "response.failed"):
                raise RuntimeError(event.type)
            if event.type == "response.output_text.delta":
                told.text += event.delta
    assert last is not None
    told.ended = last.type in ("response.completed", "response.incomplete")
    final = last.response  # type: ignore[union-attr]
    told.text = final.output_text
    told.calls = [(item.name, item.arguments) for item in final.output if item.type == "function_call"]


def _read_anthropic(told: Told) -> None:
    with _anthropic().messages.stream(model="m", max_tokens=1, messages=[]) as stream:
        for _ in stream:
            pass
        final = stream.get_final_message()
    told.text = "".join(block.text for block in final.content if block.type == "text")
    told.calls = [(b.name, wire_json.encode(b.input).decode()) for b in final.content if b.type == "tool_use"]
    told.ended = final.stop_reason is not None


def _read_gemini(told: Told) -> None:
    for chunk in _genai().models.generate_content_stream(model="m", contents="x"):
        for candidate in (chunk.candidates or [])[:1]:
            for part in (candidate.content and candidate.content.parts) or []:
                if part.text and not part.thought:
                    told.text += part.text
                if part.function_call:
                    args = wire_json.encode(part.function_call.args or {}).decode()
                    told.calls.append((part.function_call.name or "", args))
            told.ended = told.ended or candidate.finish_reason is not None
        told.ended = told.ended or bool(chunk.prompt_feedback and chunk.prompt_feedback.block_reason)


def _read_converse(told: Told) -> None:
    calls: dict[int, int] = {}
    for event in bedrock_oracle.read_stream(_wire.body):
        start = event.get("contentBlockStart", {}).get("start", {}).get("toolUse")
        piece = event.get("contentBlockDelta", {})
        if start is not None:
            calls[event["contentBlockStart"]["contentBlockIndex"]] = len(told.calls)
            told.calls.append((start["name"], ""))
        if "toolUse" in piece.get("delta", {}):
            at = calls[piece["contentBlockIndex"]]
            told.calls[at] = (told.calls[at][0], told.calls[at][1] + piece["delta"]["toolUse"]["input"])
        told.text += piece.get("delta", {}).get("text", "")
        told.ended = told.ended or "messageStop" in event


_READ: dict[DialectName, Callable[[Told], None]] = {
    "openai_chat": _read_chat,
    "openai_responses": _read_responses,
    "anthropic": _read_anthropic,
    "gemini": _read_gemini,
    "bedrock_converse": _read_converse,
}


def read_stream(dialect: DialectName, wire: bytes, *, content_type: str = "text/event-stream") -> Told:
    """The stream as the SDK's own stream class reads it."""
    _wire.status, _wire.body, _wire.headers = 200, wire, [("content-type", content_type)]
    told = Told()
    try:
        _READ[dialect](told)
    except UNREADABLE_BY_CHOICE:
        told.ended = True
    except Exception as error:
        told.error = error
    return told


class SdkError:
    """What the SDK made of an error answer."""

    def __init__(self, name: str, status: int, message: str, headers: dict[str, str]) -> None:
        self.name = name
        self.status = status
        self.message = message
        self.headers = headers


def _words(body: object) -> str:
    """The message in an error body as the SDK keeps it (openai-python unwraps `error`, anthropic does not)."""
    inner = body.get("error", body) if isinstance(body, dict) else body
    return str(inner.get("message") or "") if isinstance(inner, dict) else ""


def read_error(dialect: DialectName, status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> SdkError | None:
    """The exception that the SDK raises for this answer; None when it raises none of its own."""
    if dialect == "bedrock_converse":
        code, seen, message = bedrock_oracle.read_error(status, headers, body)
        return SdkError(code, seen, message, dict(headers)) if code else None
    _wire.status, _wire.body = status, body
    _wire.headers = [("content-type", "application/json"), *headers]
    try:
        if dialect == "openai_chat":
            _openai().chat.completions.create(model="m", messages=[])
        elif dialect == "openai_responses":
            _openai().responses.create(model="m", input="x")
        elif dialect == "anthropic":
            _anthropic().messages.create(model="m", max_tokens=1, messages=[])
        else:
            _genai().models.generate_content(model="m", contents="x")
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        return SdkError(
            type(error).__name__, error.status_code, _words(error.body) or error.message, dict(error.response.headers)
        )
    except genai_errors.APIError as error:
        answered = cast("httpx2.Response | None", error.response)
        return SdkError(
            type(error).__name__, error.code, error.message or "", dict(answered.headers) if answered is not None else {}
        )
    return None
