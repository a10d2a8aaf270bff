"""What Invariant's gateway makes of a conversation on the wire: its documented converters, told anew over plain JSON.

One rule: it knows nothing of the neutral form. Where the reference fails or loses something, it says so by `Lost`, with the
reason that docs and docstrings give.
"""

from typing import cast

from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue
from tests.invariant import oracle_others
from tests.invariant.oracle_others import Lost


def messages(dialect: DialectName, request: JsonObject, answer: JsonObject | None) -> list[JsonObject]:
    converters = {
        "openai_chat": _openai,
        "anthropic": _anthropic,
        "gemini": _gemini,
        "openai_responses": oracle_others.responses,
        "bedrock_converse": oracle_others.converse,
    }
    made = converters[dialect](request, answer)
    return [{key: value for key, value in one.items() if value is not None} for one in made]


def _objects(value: JsonValue) -> list[JsonObject]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _openai(request: JsonObject, answer: JsonObject | None) -> list[JsonObject]:
    made = _objects(request.get("messages"))
    for choice in _objects((answer or {}).get("choices")):
        made.append(cast("JsonObject", choice["message"]))
    return made


def _anthropic(request: JsonObject, answer: JsonObject | None) -> list[JsonObject]:
    made: list[JsonObject] = []
    if request.get("system") == []:
        raise Lost("instructions that say nothing become a message")
    said: list[JsonObject] = [{"role": "system", "content": request["system"]}] if "system" in request else []
    said += _objects(request.get("messages"))
    if answer:
        said.append(answer)
    for one in said:
        content = one.get("content")
        if one["role"] == "system":
            made.append({"role": "system", "content": content})
        elif one["role"] == "user":
            made += _anthropic_user(content)
        elif isinstance(content, str):
            raise Lost("plain history of an assistant")
        else:
            for block in _objects(content):
                if block["type"] == "text":
                    made.append({"role": "assistant", "content": block.get("text")})
                elif block["type"] == "tool_use":
                    function: JsonObject = {"name": block.get("name"), "arguments": block.get("input")}
                    call: JsonObject = {"id": block.get("id"), "type": "function", "function": function}
                    made.append({"role": "assistant", "content": None, "tool_calls": [call]})
    return made


def _anthropic_user(content: JsonValue) -> list[JsonObject]:
    if not isinstance(content, list):
        return [{"role": "user", "content": content}]
    results: list[JsonObject] = []
    parts: list[JsonValue] = []
    for block in _objects(content):
        match block["type"]:
            case "tool_result":
                if not block.get("content"):
                    raise Lost("result without content")
                if any(part.get("type") != "text" for part in _objects(block["content"])):
                    raise Lost("media in a result keep Anthropic's spelling")
                results.append({"role": "tool", "content": block["content"], "tool_call_id": block["tool_use_id"]})
            case "text":
                parts.append({"type": "text", "text": block["text"]})
            case "image":
                source = cast("JsonObject", block["source"])
                if source["type"] != "base64":
                    raise Lost("an image that is no base64")
                parts.append({"type": "image_url", "image_url": {"url": f"data:{source['media_type']};base64,{source['data']}"}})
            case "document":
                raise Lost("a document")
    return [*results, *([{"role": "user", "content": parts}] if parts else [])]


def _gemini(request: JsonObject, answer: JsonObject | None) -> list[JsonObject]:
    made: list[JsonObject] = []
    if isinstance(system := request.get("systemInstruction"), dict):
        if isinstance(system.get("parts"), dict):
            raise Lost("parts that are one object")
        made.append({"role": "system", "content": " ".join(str(part.get("text", "")) for part in _objects(system.get("parts")))})
    elif "systemInstruction" in request or "system_instruction" in request:
        raise Lost("instructions in another spelling")
    for content in _objects(request.get("contents")):
        if content.get("role") not in ("user", "model"):
            raise Lost("a turn without a role that it knows")
        if isinstance(content.get("parts"), dict):
            raise Lost("parts that are one object")
        if content["role"] == "user":
            made += _gemini_user(_objects(content.get("parts")))
        else:
            made += _gemini_model(content)
    for candidate in _objects((answer or {}).get("candidates")):
        content = candidate.get("content")
        if isinstance(content, dict) and content.get("parts"):
            if content.get("role") != "model":
                raise Lost("an answer without a role")
            made += _gemini_model(content)
    return made


def _gemini_user(parts: list[JsonObject]) -> list[JsonObject]:
    results: list[JsonObject] = []
    said: list[JsonValue] = []
    for part in parts:
        if "text" in part:
            said.append({"type": "text", "text": part["text"]})
        elif isinstance(data := part.get("inlineData"), dict):
            if "mime_type" not in data or not str(data["mime_type"]).startswith("image/"):
                raise Lost("inline data in another spelling, or no image")
            plain = str(data["data"]).replace("-", "+").replace("_", "/")
            said.append({"type": "image_url", "image_url": {"url": f"data:{data['mime_type']};base64,{plain}"}})
        elif isinstance(result := part.get("functionResponse"), dict):
            response = cast("JsonObject", result["response"])
            if "result" not in response:
                raise Lost("a response without the key result")
            results.append({"role": "tool", "tool_name": result["name"], "content": response["result"]})
        else:
            raise Lost("a part that it does not know")
    return [*results, *([{"role": "user", "content": said}] if said else [])]


def _gemini_model(content: JsonObject) -> list[JsonObject]:
    made: list[JsonObject] = []
    for part in _objects(content.get("parts")):
        if "text" in part:
            made.append({"role": "assistant", "content": part["text"]})
        elif isinstance(call := part.get("functionCall"), dict):
            function: JsonObject = {"name": call["name"], "arguments": call.get("args", {})}
            made.append({"role": "assistant", "tool_calls": [{"type": "function", "function": function}]})
    return made
