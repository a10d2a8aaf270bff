"""What the real providers refuse although their SDKs' types allow it: pairing, ids, combinations.

One rule: only refusals that are documented or were seen; each function returns them as sentences. `stateful` requests (whose history
lies with the provider) cannot be judged for pairing.
"""

import re
from collections.abc import Callable, Iterator
from typing import cast

from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue

_ANTHROPIC_ID = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
_SCHEMA_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
_PART_DATA = {
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
}


def _objects(value: JsonValue) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def refusals(dialect: DialectName, body: JsonObject, *, stateful: bool = False) -> list[str]:
    """Why the provider would answer 400 to this request."""
    return list(_CHECKS[dialect](body, stateful))


def is_stateful(body: JsonObject) -> bool:
    return any(body.get(key) for key in ("previous_response_id", "conversation", "prompt", "cachedContent", "container"))


# --------------------------------------------------------------------------------------------- anthropic


def _anthropic(body: JsonObject, stateful: bool) -> Iterator[str]:
    limit = body.get("max_tokens")
    if not isinstance(limit, int) or limit < 1:
        yield f"max_tokens: required, at least 1, is {limit!r}"
        limit = 1 << 30
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int) or not 1024 <= budget < limit:
            yield f"thinking.budget_tokens: {budget!r} must be at least 1024 and below max_tokens {limit}"
        if body.get("temperature", 1) != 1:
            yield "temperature: must be 1 with thinking"
        if body.get("top_k") is not None:
            yield "top_k: not with thinking"
        choice = body.get("tool_choice")
        if isinstance(choice, dict) and choice.get("type") in ("any", "tool"):
            yield "tool_choice: thinking may not be enabled when it forces tool use"
    if body.get("temperature") is not None and body.get("top_p") is not None:
        yield "temperature and top_p together"
    temperature = body.get("temperature")
    if isinstance(temperature, int | float) and not 0 <= temperature <= 1:
        yield f"temperature: {temperature} is not within 0..1"
    if body.get("tool_choice") and not body.get("tools"):
        yield "tool_choice: without tools"
    messages = _objects(body.get("messages"))
    if not messages:
        yield "messages: at least one is required"
    elif messages[0].get("role") != "user":
        yield "messages[0]: the first must be of the user"
    for at, text in _anthropic_texts(body):
        if not text.strip():
            yield f"{at}: text content blocks must be non-empty"
    last = messages[-1] if messages else {}
    if last.get("role") == "assistant" and (text := _last_text(last)) != text.rstrip():
        yield "messages: final assistant content cannot end with trailing whitespace"
    if not stateful:
        yield from _anthropic_pairs(messages)


def _last_text(message: JsonObject) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    blocks = _objects(content)
    return _text(blocks[-1].get("text")) if blocks else ""


def _anthropic_texts(body: JsonObject) -> Iterator[tuple[str, str]]:
    system = body.get("system")
    if isinstance(system, str) and not system:
        yield "system", "x"  # an empty string is allowed here
    for i, block in enumerate(_objects(system)):
        yield f"system[{i}]", _text(block.get("text"))
    for i, message in enumerate(_objects(body.get("messages"))):
        content = message.get("content")
        if isinstance(content, str):
            yield f"messages[{i}].content", content
        for j, block in enumerate(_objects(content)):
            if block.get("type") == "text":
                yield f"messages[{i}].content[{j}]", _text(block.get("text"))


def _anthropic_pairs(messages: list[JsonObject]) -> Iterator[str]:
    awaited: list[str] = []
    seen: set[str] = set()
    for i, message in enumerate(messages):
        blocks = _objects(message.get("content"))
        results = [_text(b.get("tool_use_id")) for b in blocks if b.get("type") == "tool_result"]
        calls = [_text(b.get("id")) for b in blocks if b.get("type") == "tool_use"]
        if sorted(results) != sorted(awaited):
            yield f"messages[{i}]: tool results {results} where {awaited} are awaited"
        others = [b.get("type") for b in blocks]
        if results and others[: len(results)] != ["tool_result"] * len(results):
            yield f"messages[{i}]: tool results must come first in their message"
        for call in calls:
            if not _ANTHROPIC_ID.match(call):
                yield f"messages[{i}]: tool_use id {call!r} is not of the pattern"
            if call in seen:
                yield f"messages[{i}]: tool_use id {call!r} comes twice"
            seen.add(call)
        awaited = calls
    if awaited:
        yield f"messages: tool_use {awaited} without tool_result"


# ------------------------------------------------------------------------------------------------- chat


