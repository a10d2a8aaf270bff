"""What a Messages request must be, and what it asks.

One rule: refused with Anthropic's own words, whose paths are dotted. Thinking is believed only with the signature issued for it.
https://platform.claude.com/docs/en/api/messages
"""

import json
import re

from tests.upstreams.answers import KEYS, Received, words
from tests.upstreams.anthropic_blocks import BLOCK, IDENTITY, content, need, only, refuse, result, seen
from tests.upstreams.script import Ask, Fault

TOP = words(
    "max_tokens messages prefill model cache_control container diagnostics inference_geo metadata output_config service_tier speed stop_sequences stream"
    " system temperature thinking tool_choice tools top_k top_p"
)
BETA = words("thread context_management mcp_servers betas compaction fallbacks output_format")
"""Only with an `anthropic-beta` header."""
COUNTED = words("messages prefill model cache_control output_config speed system thinking tool_choice tools") | BETA
ADAPTIVE_ONLY = re.compile(r"claude-(opus-4-[7-9]|opus-5|sonnet-5|fable|mythos)")
ADAPTIVE = re.compile(r"claude-(opus-4-[6-9]|sonnet-4-[6-9]|opus-5|sonnet-5|fable|mythos)")
EFFORT = re.compile(r"claude-(opus-4-[5-9]|sonnet-4-[6-9]|opus-5|sonnet-5|fable|mythos)")
ONE_OF_TEMPERATURE_TOP_P = re.compile(r"claude-(opus-4-[1-9]|sonnet-4-[5-9]|haiku-4-5|opus-5|sonnet-5)")
UNSUPPORTED = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
)


def document(request: Received) -> dict:
    """The body of a request whose headers are right."""
    given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
    if not given:
        raise refuse("x-api-key header is required", "authentication_error", 401)
    if given != KEYS["anthropic"]:
        raise refuse("invalid x-api-key", "authentication_error", 401)
    if "anthropic-version" not in request.headers:
        raise refuse("anthropic-version: header is required")
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise refuse("content-type: must be application/json")
    try:
        body = json.loads(request.body)
    except ValueError as wrong:
        raise refuse(f"The request body is not valid JSON: {wrong}") from None
    if not isinstance(body, dict):
        raise refuse("Input should be a valid dictionary")
    return body


def understand(body: dict, headers: dict, *, counting: bool = False) -> Ask:
    """Raises Refused."""
    beta = "anthropic-beta" in headers
    only(body, COUNTED if counting else TOP | (BETA if beta else frozenset()))
    if "thread" in body:
        raise refuse("thread: not supported for this organization", details={"error_code": "thread_unsupported_request"})
    model = str(need(body, "model"))
    if not re.match(r"claude-[a-z0-9-]+", model) or "nonexistent" in model:
        raise refuse(f"model: {model}", "not_found_error", 404)
    if not counting:
        limit = need(body, "max_tokens")
        if not isinstance(limit, int) or isinstance(limit, bool):
            raise refuse("max_tokens: Input should be a valid integer")
        if limit < 1:
            raise refuse("max_tokens: Input should be greater than or equal to 1")
    messages = need(body, "messages")
    if not isinstance(messages, list):
        raise refuse("messages: Input should be a valid array")
    if not messages:
        raise refuse("messages: at least one message is required")
    if isinstance(body.get("system"), list):
        for index, block in enumerate(body["system"]):
            only(block, BLOCK["text"], f"system.{index}")
            if not str(need(block, "text", f"system.{index}")):
                raise refuse("system: text content blocks must be non-empty")
    functions = tools(body)
    sampling(body, model)
    thinks = thinking(body, model, counting=counting)
    schema = wanted(body, model)
    if len(re.findall(r'"cache_control": \{', json.dumps(body))) > 4:
        found = len(re.findall(r'"cache_control": \{', json.dumps(body)))
        raise refuse(f"A maximum of 4 blocks with cache_control may be provided. Found {found}.")
    text, results, media = conversation(messages, model, manual=thinks and body["thinking"]["type"] == "enabled")
    choice = body.get("tool_choice")
    forced = None
    if choice is not None:
        if not body.get("tools"):
            raise refuse("tool_choice: tool_choice may only be specified while providing tools.")
        kind = need(choice, "type", "tool_choice")
        if kind not in {"auto", "any", "tool", "none"}:
            raise refuse(
                f"tool_choice: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'auto', 'any', 'tool', 'none'"
            )
        only(choice, {"type", "name", "disable_parallel_tool_use"} if kind != "none" else {"type"}, "tool_choice")
        if kind == "tool":
            forced = str(need(choice, "name", "tool_choice"))
            if forced not in dict(functions):
                raise refuse(f"Tool '{forced}' not found in provided tools")
        elif kind == "any":
            forced = ""
        if forced is not None and thinks and body["thinking"]["type"] == "enabled":
            raise refuse("Thinking may not be enabled when tool_choice forces tool use.")
    return Ask(
        model=model,
        text=text,
        results=results,
        tools=functions,
        forced=forced,
        calls_forbidden=(choice or {}).get("type") == "none",
        parallel=not (choice or {}).get("disable_parallel_tool_use"),
        schema=schema,
        thinks=thinks,
        media=media,
    )


