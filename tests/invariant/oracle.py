"""What Invariant's gateway makes of a conversation on the wire: its documented converters, told anew over plain JSON.

One rule: it knows nothing of the neutral form. Where the reference fails or loses something, it says so by `Lost`, with the
reason that docs and docstrings give; `mended` is what would stand there if it were right (`gatewright/invariant/messages.py`).
"""

from typing import cast

from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue
from tests.invariant import oracle_others
from tests.invariant.oracle_others import Lost


def messages(dialect: DialectName, request: JsonObject, answer: JsonObject | None, *, mended: bool = False) -> list[JsonObject]:
    match dialect:
        case "openai_chat":
            made = _openai(request, answer)
        case "anthropic":
            made = _Anthropic(mended).messages(request, answer)
        case "gemini":
            made = _Gemini(mended).messages(request, answer)
        case "openai_responses":
            made = oracle_others.responses(request, answer)
        case "bedrock_converse":
            made = oracle_others.converse(request, answer)
    return [{key: value for key, value in one.items() if value is not None} for one in made]


_SAID = frozenset(("messages", "system", "contents", "systemInstruction", "system_instruction", "input", "instructions"))
_ANSWERED: dict[DialectName, tuple[tuple[str, str], ...]] = {
    "openai_chat": (("usage", "usage"), ("model", "model")),
    "openai_responses": (("usage", "usage"), ("model", "model")),
    "anthropic": (("usage", "usage"),),
    "gemini": (("usage", "usageMetadata"), ("modelVersion", "modelVersion")),
    "bedrock_converse": (("usage", "usage"),),
}
"""What is told of an answer, and what it is called there."""


def metadata(dialect: DialectName, request: JsonObject, answer: JsonObject | None) -> JsonObject:
    """`answer`: None for a stream, of which the reference tells nothing beside."""
    told: JsonObject = {key: value for key, value in request.items() if key not in _SAID and value is not None}
    told["via_gateway"] = True
    for key, name in _ANSWERED[dialect]:
        if value := (answer or {}).get(name):  # what is empty says nothing
            told[key] = value
    return told


def _objects(value: JsonValue) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _openai(request: JsonObject, answer: JsonObject | None) -> list[JsonObject]:
    made = _objects(request.get("messages"))
    for choice in _objects((answer or {}).get("choices")):
        made.append(cast("JsonObject", choice["message"]))
    return made


class _Mendable:
    """A converter that stops, or goes on, where the reference is wrong."""

    def __init__(self, mended: bool) -> None:
        self._mended = mended

    def lost(self, why: str) -> None:
        """Raises Lost, unless it is mended."""
        if not self._mended:
            raise Lost(why)


class _Anthropic(_Mendable):
    def messages(self, request: JsonObject, answer: JsonObject | None) -> list[JsonObject]:
        made: list[JsonObject] = []
        said: list[JsonObject] = [{"role": "system", "content": request["system"]}] if "system" in request else []
        if request.get("system") == []:
            self.lost("instructions that say nothing become a message")
            said = []
        said += _objects(request.get("messages"))
        if answer:
            said.append(answer)
        for one in said:
            content = one.get("content")
            if one["role"] == "system":
                made.append({"role": "system", "content": content})
            elif one["role"] == "user":
                made += self._user(content)
            elif isinstance(content, str):
                self.lost("plain history of an assistant")
                made.append({"role": "assistant", "content": content})
            else:
                made += _anthropic_assistant(_objects(content))
        return made

    def _user(self, content: JsonValue) -> list[JsonObject]:
        if not isinstance(content, list):
            return [{"role": "user", "content": content}]
        results: list[JsonObject] = []
        parts: list[JsonValue] = []
        for block in _objects(content):
            if block["type"] == "tool_result":
                results.append({"role": "tool", "content": self._result(block), "tool_call_id": block["tool_use_id"]})
            elif (part := self._part(block)) is not None:
                parts.append(part)
        return [*results, *([{"role": "user", "content": parts}] if parts else [])]

    def _result(self, block: JsonObject) -> JsonValue:
        content = block.get("content")
        if not content:
            self.lost("result without content")
            return ""
        blocks = _objects(content)
        if all(part.get("type") == "text" for part in blocks):
            return content
        self.lost("media in a result keep Anthropic's spelling")
        told = [part if part["type"] not in ("image", "document") else self._part(part) for part in blocks]
        return [part for part in told if part is not None]

    def _part(self, block: JsonObject) -> JsonObject | None:
        match block["type"]:
            case "text":
                return {"type": "text", "text": block["text"]}
            case "image":
                source = cast("JsonObject", block["source"])
                if source["type"] != "base64":
                    self.lost("an image that is no base64")
                return _anthropic_medium(source, image=True)
            case "document":
                self.lost("a document")
                return _anthropic_medium(cast("JsonObject", block["source"]), name=block.get("title"))
            case _:
                return None


def _anthropic_assistant(blocks: list[JsonObject]) -> list[JsonObject]:
    made: list[JsonObject] = []
    for block in blocks:
        if block["type"] == "text":
            made.append({"role": "assistant", "content": block.get("text")})
        elif block["type"] == "tool_use":
            function: JsonObject = {"name": block.get("name"), "arguments": block.get("input")}
            call: JsonObject = {"id": block.get("id"), "type": "function", "function": function}
            made.append({"role": "assistant", "content": None, "tool_calls": [call]})
    return made


