"""Whole answers, written for a chat client.

One rule: at home the inverse of response.py; abroad one choice, in today's spelling, that validates against OpenAI's own types.
"""

from typing import assert_never

import msgspec

from gatewright.dialects.openai_chat.reasoning import GAP, flat_text, foreign_details
from gatewright.dialects.openai_chat.render_home import fill
from gatewright.dialects.openai_chat.render_messages import foreign_media
from gatewright.dialects.openai_chat.response import CHOICE, MESSAGE
from gatewright.dialects.openai_chat.tools import is_custom, is_legacy, signature_field, unwrap_input
from gatewright.dialects.openai_chat.usage import render_usage
from gatewright.dialects.openai_chat.words import (
    FINISH_AT,
    FINISH_EXACT,
    FINISH_OUT,
    NAME,
    SERVICE_TIERS,
    digest,
    merge,
)
from gatewright.ir.blocks import (
    Block,
    Citation,
    Inline,
    Media,
    Native,
    Reasoning,
    Refusal,
    Text,
    TokenLogprob,
    ToolCall,
    ToolResult,
)
from gatewright.ir.loss import Losses, join
from gatewright.ir.request import Rendered, Request
from gatewright.ir.response import Finish, Response, told_in_usage
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue

builtins = msgspec.to_builtins


def render_response(response: Response, request: Request) -> Rendered:
    losses = Losses(NAME)
    body = home_response(response) if response.origin == NAME else _foreign_response(response, request, losses)
    return Rendered(body=body, losses=losses.done())


def answer_id(response_id: str, model: str) -> str:
    """The answer's id, or one made of what there is."""
    return response_id or digest("chatcmpl-", model)


def home_response(response: Response) -> JsonObject:
    form = response.form
    body: JsonObject = {}
    if "no_id" not in form:
        body["id"] = response.id
    if "no_object" not in form:
        body["object"] = "chat.completion"
    if response.created is not None:
        body["created"] = response.created
    if "no_model" not in form:
        body["model"] = response.model
    message: JsonObject = {} if "no_role" in form else {"role": "assistant"}
    fill(message, response.blocks)
    choice: JsonObject = {"message": message} if "no_index" in form else {"index": 0, "message": message}
    for block in response.blocks:
        if isinstance(block, Text) and block.citations:
            message["annotations"] = [render_annotation(citation) for citation in block.citations]
        if isinstance(block, Text) and block.logprobs:
            choice["logprobs"] = {"content": [render_logprob(one) for one in block.logprobs]}
    if response.finish is not None and response.finish.raw is not None:
        choice["finish_reason"] = response.finish.raw
    if response.finish is not None and response.finish.sequence is not None:
        choice["stop_reason"] = response.finish.sequence
    top, of_choice, of_message = split_extras(response.extras)
    merge(message, of_message)
    merge(choice, of_choice)
    body["choices"] = [choice, *response.others]
    if response.usage is not None and "usage_elsewhere" not in form:
        body["usage"] = response.usage.raw or render_usage(response.usage)  # a watch keeps the figures alone
    return {**body, **top}


def split_extras(extras: JsonObject) -> tuple[JsonObject, JsonObject, JsonObject]:
    """(of the answer, of the choice, of the message)."""
    top: JsonObject = {}
    choice: JsonObject = {}
    message: JsonObject = {}
    for key, value in extras.items():
        if key.startswith(MESSAGE + "."):
            message[key[len(MESSAGE) + 1 :]] = value
        elif key.startswith(CHOICE + "."):
            choice[key[len(CHOICE) + 1 :]] = value
        else:
            top[key] = value
    return top, choice, message


def render_annotation(citation: Citation) -> JsonObject:
    """An annotation of this dialect's own, as it came."""
    outer: JsonObject = {"type": citation.kind} if citation.kind else {}
    if citation.form == ("url_citation",):
        inner: JsonObject = {}
        for key, value in (
            ("url", citation.url),
            ("title", citation.title),
            ("content", citation.cited),
            ("start_index", citation.start),
            ("end_index", citation.end),
        ):
            if value is not None:
                inner[key] = value
        outer["url_citation"] = inner
    return merge(outer, citation.extras)


def foreign_annotation(citation: Citation, start: int, end: int) -> JsonObject | None:
    """A citation of another dialect's as an annotation of the text from `start` to `end`; None where there is no URL."""
    if citation.url is None:
        return None
    inner: JsonObject = {
        "url": citation.url,
        "title": citation.title or "",
        "start_index": start if citation.start is None else citation.start + start,
        "end_index": end if citation.end is None else citation.end + start,
    }
    if citation.cited is not None:
        inner["content"] = citation.cited
    return {"type": "url_citation", "url_citation": inner}