def sampling(body: dict, model: str) -> None:
    temperature, top_p = body.get("temperature"), body.get("top_p")
    if temperature is not None and not 0 <= temperature <= 1:
        raise refuse("temperature: range: 0..1")
    if top_p is not None and not 0 <= top_p <= 1:
        raise refuse("top_p: range: 0..1")
    if temperature is not None and top_p is not None and ONE_OF_TEMPERATURE_TOP_P.match(model):
        raise refuse("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    if ADAPTIVE_ONLY.match(model):
        for key, default in (("temperature", 1), ("top_p", None), ("top_k", None)):
            if body.get(key) not in {None, default}:
                raise refuse(f"`{key}` is deprecated for this model.")
    if any(not isinstance(stop, str) or not stop.strip() for stop in body.get("stop_sequences") or ()):
        raise refuse("stop_sequences: each stop sequence must contain non-whitespace")
    only(body.get("metadata") or {}, {"user_id"}, "metadata")
    if body.get("service_tier") not in {None, "auto", "standard_only"}:
        raise refuse("service_tier: Input should be 'auto' or 'standard_only'")


def thinking(body: dict, model: str, *, counting: bool) -> bool:
    given = body.get("thinking")
    if given is None:
        return False
    kind = need(given, "type", "thinking")
    if kind == "disabled":
        only(given, {"type"}, "thinking.disabled")
        return False
    if kind == "adaptive":
        only(given, {"type", "display"}, "thinking.adaptive")
        if not ADAPTIVE.match(model):
            raise refuse("adaptive thinking is not supported on this model")
    elif kind == "enabled":
        only(given, {"type", "budget_tokens", "display"}, "thinking.enabled")
        if ADAPTIVE_ONLY.match(model):
            words = '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
            raise refuse(words)
        if re.match(r"claude-(3-haiku|3-5|3-opus|2)", model):
            raise refuse(f"'{model}' does not support thinking.")
        budget = need(given, "budget_tokens", "thinking.enabled")
        if budget < 1024:
            raise refuse("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if not counting and budget >= body["max_tokens"]:
            raise refuse(
                "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at"
                " https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size"
            )
    else:
        raise refuse(
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'adaptive', 'disabled', 'enabled'"
        )
    if body.get("temperature") not in {None, 1}:
        raise refuse("`temperature` may only be set to 1 when thinking is enabled.")
    if body.get("top_p") is not None and body["top_p"] < 0.95:
        raise refuse("`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.")
    if body.get("top_k") is not None:
        raise refuse("`top_k` must be unset when thinking is enabled.")
    return True


def closed(schema: object, at: str) -> None:
    """The schema is one that constrained answers can be made for."""
    if not isinstance(schema, dict):
        return
    kind = schema.get("type")
    if (kind == "object" or "properties" in schema) and schema.get("additionalProperties") is not False:
        raise refuse(f"{at}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    bad = [key for key in UNSUPPORTED if key in schema]
    if bad:
        raise refuse(f"{at}: For '{kind}' type, properties {', '.join(bad)} are not supported")
    for part in (
        *schema.get("properties", {}).values(),
        *schema.get("$defs", {}).values(),
        *schema.get("anyOf", ()),
        *schema.get("allOf", ()),
        schema.get("items"),
    ):
        closed(part, at)


def wanted(body: dict, model: str) -> dict | None:
    """The schema of a structured answer."""
    given = body.get("output_config")
    if given is None:
        return None
    only(given, {"effort", "format", "task_budget"}, "output_config")
    if given.get("effort") is not None:
        if not EFFORT.match(model):
            raise refuse("This model does not support the effort parameter.")
        if given["effort"] not in {"low", "medium", "high", "xhigh", "max"}:
            raise refuse("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
    form = given.get("format")
    if form is None:
        return None
    only(form, {"type", "schema"}, "output_config.format")
    if need(form, "type", "output_config.format") != "json_schema":
        raise refuse("output_config.format.type: Input should be 'json_schema'")
    schema = need(form, "schema", "output_config.format")
    if re.match(r"claude-(3|opus-4-0|sonnet-4-0|opus-4-2|sonnet-4-2)", model):
        raise refuse(f"'{model}' does not support output format.")
    closed(schema, "output_config.format.schema")
    return schema if isinstance(schema, dict) else None


def tools(body: dict) -> tuple[tuple[str, dict], ...]:
    found = []
    for index, tool in enumerate(body.get("tools") or ()):
        if tool.get("type") not in {None, "custom"}:
            need(tool, "name", f"tools.{index}")
            continue
        at = f"tools.{index}.custom"
        allowed = {
            "type",
            "name",
            "description",
            "input_schema",
            "cache_control",
            "strict",
            "defer_loading",
            "allowed_callers",
            "input_examples",
            "eager_input_streaming",
        }
        only(tool, allowed, at)
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", str(need(tool, "name", at))):
            raise refuse(f"{at}.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        schema = need(tool, "input_schema", at)
        if not isinstance(schema, dict) or "type" not in schema:
            raise refuse(f"{at}.input_schema.type: Field required")
        if schema["type"] != "object":
            raise refuse(f"{at}.input_schema.type: Input should be 'object'")
        if any(key in schema for key in ("oneOf", "allOf", "anyOf")):
            raise refuse(f"{at}.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level")
        if tool.get("strict"):
            closed(schema, at)
        found.append((tool["name"], schema))
    if len({name for name, _ in found}) < len(found):
        raise refuse("tools: Tool names must be unique.")
    return tuple(found)


def conversation(messages: list, model: str, *, manual: bool) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The last user text, the tool results since the model's last turn, and the media after it."""
    text, results, media = "", [], []
    waiting: dict[str, None] = {}
    ids: set[str] = set()
    for index, message in enumerate(messages):
        at = f"messages.{index}"
        only(message, {"role", "content"}, at)
        role = need(message, "role", at)
        if role not in {"user", "assistant", "system"}:
            raise refuse(f"{at}.role: Input should be 'user', 'assistant' or 'system'")
        if index == 0 and role != "user":
            raise refuse('messages: first message must use the "user" role')
        blocks = content(message, role, at, last=index == len(messages) - 1)
        answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        for position, block in enumerate(blocks):
            if block["type"] != "tool_result":
                continue
            if block["tool_use_id"] not in waiting:
                raise refuse(
                    f"{at}.content.{position}: unexpected `tool_use_id` found in `tool_result` blocks: {block['tool_use_id']}. Each `tool_result` block must have"
                    " a corresponding `tool_use` block in the previous message."
                )
            if answered.count(block["tool_use_id"]) > 1:
                raise refuse(
                    f"{at}.content.{position}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {block['tool_use_id']}"
                )
        kinds = [block["type"] for block in blocks]
        missing = [identity for identity in waiting if identity not in answered]
        if missing or any(kind != "tool_result" for kind in kinds[: len(waiting)]):
            raise refuse(
                f"messages.{index - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(missing or waiting)}."
                " Each `tool_use` block must have a corresponding `tool_result` block in the next message."
            )
        waiting = {}
        if role == "assistant":
            results, media = [], []
            sealed = [block["signature"] for block in blocks if block["type"] == "thinking"]
            if len(set(sealed)) < len(sealed):
                raise refuse(
                    f"{at}.content.1: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified. These blocks must remain as"
                    " they were in the original response."
                )
            for position, block in enumerate(blocks):
                if block["type"] == "tool_use":
                    if not IDENTITY.fullmatch(block["id"]):
                        raise refuse(
                            f"{at}.content.{position}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'"
                        )
                    if block["id"] in ids:
                        raise refuse(f"{at}.content.{position}: `tool_use` ids must be unique")
                    ids.add(block["id"])
                    waiting[block["id"]] = None
        elif role == "user":
            said = "\n".join(block["text"] for block in blocks if block["type"] == "text")
            text = said or text
            for block in blocks:
                if block["type"] == "tool_result":
                    results.append(("error: " if block.get("is_error") else "") + result(block))
                    media += [
                        seen(part)
                        for part in block.get("content") or ()
                        if isinstance(part, dict) and part.get("type") in {"image", "document"}
                    ]
                elif block["type"] in {"image", "document"}:
                    media.append(seen(block))
    if waiting:
        raise refuse(
            f"messages.{len(messages) - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: {', '.join(waiting)}."
            " Each `tool_use` block must have a corresponding `tool_result` block in the next message."
        )
    if messages[-1]["role"] == "assistant":
        if ADAPTIVE.match(model):
            raise refuse("This model does not support assistant message prefill. The conversation must end with a user message.")
        final = messages[-1]["content"]
        final = final if isinstance(final, str) else final[-1].get("text", "") if final else ""
        if final != final.rstrip():
            raise refuse("messages: final assistant content cannot end with trailing whitespace")
    if manual and results:
        starts_thinking(messages)
    return text, tuple(results), tuple(media)


def starts_thinking(messages: list) -> None:
    """With a thinking budget, the assistant turn that calls tools begins with its thinking."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if (
            message["role"] == "assistant"
            and isinstance(message["content"], list)
            and (index == 0 or messages[index - 1]["role"] != "assistant")
        ):
            first = message["content"][0]["type"] if message["content"] else "text"
            if first not in {"thinking", "redacted_thinking"}:
                raise refuse(
                    f"messages.{index}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When `thinking` is enabled, a final"
                    " `assistant` message must start with a thinking block (preceeding the lastmost set of `tool_use` and `tool_result` blocks). We recommend you"
                    " include thinking blocks from previous turns. To avoid this requirement, disable `thinking`."
                )
            return


def fault(chosen: Fault | None) -> None:
    """Raise what the plan wants before an answer begins."""
    if chosen is None or chosen.kind in {"inside", "cut"}:
        return
    if chosen.kind == "quota":
        raise refuse(
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."
        )
    status = int(chosen.kind)
    kind, text = {
        401: ("authentication_error", "invalid x-api-key"),
        403: ("permission_error", "Your API key does not have permission to use the specified resource."),
        413: ("request_too_large", "Request exceeds the maximum size"),
        429: ("rate_limit_error", "This request would exceed your organization's rate limit of 50 requests per minute."),
        503: ("api_error", "Service Unavailable"),
        529: ("overloaded_error", "Overloaded"),
    }.get(status, ("api_error", "Internal server error"))
    limited = {
        "retry-after": "20",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-21T10:00:20Z",
    }
    raise refuse(text, kind, status, limited if status == 429 else None)
