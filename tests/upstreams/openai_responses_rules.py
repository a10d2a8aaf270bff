"""What a Responses request must be, and what it asks.

One rule: items pair (call and output, reasoning and what follows it), and only what this upstream issued is believed.
https://platform.openai.com/docs/api-reference/responses/create
"""

from collections.abc import Collection

from tests.upstreams import seals
from tests.upstreams.answers import words
from tests.upstreams.openai_rules import (
    KNOWN,
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
    "background context_management conversation include input instructions max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls"
    " previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream"
    " stream_options temperature text tool_choice tools top_logprobs top_p truncation user"
)
COUNTED = words(
    "conversation input instructions model parallel_tool_calls personality previous_response_id reasoning text tool_choice tools truncation"
)
ITEM = {
    "message": {"type", "id", "role", "content", "status", "phase"},
    "function_call": {"type", "id", "call_id", "name", "arguments", "status", "namespace"},
    "function_call_output": {"type", "id", "call_id", "output", "status"},
    "custom_tool_call": {"type", "id", "call_id", "name", "input", "status", "namespace"},
    "custom_tool_call_output": {"type", "id", "call_id", "output", "status"},
    "reasoning": {"type", "id", "summary", "content", "encrypted_content", "status"},
    "item_reference": {"type", "id"},
}
HOSTED_ITEMS = words(
    "additional_tools tool_search_call tool_search_output compaction web_search_call file_search_call code_interpreter_call image_generation_call mcp_call"
    " mcp_list_tools computer_call computer_call_output local_shell_call local_shell_call_output shell_call shell_call_output apply_patch_call"
    " apply_patch_call_output"
)
"""Made by the API itself; taken back as they were."""
PREFIX = {"message": "msg", "function_call": "fc", "reasoning": "rs", "custom_tool_call": "ctc"}
PARTS = {
    "user": ("input_text", "input_image", "input_file", "input_audio"),
    "system": ("input_text", "input_image", "input_file"),
    "developer": ("input_text", "input_image", "input_file"),
    "assistant": ("output_text", "refusal"),
}
PART = {
    "input_text": {"type", "text", "prompt_cache_breakpoint"},
    "input_image": {"type", "image_url", "file_id", "detail"},
    "input_file": {"type", "file_data", "file_id", "file_url", "filename", "detail"},
    "input_audio": {"type", "input_audio"},
    "output_text": {"type", "text", "annotations", "logprobs"},
    "refusal": {"type", "refusal"},
}
INCLUDES = (
    "file_search_call.results", "web_search_call.results", "web_search_call.action.sources", "message.input_image.image_url", "computer_call_output.output.image_url",
    "code_interpreter_call.outputs", "reasoning.encrypted_content", "message.output_text.logprobs",
)  # fmt: skip
SEAL = b"\x80\x00\x00\x00\x00"
"""How every encrypted reasoning begins (`gAAAAA`)."""
HOSTED = (
    "web_search",
    "web_search_preview",
    "file_search",
    "code_interpreter",
    "image_generation",
    "mcp",
    "local_shell",
    "computer_use_preview",
    "tool_search",
    "namespace",
)


def understand(body: dict, stored: dict[str, list[dict]], known: Collection[str], *, counting: bool = False) -> Ask:
    """`stored`: response id -> its whole conversation. `known`: ids of stored items. Raises Refused."""
    only(body, COUNTED if counting else TOP)
    model = need(body, "model") if not body.get("prompt") else body.get("model") or "gpt-5.2"
    typed(model, str, "model", "a string")
    if not KNOWN.match(str(model)):
        raise refuse(f"The requested model '{model}' does not exist.", "model", "model_not_found")
    settings(body, str(model))
    earlier: list[dict] = []
    if (previous := body.get("previous_response_id")) is not None:
        if previous not in stored:
            raise refuse(
                f"Previous response with id '{previous}' not found.", "previous_response_id", "previous_response_not_found"
            )
        earlier = stored[previous]
    given = body.get("input")
    if given is None and body.get("prompt"):
        given = []
    if given is None and not earlier:
        raise refuse("Missing required parameter: 'input'.", "input", "missing_required_parameter")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    typed(items, list, "input", "one of a string or array of objects")
    functions = tools(body)
    text, results, media = conversation(earlier, items, known)
    choice = body.get("tool_choice")
    forced = None
    if isinstance(choice, dict):
        forced = choice.get("name", "")
        if choice.get("type") == "function" and forced not in dict(functions):
            raise refuse("Tool choice 'function' not found in 'tools' parameter.", "tool_choice", None)
    elif choice == "required":
        if not functions:
            raise refuse("Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice", None)
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
        thinks=bool(REASONING.match(str(model))) and bool(body.get("reasoning")) and (body["reasoning"].get("effort") != "none"),
        media=media,
    )


