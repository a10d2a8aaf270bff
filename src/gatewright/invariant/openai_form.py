"""OpenAI's messages as they are; and other dialects' conversations in that form.

One rule: what a client of this dialect sent, and what it was answered, is written back field by field, what nobody understood
included. Of other dialects' reasoning nothing is written: it was not said.
The dialect's own renderers lie above this layer and cannot be asked: what they write alike (media, the pieces of a thinking part)
is here once more. They may say only what a provider takes; here every block is told, whatever its source.
https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages
"""

from collections.abc import Iterator, Sequence

from gatewright.invariant.openai_reasoning import detail, signature, thinking_pieces
from gatewright.invariant.parts import media_part, part_of, url_of
from gatewright.ir.blocks import (
    Block,
    CacheHint,
    Citation,
    FileRef,
    Inline,
    Media,
    Message,
    Native,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from gatewright.ir.response import Response
from gatewright.ir.seal import Seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import BadJson, decode_object, decode_or_text

_ROLES = frozenset(("system", "developer", "user", "assistant", "tool", "function"))
_OF_MESSAGE = "choices[0].message."
_REASONING_FIELDS = frozenset(("reasoning_content", "reasoning"))


def openai_messages(messages: Sequence[Message]) -> list[JsonObject]:
    return [written for message in messages for written in _message(message)]


def openai_answer(response: Response) -> list[JsonObject]:
    """The message of every choice."""
    body: JsonObject = {"role": "assistant"}
    _fill(body, response.blocks)
    body = _merge(
        body,
        {key.removeprefix(_OF_MESSAGE): value for key, value in response.extras.items() if key.startswith(_OF_MESSAGE)},
    )
    others = [message for other in response.others if isinstance(message := other.get("message"), dict)]
    return [body, *others]


def as_answered(body: bytes) -> list[JsonObject] | None:
    """The messages of a whole answer on OpenAI's wire: the form itself, to the last field. None: it is no such answer."""
    try:
        choices = decode_object(body).get("choices")
    except BadJson:
        return None
    told = (
        [choice.get("message") if isinstance(choice, dict) else None for choice in choices] if isinstance(choices, list) else []
    )
    messages = [message for message in told if isinstance(message, dict)]
    return messages if messages and len(messages) == len(told) else None


def _message(message: Message) -> Iterator[JsonObject]:
    if message.role == "assistant":
        body: JsonObject = {"role": _role(message)}
        if message.name is not None:
            body["name"] = message.name
        _fill(body, message.blocks)
        yield _merge(body, message.extras)
        return
    others = tuple(block for block in message.blocks if not isinstance(block, ToolResult))
    for block in message.blocks:
        if isinstance(block, ToolResult):
            yield _result(block, message)
    if others or not message.blocks:
        body = {"role": _role(message)}
        if message.name is not None:
            body["name"] = message.name
        _fill(body, others)
        yield _merge(body, message.extras)


def _role(message: Message) -> str:
    """OpenAI's own word, where it was one of Chat Completions'; other dialects' forms are no roles."""
    return message.form[0] if message.form[:1] and message.form[0] in _ROLES else message.role


def _result(result: ToolResult, message: Message) -> JsonObject:
    home = message.form[:1] in (("tool",), ("function",))
    body: JsonObject = {"role": message.form[0] if home else "tool"}
    if "no_id" not in result.form and (home or result.call_id):
        body["tool_call_id"] = result.call_id
    if result.name:
        body["name"] = result.name
    if result.structured is not None:
        body["content"] = result.structured
    else:
        _fill(body, result.content)
    if not home:
        body.setdefault("content", "")
        return body
    return {**body, **_cache(result.cache), **result.extras}


def _fill(body: JsonObject, blocks: tuple[Block, ...]) -> None:
    content: list[JsonValue] = []
    calls: list[JsonValue] = []
    images: list[JsonValue] = []
    details: list[JsonValue] = []
    for block in blocks:
        match block:
            case Text(bare=True):
                body["content"] = block.text
                body |= _cache(block.cache)
            case Text(form=("object",)):
                body["content"] = decode_or_text(block.text)
            case Text(form=("transcript",)):
                _inside(body, "audio")["transcript"] = block.text
            case Text(form=("string_part",)):
                content.append(block.text)
            case Refusal(form=("field",)):
                body["refusal"] = block.text
            case Reasoning() if block.form[:1] and block.form[0] in _REASONING_FIELDS:
                body[block.form[0]] = block.text
            case Reasoning(form=("signature",), seal=Seal() as seal):
                body |= signature(seal)
            case Reasoning() if block.form[:1] == ("detail",):
                details.append(detail(block))
            case Native(origin="openai_chat") if block.form[:1] == ("detail",):
                details.append(block.data[""] if block.form[1:] else block.data)
            case Media(form=("audio",)):
                _inside(body, "audio").update(_speech(block))
            case Media() if block.form[2:] == ("images",):
                images.append(_merge(_medium(block), block.extras))
            case ToolCall() if block.form[:1] == ("legacy",):
                body["function_call"] = {"name": block.name, "arguments": block.arguments, **block.extras}
            case ToolCall():
                calls.append(_call(block))
            case _ if (part := _part(block)) is not None:
                content.append(part)
        if isinstance(block, Text) and block.seal is not None:
            body |= signature(block.seal)
    for key, items in (("content", content), ("reasoning_details", details), ("tool_calls", calls), ("images", images)):
        if items:
            body[key] = items
    _join_texts(body, blocks, content)
    if notes := [note for block in blocks if isinstance(block, Text) for note in map(_annotation, block.citations)]:
        body["annotations"] = list(notes)


def _join_texts(body: JsonObject, blocks: tuple[Block, ...], content: list[JsonValue]) -> None:
    """What other dialects tell in pieces, and what came as a stream, is one text: as OpenAI's answers have it."""
    pieces = [block for block in blocks if isinstance(block, Text) and _is_piece(block)]
    if pieces and len(pieces) == len(content):
        body["content"] = "".join(block.text for block in pieces)


def _is_piece(block: Text) -> bool:
    return block.form in (("string",), ("delta",)) and not block.extras


def _part(block: Block) -> JsonValue:
    match block:
        case Text():
            return _merge({"type": "text", "text": block.text, **_cache(block.cache)}, block.extras)
        case Refusal():
            return _merge({"type": "refusal", "refusal": block.text}, block.extras)
        case Media() if block.form:
            return _merge({**_medium(block), **_cache(block.cache)}, block.extras)
        case Reasoning() if block.form[:1] == ("thinking",):
            return _merge({"type": "thinking", "thinking": thinking_pieces(block)}, block.extras)
        case Native(origin="openai_chat"):
            return block.data
        case _:
            return part_of(block)


def _medium(block: Media) -> JsonObject:
    """A medium in the spelling it came in."""
    word = block.form[0]
    source = block.source
    flat = block.form[1:2] == ("flat",)
    if word == "file":
        inner: JsonObject = {}
        if isinstance(source, FileRef):
            inner["file_id"] = source.id
        else:
            inner["file_data"] = source.data if isinstance(source, Inline) and block.form[1:] == ("raw",) else url_of(source)
        if block.title is not None:
            inner["filename"] = block.title
        return {"type": "file", "file": inner}
    if word == "input_audio":
        data = source.data if isinstance(source, Inline) else url_of(source)
        if flat:
            return {"type": word, word: data}
        named: JsonObject = {"format": block.form[2]} if block.form[1:2] == ("format",) else {}
        return {"type": word, word: {"data": data, **named}}
    if word not in ("image_url", "video_url", "document_url"):
        return media_part(block)
    if flat or word == "document_url":
        return {"type": word, word: url_of(source), **({"document_name": block.title} if block.title is not None else {})}
    detail: JsonObject = {} if block.detail is None else {"detail": block.detail}
    return {"type": word, word: {"url": url_of(source), **detail}}


def _call(call: ToolCall) -> JsonObject:
    prefix, key = ("custom", "input") if call.kind == "custom" else ("function", "arguments")
    inner: JsonObject = {} if "no_name" in call.form else {"name": call.name}
    if "object" in call.form:
        inner[key] = decode_or_text(call.arguments)
    elif "no_arguments" not in call.form:
        inner[key] = call.arguments
    body: JsonObject = {prefix: inner}
    if "untyped" not in call.form and "type" not in call.extras:
        body["type"] = prefix
    if "no_id" not in call.form and "id" not in call.extras:
        body["id"] = call.id
    signed = signature(call.seal) if call.seal is not None else {}
    return _merge({**body, **signed, **_cache(call.cache)}, call.extras)


def _annotation(citation: Citation) -> JsonObject:
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
    body: JsonObject = {"type": citation.kind, citation.kind: inner} if citation.kind else {**inner}
    return _merge(body, citation.extras)


def _cache(hint: CacheHint | None) -> JsonObject:
    if hint is None:
        return {}
    ttl: JsonObject = {} if hint.ttl is None else {"ttl": hint.ttl}
    return {"cache_control": {"type": "ephemeral", **ttl, **hint.extras}}


def _inside(body: JsonObject, key: str) -> JsonObject:
    inner = body.setdefault(key, {})
    assert isinstance(inner, dict)
    return inner


def _speech(block: Media) -> JsonObject:
    match block.source:
        case FileRef(id=reference):
            return {"id": reference, **block.extras}
        case Inline(data=data):
            return {"data": data, **block.extras}
        case _:
            return dict(block.extras)


def _merge(document: JsonObject, extras: JsonObject) -> JsonObject:
    """Extras written in: dotted keys (`function.strict`) go into the object that they name."""
    for key, value in extras.items():
        head, _, tail = key.partition(".")
        inner = document.get(head) if tail else None
        if isinstance(inner, dict):
            document[head] = _merge(dict(inner), {tail: value})
        else:
            document[key] = value
    return document