def _anthropic_medium(source: JsonObject, *, image: bool = False, name: JsonValue = None) -> JsonObject:
    match source["type"]:
        case "text":
            return {"type": "text", "text": source["data"]}
        case "content" if isinstance(source["content"], str):
            return {"type": "text", "text": source["content"]}
        case "content":
            raise Lost("a document in pieces, which only Anthropic has")
        case "file":
            return oracle_others.file_of(source["file_id"], name, "file_id")
        case "url":
            url = source["url"]
        case _:
            url = f"data:{source['media_type']};base64,{source['data']}"
    return {"type": "image_url", "image_url": {"url": url}} if image else oracle_others.file_of(url, name)


_SNAKES = {
    "function_call": "functionCall",
    "function_response": "functionResponse",
    "inline_data": "inlineData",
    "file_data": "fileData",
}


class _Gemini(_Mendable):
    def messages(self, request: JsonObject, answer: JsonObject | None) -> list[JsonObject]:
        made: list[JsonObject] = []
        system = request.get("systemInstruction")
        if "systemInstruction" not in request and "system_instruction" in request:
            self.lost("instructions in another spelling")
            system = request["system_instruction"]
        if system is not None:
            if not isinstance(system, dict):
                raise Lost("instructions that the API refuses")
            made.append({"role": "system", "content": " ".join(str(part.get("text", "")) for part in self._parts(system))})
        for content in _objects(request.get("contents")):
            if content.get("role") not in ("user", "model"):
                self.lost("a turn without a role that it knows")
            if content.get("role") == "model":
                made += self._model(content)
            else:
                made += self._user(self._parts(content))
        for candidate in _objects((answer or {}).get("candidates")):
            content = candidate.get("content")
            if isinstance(content, dict) and content.get("parts"):
                if content.get("role") != "model":
                    self.lost("an answer without a role")
                made += self._model(content)
        return made

    def _parts(self, content: JsonObject) -> list[JsonObject]:
        parts = content.get("parts")
        if isinstance(parts, dict):
            self.lost("parts that are one object")
            parts = [parts]
        return [self._spelt(part) for part in _objects(parts)]

    def _spelt(self, part: JsonObject) -> JsonObject:
        """Google's servers take both spellings; of the parts' own names the reference knows one."""
        if _SNAKES.keys() & part.keys():
            self.lost("a part in another spelling")
        return {_SNAKES.get(key, key): value for key, value in part.items()}

    def _user(self, parts: list[JsonObject]) -> list[JsonObject]:
        results: list[JsonObject] = []
        said: list[JsonValue] = []
        for part in parts:
            if "text" in part:
                said.append({"type": "text", "text": part["text"]})
            elif isinstance(data := part.get("inlineData"), dict):
                said.append(self._medium(data))
            elif isinstance(result := part.get("functionResponse"), dict):
                results.append({"role": "tool", "tool_name": result["name"], "content": self._result(result)})
            else:
                self.lost("a part that it does not know")
                said += _gemini_other(part)
        return [*results, *([{"role": "user", "content": said}] if said else [])]

    def _result(self, result: JsonObject) -> JsonValue:
        response = cast("JsonObject", result["response"])
        if "result" in response:
            return response["result"]
        self.lost("a response without the key result")
        return response or ""

    def _medium(self, data: JsonObject) -> JsonObject:
        if "mime_type" not in data or not str(data["mime_type"]).startswith("image/"):
            self.lost("inline data in another spelling, or no image")
        kind = str(data.get("mime_type", data.get("mimeType")))
        plain = str(data["data"]).replace("-", "+").replace("_", "/")
        url = f"data:{kind};base64,{plain}"
        if kind.startswith("image/"):
            return {"type": "image_url", "image_url": {"url": url}}
        if kind.startswith("audio/"):
            return {"type": "input_audio", "input_audio": {"data": plain, "format": kind.partition("/")[2]}}
        return oracle_others.file_of(url, data.get("displayName"))

    def _model(self, content: JsonObject) -> list[JsonObject]:
        made: list[JsonObject] = []
        for part in self._parts(content):
            if "text" in part:
                made.append({"role": "assistant", "content": part["text"]})
            elif isinstance(call := part.get("functionCall"), dict):
                function: JsonObject = {"name": call["name"], "arguments": call.get("args", {})}
                made.append({"role": "assistant", "tool_calls": [{"type": "function", "function": function}]})
        return made


def _gemini_other(part: JsonObject) -> list[JsonValue]:
    """A file by its place; of code and its results, and of signatures alone, nothing was said."""
    if not isinstance(data := part.get("fileData"), dict):
        return []
    place = str(data.get("fileUri", data.get("file_uri")))
    if place.startswith(("gs://", "https://generativelanguage.googleapis.com/")):  # nobody else can read it
        return [oracle_others.file_of(place, data.get("displayName"), "file_id")]
    if str(data.get("mimeType", data.get("mime_type", ""))).startswith("image/"):
        return [{"type": "image_url", "image_url": {"url": place}}]
    return [oracle_others.file_of(place, data.get("displayName"))]