def settings(body: dict, model: str) -> None:
    reasons = bool(REASONING.match(model))
    within(body, "temperature", 0, 2)
    within(body, "top_p", 0, 1)
    limit = body.get("max_output_tokens")
    if limit is not None:
        typed(limit, int, "max_output_tokens", "an integer")
        if limit < 16:
            message = (
                f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got {limit} instead."
            )
            raise refuse(message, "max_output_tokens", "integer_below_min_value")
    for key in ("temperature", "top_p") if UNTUNED.match(model) else ():
        if body.get(key) not in {None, 1}:
            raise refuse(f"Unsupported parameter: '{key}' is not supported with this model.", key, "unsupported_parameter")
    if body.get("reasoning"):
        only(body["reasoning"], {"effort", "summary", "generate_summary", "mode", "context"}, "reasoning")
        if not reasons and body["reasoning"].get("effort") is not None:
            raise refuse(
                "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
                "reasoning.effort",
                "unsupported_parameter",
            )
        if body["reasoning"].get("effort") not in {None, "none", "minimal", "low", "medium", "high", "xhigh", "max"}:
            raise refuse(
                f"Invalid value: '{body['reasoning']['effort']}'. Supported values are: 'low', 'medium', and 'high'.",
                "reasoning.effort",
            )
        if body["reasoning"].get("summary") not in {None, "auto", "concise", "detailed"}:
            raise refuse(
                f"Invalid value: '{body['reasoning']['summary']}'. Supported values are: 'concise', 'detailed', and 'auto'.",
                "reasoning.summary",
            )
    for value in body.get("include") or ():
        if value not in INCLUDES:
            raise refuse(f"Invalid value: '{value}'. Supported values are: {', '.join(map(repr, INCLUDES))}.", "include[0]")
        if value == "reasoning.encrypted_content" and not reasons:
            raise refuse("Encrypted content is not supported with this model.", "include", None)
    if body.get("stream_options") is not None:
        if not body.get("stream"):
            raise refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options", None)
        only(body["stream_options"], {"include_obfuscation"}, "stream_options")


def tools(body: dict) -> tuple[tuple[str, dict], ...]:
    found = []
    for index, tool in enumerate(body.get("tools") or ()):
        at = f"tools[{index}]"
        kind = need(tool, "type", at)
        if kind in HOSTED or kind == "custom":
            continue
        if kind != "function":
            raise refuse(
                f"Invalid value: '{kind}'. Supported values are: 'function', 'custom', and {', '.join(map(repr, HOSTED))}.",
                f"{at}.type",
            )
        name(need(tool, "name", at), f"{at}.name")
        only(tool, {"type", "name", "description", "parameters", "strict", "defer_loading", "function"}, at)
        object_schema(tool.get("parameters"), tool["name"], f"{at}.parameters")
        if tool.get("strict"):
            strict_schema(tool.get("parameters"), f"function '{tool['name']}'", f"{at}.parameters", "invalid_function_parameters")
        found.append((tool["name"], tool.get("parameters") or {"type": "object", "properties": {}}))
    return tuple(found)


def wanted(body: dict) -> dict | None:
    """The schema of a structured answer."""
    text = body.get("text")
    if text is None:
        return None
    only(text, {"format", "verbosity"}, "text")
    form = text.get("format")
    if form is None:
        return None
    kind = need(form, "type", "text.format")
    if kind == "text":
        return None
    if kind == "json_object":
        if "json" not in str(body.get("input")).lower():
            words = (
                "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
            )
            raise refuse(words, "input", None)
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    if kind != "json_schema":
        raise refuse(
            f"Invalid value: '{kind}'. Supported values are: 'json_object', 'json_schema', and 'text'.", "text.format.type"
        )
    only(form, {"type", "name", "schema", "description", "strict"}, "text.format")
    name(need(form, "name", "text.format"), "text.format.name")
    schema = need(form, "schema", "text.format")
    if form.get("strict"):
        strict_schema(schema, f"response_format '{form['name']}'", "text.format.schema", "invalid_json_schema")
    return schema if isinstance(schema, dict) else None


