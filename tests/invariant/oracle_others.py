"""The same converter for the dialects that Invariant's gateway does not know, Responses and Converse, told over plain JSON.

Its definition is ours, after the one for Anthropic:

    instructions, system               {"role": "system", "content": text or parts}
    what the user says                 {"role": "user", "content": text or parts}: texts, images as `image_url`, others as `file`
    results of tools                   {"role": "tool", "content": document, text or parts, "tool_call_id"}; before what else is said
    each text of an assistant          {"role": "assistant", "content": text}
    each call                          {"role": "assistant", "tool_calls": [{"id", "type": "function", "function": {"name", "arguments": {…}}}]}

Reasoning, references, and calls that the provider runs itself are left out. One rule: as in `oracle`, nothing is known of the
neutral form.
"""

from typing import cast

from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import BadJson, decode, encode


class Lost(Exception):
    """The reference raises here, or leaves something out that we do not."""


def objects(value: JsonValue) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def text_of(text: JsonValue) -> JsonObject:
    return {"type": "text", "text": text}


def file_of(url: JsonValue, name: JsonValue = None, key: str = "file_data") -> JsonObject:
    return {"type": "file", "file": {key: url, **({} if name is None else {"filename": name})}}


def call_of(identity: JsonValue, name: JsonValue, arguments: JsonValue) -> JsonObject:
    function: JsonObject = {"name": name, "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": identity, "type": "function", "function": function}]}


def read(arguments: str) -> JsonValue:
    """The document that a call's arguments are; what is none stays the text; nothing is the empty object."""
    try:
        return decode(arguments.encode("utf-8", "surrogatepass")) if arguments.strip() else {}
    except BadJson:
        return arguments


# ------------------------------------------------------------------------------------------- Responses


def responses(request: JsonObject, answer: JsonObject | None) -> list[JsonObject]:
    made: list[JsonObject] = []
    if request.get("instructions"):
        made.append({"role": "system", "content": request["instructions"]})
    given = request.get("input")
    if isinstance(given, str):
        made.append({"role": "user", "content": given})
    for item in objects(given):
        made += _item(item)
    for item in objects((answer or {}).get("output")):
        if item.get("role", "assistant") == "assistant":  # a compaction repeats the user's own words
            made += _item(item)
    return made


def _item(item: JsonObject) -> list[JsonObject]:
    match item.get("type"):
        case "function_call":
            if item.get("namespace") not in (None, item["name"]):
                raise Lost("a tool of a namespace: it is called by both names")
            return [call_of(item["call_id"], item["name"], read(cast("str", item["arguments"])))]
        case "custom_tool_call":
            return [call_of(item["call_id"], item["name"], {"input": item["input"]})]
        case "function_call_output" | "custom_tool_call_output":
            return [{"role": "tool", "content": _said(item["output"]) or "", "tool_call_id": item["call_id"]}]
        case None | "message" if "role" in item:
            content = item["content"]
            if item["role"] not in ("user", "assistant", "system", "developer"):
                raise Lost("a role that the API refuses")
            if item["role"] != "assistant":
                role = "user" if item["role"] == "user" else "system"
                said = _said(content)
                return [{"role": role, "content": said}] if said else []
            parts = [text_of(content)] if isinstance(content, str) else objects(content)
            texts = [part.get("text", part.get("refusal")) for part in parts if part["type"] in _TEXTS | {"refusal"}]
            return [{"role": "assistant", "content": text} for text in texts]
        case _:
            return []


_TEXTS = {"input_text", "output_text", "text"}


def _said(content: JsonValue) -> JsonValue:
    return content if isinstance(content, str) else [told for part in objects(content) if (told := _part(part))]


def _part(part: JsonObject) -> JsonObject | None:
    match part["type"]:
        case "input_image" if "image_url" in part:
            return {"type": "image_url", "image_url": {"url": part["image_url"]}}
        case "input_image":
            return file_of(part["file_id"], key="file_id")
        case "input_audio":
            return {"type": "input_audio", "input_audio": part["input_audio"]}
        case "input_file":
            name = part.get("filename")
            if "file_id" in part:
                return file_of(part["file_id"], name, "file_id")
            return file_of(part.get("file_data", part.get("file_url")), name)
        case kind if kind in _TEXTS:
            return text_of(part["text"])
        case _:
            return None