def _chat(body: JsonObject, stateful: bool) -> Iterator[str]:
    if not body.get("tools"):
        for key in ("tool_choice", "parallel_tool_calls"):
            if body.get(key) not in (None, "none", "auto"):
                yield f"{key}: only allowed when tools are given"
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        yield "top_logprobs: needs logprobs"
    if body.get("stream_options") and not body.get("stream"):
        yield "stream_options: only with stream"
    stop = body.get("stop")
    if isinstance(stop, list) and len(stop) > 4:
        yield "stop: at most 4"
    yield from _schema_name(body.get("response_format"), "response_format", "json_schema")
    yield from _metadata(body)
    awaited: list[str] = []
    for i, message in enumerate([] if stateful else _objects(body.get("messages"))):
        if message.get("role") == "tool":
            call = _text(message.get("tool_call_id"))
            if call not in awaited:
                yield f"messages[{i}]: tool message {call!r} where {awaited} are awaited"
            else:
                awaited.remove(call)
            continue
        if awaited:
            yield f"messages[{i}]: tool calls {awaited} are not answered yet"
        awaited = [_text(call.get("id")) for call in _objects(message.get("tool_calls"))]
        for call in awaited:
            if not 0 < len(call) <= 40:
                yield f"messages[{i}]: tool call id {call!r} is empty or longer than 40"
        content = message.get("content")
        if message.get("role") == "assistant" and content in (None, []) and not awaited:
            if not (message.get("refusal") or message.get("function_call") or message.get("audio")):
                yield f"messages[{i}]: assistant message without content and tool calls"
        elif content in (None, []) and message.get("role") != "assistant":
            yield f"messages[{i}]: content is required"
    if awaited:
        yield f"messages: tool calls {awaited} are not answered"


def _schema_name(wanted: JsonValue, at: str, nested: str) -> Iterator[str]:
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        inner = wanted.get(nested) if nested else wanted
        name = _text(inner.get("name")) if isinstance(inner, dict) else ""
        if not _SCHEMA_NAME.match(name):
            yield f"{at}: schema name {name!r} is not of the pattern"


def _metadata(body: JsonObject) -> Iterator[str]:
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and (len(metadata) > 16 or not all(isinstance(v, str) for v in metadata.values())):
        yield "metadata: at most 16 strings"


# -------------------------------------------------------------------------------------------- responses


def _responses(body: JsonObject, stateful: bool) -> Iterator[str]:
    limit = body.get("max_output_tokens")
    if isinstance(limit, int) and limit < 16:
        yield f"max_output_tokens: {limit} is below 16"
    text = body.get("text")
    yield from _schema_name(text.get("format") if isinstance(text, dict) else None, "text.format", "")
    yield from _metadata(body)
    if not body.get("tools") and body.get("tool_choice") not in (None, "auto", "none"):
        yield "tool_choice: without tools"
    called: list[str] = []
    answered: list[str] = []
    for i, item in enumerate(_objects(body.get("input"))):
        kind, call = item.get("type"), _text(item.get("call_id"))
        if kind in ("function_call", "custom_tool_call", "function_call_output", "custom_tool_call_output"):
            if not 0 < len(call) <= 64:
                yield f"input[{i}]: call_id {call!r} is empty or longer than 64"
            (answered if _text(kind).endswith("_output") else called).append(call)
    if not stateful:
        for call in called:
            if call not in answered:
                yield f"input: no tool output for call {call!r}"
        for call in answered:
            if call not in called:
                yield f"input: no tool call for output {call!r}"


# ----------------------------------------------------------------------------------------------- gemini


def _gemini(body: JsonObject, stateful: bool) -> Iterator[str]:
    contents = _objects(body.get("contents"))
    if not contents:
        yield "contents: at least one is required"
    config = body.get("generationConfig")
    config = config if isinstance(config, dict) else {}
    stops = config.get("stopSequences")
    if isinstance(stops, list) and len(stops) > 5:
        yield "generationConfig.stopSequences: at most 5"
    if (config.get("responseSchema") or config.get("responseJsonSchema")) and config.get(
        "responseMimeType"
    ) != "application/json":
        yield "generationConfig.responseSchema: needs responseMimeType application/json"
    thinking = config.get("thinkingConfig")
    if isinstance(thinking, dict) and "thinkingBudget" in thinking and "thinkingLevel" in thinking:
        yield "generationConfig.thinkingConfig: budget and level together"
    tools = body.get("toolConfig")
    calling = tools.get("functionCallingConfig") if isinstance(tools, dict) else None
    if isinstance(calling, dict) and calling.get("allowedFunctionNames") and calling.get("mode") not in ("ANY", "VALIDATED"):
        yield "toolConfig: allowedFunctionNames only with mode ANY"
    awaited: list[str] = []
    for i, content in enumerate(contents):
        if content.get("role", "user") not in ("user", "model", "function"):
            yield f"contents[{i}].role: {content.get('role')!r}"
        parts = _objects(content.get("parts"))
        if not parts:
            yield f"contents[{i}].parts: must not be empty"
        for j, part in enumerate(parts):
            if len(_PART_DATA & part.keys()) != 1:
                yield f"contents[{i}].parts[{j}]: needs one kind of data, has {sorted(part)}"
        results = [_name(part, "functionResponse") for part in parts if "functionResponse" in part]
        if not stateful and results != awaited:
            yield f"contents[{i}]: function responses {results} where {awaited} are awaited"
        awaited = [_name(part, "functionCall") for part in parts if "functionCall" in part]


def _name(part: JsonObject, key: str) -> str:
    return _text(cast("JsonObject", part[key]).get("name"))


_CHECKS: dict[DialectName, Callable[[JsonObject, bool], Iterator[str]]] = {
    "anthropic": _anthropic,
    "openai_chat": _chat,
    "openai_responses": _responses,
    "gemini": _gemini,
}