def conversation(earlier: list[dict], items: list[dict], known: Collection[str]) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The last user text, the outputs since the model's last turn, and the media after it. Positions in errors count from `items`."""
    text, results, media = "", [], []
    called: dict[str, bool] = {}
    everything = [
        *((f"previous[{i}]", item) for i, item in enumerate(earlier)),
        *((f"input[{i}]", item) for i, item in enumerate(items)),
    ]
    for position, (at, item) in enumerate(everything):
        typed(item, dict, at, "an object")
        kind = item.get("type") or ("message" if "role" in item else None)
        if kind is None:
            raise refuse(f"Missing required parameter: '{at}.type'.", f"{at}.type", "missing_required_parameter")
        if kind in HOSTED_ITEMS:
            continue
        if kind not in ITEM:
            raise refuse(f"Invalid value: '{kind}'. Supported values are: {', '.join(map(repr, ITEM))}.", at)
        only(item, ITEM[kind], at)
        identify(item, kind, at)
        match kind:
            case "message":
                said, pictures = message(item, at)
                if item["role"] == "user":
                    text = said or text
                    media += pictures
                elif item["role"] == "assistant":
                    results, media = [], []
            case "function_call" | "custom_tool_call":
                name(need(item, "name", at), f"{at}.name")
                typed(need(item, "arguments" if kind == "function_call" else "input", at), str, f"{at}.arguments", "a string")
                short(str(need(item, "call_id", at)), f"{at}.call_id", 64)
                called[item["call_id"]] = False
                results, media = [], []
            case "function_call_output" | "custom_tool_call_output":
                identity = str(need(item, "call_id", at))
                if identity not in called:
                    raise refuse(f"No tool call found for function call output with call_id {identity}.", "input", None)
                called[identity] = True
                if item.get("output") is None:
                    raise refuse(f"Missing required parameter: '{at}.output'.", f"{at}.output", "missing_required_parameter")
                said, pictures = parts(item["output"], ("input_text", "input_image", "input_file"), f"{at}.output")
                results.append(said)
                media += pictures
            case "reasoning":
                reasoning(item, at, known)
                after = everything[position + 1][1] if position + 1 < len(everything) else {}
                followed = after.get("type", "message") if after else None
                if followed not in {"function_call", "custom_tool_call", "reasoning", "message", *HOSTED_ITEMS} or (
                    followed == "message" and after.get("role") != "assistant"
                ):
                    raise refuse(
                        f"Item '{item.get('id', at)}' of type 'reasoning' was provided without its required following item.",
                        "input",
                        None,
                    )
    unanswered = [identity for identity, answered in called.items() if not answered]
    if unanswered:
        raise refuse(f"No tool output found for function call {unanswered[0]}.", "input", None)
    return text, tuple(results), tuple(media)


def identify(item: dict, kind: str, at: str) -> None:
    identity = item.get("id")
    if identity is None:
        return
    typed(identity, str, f"{at}.id", "a string")
    short(identity, f"{at}.id", 64)
    prefix = PREFIX.get(kind)
    if prefix and (kind != "message" or item.get("role") == "assistant") and not identity.startswith(prefix):
        raise refuse(f"Invalid '{at}.id': '{identity}'. Expected an ID that begins with '{prefix}'.", f"{at}.id", "invalid_value")


def reasoning(item: dict, at: str, known: Collection[str]) -> None:
    if not isinstance(item.get("summary"), list):
        raise refuse(f"Missing required parameter: '{at}.summary'.", f"{at}.summary", "missing_required_parameter")
    for index, part in enumerate(item["summary"]):
        only(part, {"type", "text"}, f"{at}.summary[{index}]")
    sealed = item.get("encrypted_content")
    if sealed is None:
        if item.get("id") not in known:
            raise refuse(
                f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove"
                " this item from your input.",
                "input",
                None,
                404,
            )
        return
    if not seals.genuine("openai", "", sealed, prefix=SEAL):
        shown = sealed if len(sealed) < 12 else f"{sealed[:4]}...{sealed[-4:]}"
        raise refuse(
            f"The encrypted content {shown} could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
            None,
            "invalid_encrypted_content",
        )


def message(item: dict, at: str) -> tuple[str, list[str]]:
    role = need(item, "role", at)
    if role not in PARTS:
        raise refuse(f"Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'.", at)
    if item.get("content") is None:
        raise refuse(f"Missing required parameter: '{at}.content'.", f"{at}.content", "missing_required_parameter")
    return parts(item["content"], PARTS[role], f"{at}.content")


def parts(given: object, allowed: tuple[str, ...], at: str) -> tuple[str, list[str]]:
    if isinstance(given, str):
        return given, []
    typed(given, list, at, "one of a string or array of objects")
    said, pictures = [], []
    for index, part in enumerate(given):
        where = f"{at}[{index}]"
        kind = need(part, "type", where)
        if kind not in allowed:
            raise refuse(f"Invalid value: '{kind}'. Supported values are: {', '.join(map(repr, allowed))}.", where)
        only(part, PART[kind], where)
        match kind:
            case "input_text" | "output_text":
                typed(part.get("text"), str, f"{where}.text", "a string")
                said.append(part["text"])
            case "input_image" if part.get("image_url"):
                pictures.append(image(part["image_url"], f"{where}.image_url"))
            case "input_file" if part.get("file_data"):
                need(part, "filename", where)
                pictures.append(seen(part["file_data"], f"{where}.file_data", ("application/pdf", "text/plain")))
            case "input_file" if part.get("file_url"):
                pictures.append(part["file_url"])
    return "\n".join(said), pictures