def render_logprob(one: TokenLogprob) -> JsonObject:
    body: JsonObject = {"token": one.token}
    if one.logprob is not None:
        body["logprob"] = one.logprob
    if one.bytes is not None:
        body["bytes"] = list(one.bytes)
    if one.top:
        body["top_logprobs"] = [render_logprob(other) for other in one.top]
    return {**body, **one.extras}


def foreign_logprob(one: TokenLogprob) -> JsonObject:
    """With every key that OpenAI's own types demand."""
    octets: JsonValue = None if one.bytes is None else list(one.bytes)
    body: JsonObject = {"token": one.token, "logprob": -9999.0 if one.logprob is None else one.logprob, "bytes": octets}
    return body


def finish_word(finish: Finish | None, *, refused: bool, legacy: bool, origin: str, losses: Losses) -> str:
    """Chat's word for a foreign finish; losses where it says less."""
    at = FINISH_AT.get(origin, "finish_reason")  # type: ignore[call-overload]
    if finish is None:
        losses.approximated(at, "the provider did not say why it stopped")
        return "stop"
    word = FINISH_OUT[finish.reason]
    if finish.reason == "refusal" and refused:
        word = "stop"
    if finish.reason == "tool_calls" and legacy:
        word = "function_call"
    if finish.reason not in FINISH_EXACT and not (finish.reason == "refusal" and refused):
        losses.approximated(at, f"chat completions says {word}", finish.raw or finish.reason)
    elif finish.raw is not None:
        losses.hint(at, f"chat completions says {word}", finish.raw)
    if finish.message is not None:
        losses.hint(at, "chat completions has no explanation", finish.message)
    return word


class AnswerWriter:
    """Collects a foreign answer's blocks into one message."""

    def __init__(self, response: Response, request: Request, losses: Losses) -> None:
        self.response = response
        self.request = request
        self.losses = losses
        self.origin = response.origin
        self.legacy = is_legacy(request)
        self.text = ""
        self.refusal = ""
        self.reasoning: list[str] = []
        self.details: list[JsonValue] = []
        self.annotations: list[JsonValue] = []
        self.logprobs: list[JsonValue] = []
        self.calls: list[JsonObject] = []
        self.rest: JsonObject = {}
        self.texts = 0

    def add(self, block: Block, index: int) -> None:
        match block:
            case Text():
                self._text(block)
            case Refusal():
                self.losses.extras(block, origin=self.origin)
                self.refusal += block.text
            case Reasoning():
                self.losses.extras(block, origin=self.origin)
                if told := flat_text(block):
                    self.reasoning.append(told)
                if block.text and block.summary:
                    self.losses.hint(join(block.at, "summary"), "reasoning is told once: in full", list(block.summary))
                self.details += foreign_details(block, len(self.details))
                if block.id and block.seal is None:
                    self.losses.hint(join(block.at, "id"), "reasoning has no id in chat completions", block.id)
            case ToolCall():
                self._call(block, index)
            case Media():
                self._media(block, index)
            case ToolResult() | Native():
                self.losses.dropped(block.at, "chat completions has no such block in an answer", builtins(block))
            case _:
                assert_never(block)

    def _text(self, block: Text) -> None:
        self.losses.extras(block, origin=self.origin)
        start = len(self.text)
        self.text += block.text
        self.texts += 1
        for citation in block.citations:
            self._cite(citation, start, block)
        self.logprobs += [self._logprob(one) for one in block.logprobs]
        if block.seal is not None:
            self._seal(block.seal)

    def _logprob(self, one: TokenLogprob) -> JsonObject:
        self.losses.extras(one, origin=self.origin)
        for other in one.top:
            self.losses.extras(other, origin=self.origin)
        return {**foreign_logprob(one), "top_logprobs": [foreign_logprob(other) for other in one.top]}

    def _cite(self, citation: Citation, start: int, block: Text) -> None:
        self.losses.extras(citation, origin=self.origin)
        annotation = foreign_annotation(citation, start, start + len(block.text))
        if annotation is None:
            self.losses.dropped(citation.at or block.at, "chat completions cites only by URL", builtins(citation))
            return
        if citation.start is None or citation.end is None:
            self.losses.hint(
                citation.at or block.at, "no span was told: it covers the whole text", [citation.start, citation.end]
            )
        if citation.kind != "url_citation":
            self.losses.hint(citation.at or block.at, "chat completions cites only by URL", citation.kind)
        self.annotations.append(annotation)

    def _seal(self, seal: Seal) -> None:
        """A signed text: the first in the message's own field, further ones as encrypted details."""
        if "extra_content" not in self.rest:
            self.rest |= signature_field(seal)
        else:
            self.details += foreign_details(Reasoning(seal=seal, redacted=True), len(self.details))

    def _call(self, call: ToolCall, index: int) -> None:
        self.losses.extras(call, origin=self.origin)
        if call.item_id:
            self.losses.hint(join(call.at, "id"), "chat completions has no item ids", call.item_id)
        self.calls.append(foreign_call(call, self.request, call_id(call, self.response.id, index)))

    def _media(self, media: Media, index: int) -> None:
        self.losses.extras(media, origin=self.origin)
        if media.title is not None:
            self.losses.hint(join(media.at, "title"), "media in an answer have no title", media.title)
        if media.kind == "audio" and isinstance(media.source, Inline) and "audio" not in self.rest:
            made = digest("audio_", self.response.id, str(index))
            self.rest["audio"] = {"id": made, "data": media.source.data, "expires_at": 0, "transcript": ""}
            self.losses.approximated(media.at, "the type of the audio is not said", media.source.media_type)
        elif media.kind == "image" and (part := foreign_media(media)) is not None:
            images = self.rest.setdefault("images", [])
            assert isinstance(images, list)
            images.append(part)
            self.losses.approximated(media.at, "images in an answer are an extension of chat completions")
        else:
            self.losses.dropped(media.at, "chat completions has no such medium in an answer", builtins(media))
        if media.seal is not None:
            self._seal(media.seal)

    def message(self) -> JsonObject:
        # A client sends its answer back, and OpenAI refuses null content beside nothing else.
        silent = None if self.calls or self.refusal or "audio" in self.rest else ""
        body: JsonObject = {"role": "assistant", "content": self.text if self.texts else silent, "refusal": self.refusal or None}
        if self.reasoning:
            body["reasoning_content"] = GAP.join(self.reasoning)
        if self.details:
            body["reasoning_details"] = self.details
        if self.annotations:
            body["annotations"] = self.annotations
        body |= self.rest
        if self.calls and self.legacy:
            function = self.calls[0].get("function")
            body["function_call"] = function
            for call in self.calls[1:]:
                self.losses.dropped("", "a client that speaks of functions takes one call", call)
        elif self.calls:
            body["tool_calls"] = list(self.calls)
        return body