# -------------------------------------------------------------------------------------------- Converse

_MEDIA_TYPES = {
    "pdf": "application/pdf", "csv": "text/csv", "html": "text/html", "txt": "text/plain", "md": "text/markdown",
    "doc": "application/msword", "mkv": "video/x-matroska", "mov": "video/quicktime", "three_gp": "video/3gpp",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
"""https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html; others are `{kind}/{format}`."""


def converse(request: JsonObject, answer: JsonObject | None) -> list[JsonObject]:
    made: list[JsonObject] = []
    if said := _parts(request.get("system")):
        made.append({"role": "system", "content": cast("JsonValue", said)})
    turns = objects(request.get("messages"))
    if answer is not None:
        turns.append(cast("JsonObject", cast("JsonObject", answer["output"])["message"]))
    for turn in turns:
        made += _turn(turn)
    return made


def _turn(turn: JsonObject) -> list[JsonObject]:
    blocks = objects(turn["content"])
    made: list[JsonObject] = []
    if turn["role"] == "assistant":
        for block in blocks:
            if isinstance(call := block.get("toolUse"), dict):
                made += [] if "type" in call else [call_of(call["toolUseId"], call["name"], call["input"])]
            elif isinstance(text := _text(block), str):
                made.append({"role": "assistant", "content": text})
            elif part := _block(block):
                made.append({"role": "assistant", "content": [part]})
        return made
    for block in blocks:
        if isinstance(result := block.get("toolResult"), dict):
            made.append({"role": "tool", "content": _result(result), "tool_call_id": result["toolUseId"]})
    if said := _parts(cast("JsonValue", blocks)):
        made.append({"role": turn["role"], "content": cast("JsonValue", said)})
    return made


def _result(result: JsonObject) -> JsonValue:
    content = objects(result.get("content"))
    if len(content) == 1 and isinstance(document := content[0].get("json"), dict):
        return document
    return cast("JsonValue", _parts(cast("JsonValue", content))) or ""


def _parts(blocks: JsonValue) -> list[JsonObject]:
    return [part for block in objects(blocks) if (part := _block(block))]


def _text(block: JsonObject) -> str | None:
    if isinstance(cited := block.get("citationsContent"), dict):
        return "".join(str(piece["text"]) for piece in objects(cited.get("content")))
    if isinstance(guarded := block.get("guardContent"), dict):
        return str(text["text"]) if isinstance(text := guarded.get("text"), dict) else None
    if "json" in block:
        return encode(block["json"]).decode()
    return cast("str | None", block.get("text"))


def _block(block: JsonObject) -> JsonObject | None:
    if (text := _text(block)) is not None:
        return text_of(text)
    if isinstance(guarded := block.get("guardContent"), dict):
        return _block(guarded)
    for kind in ("image", "document", "video", "audio"):
        if isinstance(medium := block.get(kind), dict):
            return _medium(kind, medium)
    return None


def _medium(kind: str, medium: JsonObject) -> JsonObject:
    source = cast("JsonObject", medium["source"])
    if isinstance(place := source.get("s3Location"), dict):
        return file_of(place["uri"], medium.get("name"), "file_id")
    if isinstance(pieces := source.get("content"), list):
        if len(pieces) > 1:
            raise Lost("a document in pieces, which only Converse has")
        source = cast("JsonObject", pieces[0])
    if "text" in source:
        return text_of(source["text"])
    word = str(medium.get("format", ""))
    url = f"data:{_MEDIA_TYPES.get(word, f'{kind}/{word}')};base64,{source['bytes']}"
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": url}}
    if kind == "audio":
        return {"type": "input_audio", "input_audio": {"data": source["bytes"], "format": word}}
    return file_of(url, medium.get("name"))
