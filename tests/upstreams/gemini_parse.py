"""A generateContent request read as the protocol buffer it stands for: known fields only, in either case.

One rule: everything that does not parse is found, not only the first of it.
https://ai.google.dev/api/generate-content
"""

import base64
import binascii
import json
from collections.abc import Iterator

from tests.upstreams.answers import Refused, words
from tests.upstreams.gemini_schema import camel, snake, unknown

TOP = words(
    "model contents tools toolConfig safetySettings systemInstruction generationConfig cachedContent serviceTier store labels"
)
CONFIG = words(
    "stopSequences responseMimeType responseModalities thinkingConfig modelConfig temperature topP topK candidateCount maxOutputTokens responseLogprobs logprobs"
    " presencePenalty frequencyPenalty seed responseSchema responseJsonSchema _responseJsonSchema enableEnhancedCivicAnswers speechConfig imageConfig"
    " mediaResolution responseFormat audioTimestamp"
)
THINKING = words("includeThoughts thinkingBudget thinkingLevel")
CONTENT = frozenset(("role", "parts"))
PART = words(
    "text thought thoughtSignature inlineData fileData functionCall functionResponse executableCode codeExecutionResult videoMetadata mediaResolution partMetadata"
    " toolCall toolResponse"
)
VALUES = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
INNER = {
    "inlineData": {"mimeType", "data", "displayName"},
    "fileData": {"mimeType", "fileUri", "displayName"},
    "functionCall": {"id", "name", "args"},
    "functionResponse": {"id", "name", "response", "willContinue", "scheduling", "parts"},
}
TOOL = words(
    "functionDeclarations googleSearch googleSearchRetrieval codeExecution urlContext computerUse fileSearch googleMaps mcpServers enterpriseWebSearch"
)
DECLARATION = words("name description behavior parameters parametersJsonSchema response responseJsonSchema")


def refuse(message: str, status: int = 400, word: str = "INVALID_ARGUMENT", details: list | None = None) -> Refused:
    error: dict = {"code": status, "message": message, "status": word}
    return Refused(
        status, {"error": error | ({"details": details} if details else {})}, {"content-type": "application/json; charset=UTF-8"}
    )


def plain(given: dict, allowed: frozenset[str] | set[str], at: str) -> tuple[dict, list[tuple[str, str]]]:
    """The object with camel-case keys, and what is wrong with them."""
    where = f" at '{at}'" if at else ""
    bad = [
        (at, f'Invalid JSON payload received. Unknown name "{key}"{where}: Cannot find field.')
        for key in given
        if camel(key) not in allowed
    ]
    return {camel(key): value for key, value in given.items()}, bad


def parse(body: dict) -> tuple[dict, list[tuple[str, str]]]:
    """The request in camel case and everything that does not parse."""
    request, bad = plain(body, TOP, "")
    contents = request.get("contents")
    contents = [contents] if isinstance(contents, dict) else contents or []
    request["contents"] = []
    for index, content in enumerate(contents):
        entry, wrong = turn(content, f"contents[{index}]")
        request["contents"].append(entry)
        bad += wrong
    if request.get("systemInstruction") is not None:
        request["systemInstruction"], wrong = turn(request["systemInstruction"], "system_instruction")
        bad += wrong
    if request.get("generationConfig") is not None:
        config, wrong = plain(request["generationConfig"], CONFIG, "generation_config")
        bad += wrong
        if config.get("thinkingConfig") is not None:
            config["thinkingConfig"], wrong = plain(config["thinkingConfig"], THINKING, "generation_config.thinking_config")
            bad += wrong
        if config.get("responseSchema") is not None:
            bad += unknown(config["responseSchema"], "generation_config.response_schema")
        request["generationConfig"] = config
    tools = []
    given = request.get("tools") or ()
    for index, tool in enumerate([given] if isinstance(given, dict) else given):
        entry, wrong = plain(tool, TOOL, f"tools[{index}]")
        bad += wrong
        declared = []
        for position, one in enumerate(entry.get("functionDeclarations") or ()):
            at = f"tools[{index}].function_declarations[{position}]"
            declaration, wrong = plain(one, DECLARATION, at)
            bad += wrong
            if declaration.get("parameters") is not None:
                bad += unknown(declaration["parameters"], f"{at}.parameters")
            declared.append(declaration)
        tools.append(entry | ({"functionDeclarations": declared} if declared else {}))
    request["tools"] = tools
    if request.get("toolConfig") is not None:
        config, wrong = plain(
            request["toolConfig"],
            frozenset(("functionCallingConfig", "retrievalConfig", "includeServerSideToolInvocations")),
            "tool_config",
        )
        bad += wrong
        if config.get("functionCallingConfig") is not None:
            allowed = frozenset(("mode", "allowedFunctionNames", "streamFunctionCallArguments"))
            config["functionCallingConfig"], wrong = plain(
                config["functionCallingConfig"], allowed, "tool_config.function_calling_config"
            )
            bad += wrong
        request["toolConfig"] = config
    return request, bad


def turn(content: dict, at: str) -> tuple[dict, list[tuple[str, str]]]:
    entry, bad = plain(content, CONTENT, at)
    parts = []
    given = entry.get("parts") or []
    for index, one in enumerate([given] if isinstance(given, dict) else given):
        where = f"{at}.parts[{index}]"
        part, wrong = plain(one, PART, where)
        bad += wrong
        values = [key for key in VALUES if key in part]
        if len(values) > 1:
            bad.append(
                (where, f"Invalid value at '{where}' (oneof), oneof field 'data' is already set. Cannot set '{snake(values[1])}'")
            )
        for key, allowed in INNER.items():
            if isinstance(part.get(key), dict):
                part[key], wrong = plain(part[key], allowed, f"{where}.{snake(key)}")
                bad += wrong
        bad += structs(part, where)
        parts.append(part)
    return entry | {"parts": parts}, bad


def structs(part: dict, at: str) -> Iterator[tuple[str, str]]:
    for key, inner in (("functionCall", "args"), ("functionResponse", "response")):
        value = part.get(key, {}).get(inner)
        if value is not None and not isinstance(value, dict):
            yield (
                f"{at}.{snake(key)}.{inner}",
                f"Invalid value at '{at}.{snake(key)}.{inner}' (type.googleapis.com/google.protobuf.Struct), {json.dumps(value)}",
            )
    for key in ("inlineData",):
        data = part.get(key, {}).get("data")
        if data is not None:
            try:
                base64.b64decode(str(data).replace("-", "+").replace("_", "/") + "=" * (-len(data) % 4), validate=True)
            except binascii.Error:
                yield f"{at}.inline_data.data", f"Invalid value at '{at}.inline_data.data' (TYPE_BYTES), Base64 decoding failed"