def call_id(call: ToolCall, response_id: str, index: int) -> str:
    """The call's id, or one made of the answer's id and the block's place."""
    return call.id or digest("call_", response_id, call.name, str(index))


def foreign_call(call: ToolCall, request: Request, ref: str) -> JsonObject:
    sealed = signature_field(call.seal) if call.seal is not None else {}
    if call.kind == "custom" or is_custom(request, call.name):
        words = call.arguments if call.kind == "custom" else unwrap_input(call.arguments)
        return {"id": ref, "type": "custom", "custom": {"name": call.name, "input": words}, **sealed}
    return {"id": ref, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}, **sealed}


def _foreign_response(response: Response, request: Request, losses: Losses) -> JsonObject:
    losses.extras(response, origin=response.origin, skip=told_in_usage(response))
    writer = AnswerWriter(response, request, losses)
    for index, block in enumerate(response.blocks):
        writer.add(block, index)
    message = writer.message()
    refused = bool(writer.refusal)
    word = finish_word(response.finish, refused=refused, legacy=writer.legacy, origin=response.origin, losses=losses)
    choice: JsonObject = {"index": 0, "message": message, "logprobs": None, "finish_reason": word}
    if writer.logprobs:
        choice["logprobs"] = {"content": writer.logprobs, "refusal": None}
    if response.finish is not None and response.finish.sequence is not None:
        choice["stop_reason"] = response.finish.sequence
    if response.others:
        losses.dropped("", "further choices cannot be shown in another dialect", [dict(other) for other in response.others])
    body: JsonObject = {
        "id": answer_id(response.id, response.model),
        "object": "chat.completion",
        "created": response.created or 0,
        "model": response.model,
        "choices": [choice],
    }
    usage = response.usage
    if usage is not None:
        body["usage"] = render_usage(usage)
        if usage.service_tier is not None:
            if usage.service_tier in SERVICE_TIERS:
                body["service_tier"] = usage.service_tier
            else:
                losses.hint("service_tier", "no such tier in chat completions", usage.service_tier)
    return body
