"""What a Chat Completions request must be, and what it asks.

One rule: the first thing wrong is refused with OpenAI's own words; the messages of a conversation must pair calls with answers.
https://platform.openai.com/docs/api-reference/chat/create
"""

from tests.upstreams.answers import words
from tests.upstreams.openai_rules import (
    KNOWN,
    NAME,
    REASONING,
    UNTUNED,
    image,
    name,
    need,
    object_schema,
    only,
    refuse,
    seen,
    short,
    strict_schema,
    typed,
    within,
)
from tests.upstreams.script import Ask

TOP = words(
    "messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata modalities moderation n"
    " parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format"
    " safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity"
    " web_search_options"
)
ROLES = ("system", "assistant", "user", "function", "tool", "developer")
MESSAGE = {
    "system": {"role", "content", "name"},
    "developer": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "refusal", "audio", "tool_calls", "function_call", "annotations", "parsed"},
    "tool": {"role", "content", "tool_call_id", "name"},
    "function": {"role", "content", "name"},
}
PARTS = {
    "system": ("text",),
    "developer": ("text",),
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
    "tool": ("text",),
    "function": (),
}
PART = {
    "text": {"type", "text", "prompt_cache_breakpoint"},
    "refusal": {"type", "refusal"},
    "image_url": {"type", "image_url", "prompt_cache_breakpoint"},
    "input_audio": {"type", "input_audio", "prompt_cache_breakpoint"},
    "file": {"type", "file", "prompt_cache_breakpoint"},
}
NOT_WHEN_REASONING = ("top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def understand(body: dict) -> Ask:
    """Raises Refused."""
    model = need(body, "model")
    typed(model, str, "model", "a string")
    compatible = str(model).startswith("deepseek")
    only(body, TOP | ({"thinking"} if compatible else set()))
    if not KNOWN.match(str(model)):
        raise refuse(f"The model `{model}` does not exist or you do not have access to it.", None, "model_not_found", 404)
    messages = need(body, "messages")
    typed(messages, list, "messages", "an array of objects")
    if not messages:
        raise refuse(
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "messages",
            "empty_array",
        )
    settings(body, str(model))
    functions = tools(body)
    text, results, media = conversation(messages, compatible=compatible)
    choice = body.get("tool_choice")
    forced = None
    if isinstance(choice, dict):
        forced = choice.get("function", {}).get("name")
        if choice.get("type") == "function" and forced not in dict(functions):
            raise refuse("Tool choice 'function' not found in 'tools' parameter.", "tool_choice", None)
    elif choice == "required":
        forced = ""
    elif choice not in {None, "auto", "none"}:
        raise refuse(f"Invalid value: '{choice}'. Supported values are: 'none', 'auto', and 'required'.", "tool_choice")
    return Ask(
        model=str(model),
        text=text,
        results=results,
        tools=functions,
        forced=forced,
        calls_forbidden=choice == "none",
        parallel=body.get("parallel_tool_calls") is not False,
        schema=wanted(body),
        thinks=compatible or (bool(REASONING.match(str(model))) and body.get("reasoning_effort") not in {None, "none"}),
        media=media,
    )


def settings(body: dict, model: str) -> None:
    reasons = bool(REASONING.match(model))
    if reasons and body.get("max_tokens") is not None:
        raise refuse(
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    if UNTUNED.match(model) and body.get("temperature") not in {None, 1}:
        raise refuse(
            f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. Only the default (1) value is supported.",
            "temperature",
            "unsupported_value",
        )
    for key in NOT_WHEN_REASONING if UNTUNED.match(model) else ():
        if body.get(key) not in {None, 0, 1} if not isinstance(body.get(key), list | dict) else True:
            raise refuse(f"Unsupported parameter: '{key}' is not supported with this model.", key, "unsupported_parameter")
    if body.get("reasoning_effort") is not None:
        if not reasons and not model.startswith("deepseek"):
            raise refuse("Unrecognized request argument supplied: reasoning_effort", None, None)
        if body["reasoning_effort"] not in EFFORTS:
            raise refuse(
                f"Invalid value: '{body['reasoning_effort']}'. Supported values are: 'low', 'medium', and 'high'.",
                "reasoning_effort",
            )
    within(body, "temperature", 0, 2)
    within(body, "top_p", 0, 1)
    within(body, "n", 1, 128)
    for key in ("max_tokens", "max_completion_tokens"):
        if body.get(key) is not None:
            typed(body[key], int, key, "an integer")
            if body[key] < 1:
                raise refuse(
                    f"Invalid '{key}': integer below minimum value. Expected a value >= 1, but got {body[key]} instead.",
                    key,
                    "integer_below_min_value",
                )
    stops = body.get("stop")
    if isinstance(stops, list) and len(stops) > 4:
        message = f"Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length {len(stops)} instead."
        raise refuse(message, "stop", "array_above_max_length")
    if body.get("stream_options") is not None:
        if not body.get("stream"):
            raise refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options", None)
        only(body["stream_options"], {"include_usage", "include_obfuscation"}, "stream_options")
    if not body.get("tools"):
        for key in ("tool_choice", "parallel_tool_calls"):
            if body.get(key) is not None:
                raise refuse(f"'{key}' is only allowed when 'tools' are specified.", key, None)


def tools(body: dict) -> tuple[tuple[str, dict], ...]:
    given = body.get("tools")
    if given is None:
        return ()
    typed(given, list, "tools", "an array of objects")
    if not given:
        raise refuse(
            "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            "tools",
            "empty_array",
        )
    found = []
    for index, tool in enumerate(given):
        at = f"tools[{index}]"
        kind = need(tool, "type", at)
        if kind == "custom":
            only(tool, {"type", "custom"}, at)
            name(need(tool["custom"], "name", f"{at}.custom"), f"{at}.custom.name")
            continue
        if kind != "function":
            raise refuse(f"Invalid value: '{kind}'. Supported values are: 'function' and 'custom'.", f"{at}.type")
        only(tool, {"type", "function"}, at)
        function = need(tool, "function", at)
        only(function, {"name", "description", "parameters", "strict"}, f"{at}.function")
        name(need(function, "name", f"{at}.function"), f"{at}.function.name")
        object_schema(function.get("parameters"), function["name"], f"{at}.function.parameters")
        if function.get("strict"):
            strict_schema(
                function.get("parameters"),
                f"function '{function['name']}'",
                f"{at}.function.parameters",
                "invalid_function_parameters",
            )
        found.append((function["name"], function.get("parameters") or {"type": "object", "properties": {}}))
    return tuple(found)


def wanted(body: dict) -> dict | None:
    """The schema of a structured answer."""
    form = body.get("response_format")
    if form is None:
        return None
    kind = need(form, "type", "response_format")
    if kind == "json_object":
        if "json" not in str(body["messages"]).lower():
            raise refuse(
                "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                "messages",
                None,
            )
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    if kind == "text":
        return None
    if kind != "json_schema":
        raise refuse(
            f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'.", "response_format.type"
        )
    only(form, {"type", "json_schema"}, "response_format")
    asked = need(form, "json_schema", "response_format")
    only(asked, {"name", "description", "schema", "strict"}, "response_format.json_schema")
    name(need(asked, "name", "response_format.json_schema"), "response_format.json_schema.name")
    schema = asked.get("schema") or {}
    if asked.get("strict"):
        if schema.get("type") != "object":
            raise refuse(
                f"Invalid schema for response_format '{asked['name']}': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'.",
                "response_format",
                None,
            )
        strict_schema(schema, f"response_format '{asked['name']}'", "response_format", None)
    return schema


def conversation(messages: list, *, compatible: bool) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The last user text, the tool results since the model's last turn, and the media after it."""
    text, results, media = "", [], []
    waiting: dict[str, int] = {}
    for index, message in enumerate(messages):
        at = f"messages[{index}]"
        typed(message, dict, at, "an object")
        role = need(message, "role", at)
        if role not in ROLES:
            words = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"
            raise refuse(f"Invalid value: '{role}'. Supported values are: {words}.", f"{at}.role")
        only(message, MESSAGE[role] | ({"reasoning_content"} if compatible and role == "assistant" else set()), at)
        if role != "tool" and waiting:
            unanswered(waiting)
        parts = content(message, role, at)
        said = "\n".join(part["text"] for part in parts if part["type"] == "text")
        if role == "assistant":
            results, media, waiting = [], [], calls(message, at)
            if (
                message.get("content") is None
                and not waiting
                and message.get("refusal") is None
                and message.get("audio") is None
                and not message.get("function_call")
            ):
                raise refuse(
                    f"Invalid value for 'content': expected a string, got null. ({at}.content)",
                    f"messages.[{index}].content",
                    None,
                )
        elif role == "tool":
            identity = need(message, "tool_call_id", at)
            short(str(identity), f"{at}.tool_call_id", 40)
            if identity not in waiting:
                raise refuse(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
                    f"messages.[{index}].role",
                    None,
                )
            waiting.pop(str(identity))
            results.append(said)
        elif role == "user":
            text = said or text
            media += pictures(parts, at)
    if waiting:
        unanswered(waiting)
    if compatible and results:
        calling = next(message for message in reversed(messages) if message["role"] == "assistant")
        if not calling.get("reasoning_content"):
            raise refuse(
                "The `reasoning_content` in the thinking mode must be passed back to the API.", None, "invalid_request_error"
            )
    return text, tuple(results), tuple(media)


def unanswered(waiting: dict[str, int]) -> None:
    raise refuse(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did"
        f" not have response messages: {', '.join(waiting)}",
        "messages",
        None,
    )


def content(message: dict, role: str, at: str) -> list[dict]:
    given = message.get("content")
    if given is None:
        if role != "assistant":
            raise refuse(
                f"Invalid type for '{at}.content': expected one of a string or array of objects, but got null instead.",
                f"{at}.content",
                "invalid_type",
            )
        return []
    if isinstance(given, str):
        return [{"type": "text", "text": given}]
    typed(given, list, f"{at}.content", "one of a string or array of objects")
    if not given and role != "assistant":
        raise refuse(
            f"Invalid '{at}.content': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            f"{at}.content",
            "empty_array",
        )
    for index, part in enumerate(given):
        where = f"{at}.content[{index}]"
        typed(part, dict, where, "an object")
        kind = need(part, "type", where)
        if kind not in PARTS[role]:
            if kind == "image_url":
                raise refuse(
                    f"Invalid '{at}'. Image URLs are only allowed for messages with role 'user', but this message with role '{role}' contains an image URL.",
                    at,
                )
            words = ", ".join(f"'{known}'" for known in PARTS[role])
            raise refuse(f"Invalid value: '{kind}'. Supported values are: {words}.", f"{where}.type")
        only(part, PART[kind], where)
        if kind == "text":
            typed(part.get("text"), str, f"{where}.text", "a string")
    return given


def pictures(parts: list[dict], at: str) -> list[str]:
    found = []
    for index, part in enumerate(parts):
        where = f"{at}.content[{index}]"
        match part["type"]:
            case "image_url":
                only(part["image_url"], {"url", "detail"}, f"{where}.image_url")
                found.append(image(need(part["image_url"], "url", f"{where}.image_url"), f"{where}.image_url.url"))
            case "input_audio":
                only(part["input_audio"], {"data", "format"}, f"{where}.input_audio")
                found.append(f"audio/{part['input_audio']['format']}")
            case "file":
                only(part["file"], {"file_data", "file_id", "filename"}, f"{where}.file")
                if part["file"].get("file_data"):
                    if not part["file"]["file_data"].startswith("data:"):
                        raise refuse(
                            f"Invalid '{where}.file.file_data'. Expected a base64-encoded data URL.", f"{where}.file.file_data"
                        )
                    need(part["file"], "filename", f"{where}.file")
                    found.append(seen(part["file"]["file_data"], where, ("application/pdf",)))
    return found


def calls(message: dict, at: str) -> dict[str, int]:
    """Id -> position of each call of an assistant message."""
    given = message.get("tool_calls")
    if given is None:
        return {}
    if not given:
        raise refuse(
            f"Invalid '{at}.tool_calls': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            f"{at}.tool_calls",
            "empty_array",
        )
    found: dict[str, int] = {}
    for index, call in enumerate(given):
        where = f"{at}.tool_calls[{index}]"
        kind = need(call, "type", where)
        identity = need(call, "id", where)
        short(str(identity), f"{where}.id", 40)
        if identity in found:
            raise refuse(f"Duplicate value for 'tool_call_id' of '{identity}' in message[{at}]", f"{where}.id")
        found[str(identity)] = index
        if kind == "custom":
            only(call, {"id", "type", "custom"}, where)
            continue
        only(call, {"id", "type", "function", "index"}, where)
        only(call["function"], {"name", "arguments", "parsed_arguments"}, f"{where}.function")
        typed(need(call["function"], "arguments", f"{where}.function"), str, f"{where}.function.arguments", "a string")
        if not NAME.fullmatch(str(call["function"].get("name"))):
            name(call["function"].get("name"), f"{where}.function.name")
    return found
