"""What a Converse request must be, and what it asks.

One rule: refused with Bedrock's own words, `{"message"}` and the exception's name in a header. Shapes are botocore's service model.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

import json
import re
from urllib.parse import unquote

from tests.laws import bedrock_oracle
from tests.upstreams import seals
from tests.upstreams.answers import KEYS, Received, Refused
from tests.upstreams.script import Ask, Fault

PATH = re.compile(r"/model/(?P<model>[^/]+)/converse(?P<stream>-stream)?")
SEAL = b"\x12\x90\x01"
"""How Claude's signatures begin, in bytes."""
NAMED = "ValidationException"
NO_CACHE = re.compile(r"llama|gpt-oss|claude-3-(haiku|sonnet|opus)|claude-3-5-sonnet-20240620")
NEVER_FORCED = re.compile(r"llama|deepseek")
ADAPTIVE = re.compile(r"claude-(opus-4-[6-9]|sonnet-4-[6-9]|opus-5|sonnet-5)")
NO_SCHEMA = re.compile(r"claude-3|claude-(sonnet|opus)-4-2|amazon\.|llama")
TITLE = re.compile(r"[a-zA-Z0-9\-()\[\]]+([ \t][a-zA-Z0-9\-()\[\]]+)*")
LOOSE = re.compile(r"titan")
"""Models whose turns need not alternate: seen in recorded traffic."""


def refuse(message: str, name: str = NAMED, status: int = 400) -> Refused:
    return Refused(status, {"message": message}, {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/"})


def read(request: Received) -> tuple[dict, str, bool]:
    """(body, model, whether it streams) of a request whose path and credential are right."""
    found = PATH.fullmatch(request.path)
    if found is None or ":" in found["model"]:
        raise refuse("Unable to determine service/operation name to be authorized", "AccessDeniedException", 403)
    if request.headers.get("authorization") != f"Bearer {KEYS['bedrock']}":
        raise refuse("The security token included in the request is invalid.", "UnrecognizedClientException", 403)
    model = unquote(found["model"])
    if "nonexistent" in model:
        raise refuse("The provided model identifier is invalid.")
    try:
        body = json.loads(request.body)
    except ValueError:
        raise refuse("Malformed input request, please reformat your input and try again.", "SerializationException") from None
    return body, model, bool(found["stream"])


def understand(body: dict, model: str) -> Ask:
    """Raises Refused."""
    for finding in bedrock_oracle.request(body):
        raise refuse(f"1 validation error detected: {finding}")
    messages = body.get("messages") or []
    _conversation(messages, model)
    _tools(body, messages, model)
    _pairs(messages)
    _documents(messages)
    _caches(body, model)
    thinks = _thinking(body, messages, model)
    if "outputConfig" in body and "textFormat" in body["outputConfig"] and NO_SCHEMA.search(model):
        raise refuse("This model doesn't support the outputConfig.textFormat field. Remove it and try again.")
    return _ask(body, messages, model, thinks=thinks)


def _blank(block: dict, at: str) -> None:
    text = block.get("text")
    if isinstance(text, str) and not text.strip():
        raise refuse(f"The text field in the ContentBlock object at {at} is blank. Add text to the text field, and try again.")


def _own(block: dict) -> bool:
    """Whether it is of a tool that Bedrock runs itself: called and answered within one turn."""
    return any("type" in block.get(key, {}) for key in ("toolUse", "toolResult"))


def _conversation(messages: list, model: str) -> None:
    if not messages or messages[0]["role"] != "user":
        raise refuse(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message."
        )
    for number, message in enumerate(messages):
        if not message["content"]:
            raise refuse(f"The content field in the Message object at messages.{number} is empty. Add a ContentBlock object.")
        if number and message["role"] == messages[number - 1]["role"] and not LOOSE.search(model):
            raise refuse("Roles must alternate between user and assistant in a conversation. Make sure that they do.")
        for place, block in enumerate(message["content"]):
            at = f"messages.{number}.content.{place}"
            _blank(block, at)
            for part in block.get("toolResult", {}).get("content", ()):
                _blank(part, f"{at}.toolResult.content")
            result = block.get("toolResult", {})
            if result.get("status") == "error" and not result["content"]:
                raise refuse(f"The content field at {at}.toolResult cannot be empty when status value is error.")
            if message["role"] == "user" and ("toolUse" in block or "reasoningContent" in block):
                raise refuse(f"The content block at {at} is not allowed in a user message.")
            if message["role"] == "assistant" and {"toolResult", "document", "video"} & block.keys() and not _own(block):
                raise refuse(f"The content block at {at} is not allowed in an assistant message.")
    last = messages[-1]
    if last["role"] == "assistant":
        if ADAPTIVE.search(model) or "claude" not in model:
            raise refuse("This model does not support assistant message prefill. The conversation must end with a user message.")
        if "text" in last["content"][-1] and last["content"][-1]["text"] != last["content"][-1]["text"].rstrip():
            raise refuse("messages: final assistant content cannot end with trailing whitespace")


def _tools(body: dict, messages: list, model: str) -> None:
    used = any("toolUse" in block or "toolResult" in block for message in messages for block in message["content"])
    config = body.get("toolConfig")
    if config is None:
        if used:
            raise refuse("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
        return
    names = [tool["toolSpec"]["name"] for tool in config["tools"] if "toolSpec" in tool]
    if len(set(names)) != len(names):
        raise refuse("The tool names at toolConfig.tools contain duplicates.")
    for number, tool in enumerate(config["tools"]):
        schema = tool.get("toolSpec", {}).get("inputSchema", {}).get("json", {"type": "object"})
        if schema.get("type") != "object":
            at = f"toolConfig.tools.{number}.toolSpec.inputSchema.json.type"
            raise refuse(f"The value at {at} must be one of the following: object.")
        if {"oneOf", "anyOf", "allOf"} & schema.keys():
            raise refuse(
                f"tools.{number}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf at the top level"
            )
        if "systemTool" in tool and "nova" not in model:
            raise refuse("This model doesn't support system tools.")
    choice = config.get("toolChoice") or {}
    if choice and "auto" not in choice and NEVER_FORCED.search(model):
        raise refuse("This model doesn't support the toolConfig.toolChoice.any field. Remove it and try again.")
    if "tool" in choice and choice["tool"]["name"] not in names:
        raise refuse("The toolChoice names a tool that toolConfig.tools does not have.")


def _pairs(messages: list) -> None:
    asked: list[str] = []
    for number, message in enumerate(messages):
        answered = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block and not _own(block)]
        missing = [name for name in asked if name not in answered]
        if missing:
            raise refuse(f"Expected toolResult blocks at messages.{number}.content for the following Ids: {', '.join(missing)}")
        if len(answered) > len(asked) or set(answered) - set(asked) or len(set(answered)) < len(answered):
            at = f"messages.{number}.content"
            raise refuse(f"The number of toolResult blocks at {at} exceeds the number of toolUse blocks of previous turn.")
        kinds = ["toolResult" in block for block in message["content"] if "cachePoint" not in block]
        if asked and kinds != sorted(kinds, reverse=True):
            raise refuse(f"messages.{number}: tool results must come first in the turn after their calls")
        asked = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block and not _own(block)]
    if asked:
        raise refuse(f"Expected toolResult blocks at messages.{len(messages)}.content for the following Ids: {', '.join(asked)}")


def _documents(messages: list) -> None:
    names: list[str] = []
    for number, message in enumerate(messages):
        here = [block["document"] for block in message["content"] if "document" in block]
        if here and not any("text" in block for block in message["content"]):
            raise refuse(f"Include a text content block with the document at messages.{number}.")
        for block in message["content"]:
            here += [part["document"] for part in block.get("toolResult", {}).get("content", ()) if "document" in part]
        names += [document["name"] for document in here]
    for name in names:
        if not TITLE.fullmatch(name):
            raise refuse(
                "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses."
            )
    if len(set(names)) != len(names):
        raise refuse("The document names contain duplicates.")


def _caches(body: dict, model: str) -> None:
    places = [*(body.get("system") or ()), *(block for message in body.get("messages") or () for block in message["content"])]
    tools = [tool for tool in body.get("toolConfig", {}).get("tools", ()) if "cachePoint" in tool]
    points = [block["cachePoint"] for block in (*places, *tools) if "cachePoint" in block]
    if points and NO_CACHE.search(model):
        raise refuse(
            "You invoked an unsupported model or your request did not allow prompt caching.", "AccessDeniedException", 403
        )
    if tools and "nova" in model:
        raise refuse("This model doesn't support cache points in tools.")
    if len(points) > 4:
        raise refuse("A maximum of 4 blocks with cache_control may be provided.")


def _thinking(body: dict, messages: list, model: str) -> bool:
    more = body.get("additionalModelRequestFields") or {}
    inference = body.get("inferenceConfig") or {}
    setting = more.get("thinking")
    if setting is not None and "claude" not in model:
        raise refuse("extraneous key [thinking] is not permitted, please reformat your input and try again.")
    if "top_k" in more and "claude" not in model:
        raise refuse("extraneous key [top_k] is not permitted, please reformat your input and try again.")
    if "reasoningConfig" in more and "nova" not in model:
        raise refuse("extraneous key [reasoningConfig] is not permitted, please reformat your input and try again.")
    if setting is None or setting["type"] == "disabled":
        return "reasoning_effort" in more or more.get("reasoningConfig", {}).get("type") == "enabled"
    if "claude-3-" in model and "3-7" not in model:
        raise refuse("The model returned the following errors: thinking is not supported by this model")
    if setting["type"] == "adaptive" and not ADAPTIVE.search(model):
        raise refuse("The model returned the following errors: adaptive thinking is not supported on this model")
    if setting["type"] == "enabled":
        if setting["budget_tokens"] < 1024:
            raise refuse("The model returned the following errors: thinking.budget_tokens: greater than or equal to 1024")
        if setting["budget_tokens"] >= inference.get("maxTokens", 1 << 30):
            raise refuse("The model returned the following errors: `max_tokens` must be greater than `thinking.budget_tokens`.")
    if inference.get("temperature", 1) != 1 or "top_k" in more:
        raise refuse("The model returned the following errors: `temperature` may only be set to 1 when thinking is enabled.")
    if not {"auto"} >= (body.get("toolConfig", {}).get("toolChoice") or {"auto": {}}).keys():
        raise refuse("The model returned the following errors: Thinking may not be enabled when tool_choice forces tool use.")
    turns = [message["content"] for message in messages if message["role"] == "assistant"]
    last = turns[-1] if turns else []
    if setting["type"] == "enabled" and any("toolUse" in block for block in last) and "reasoningContent" not in last[0]:
        raise refuse("The model returned the following errors: Expected `thinking` or `redacted_thinking`, but found `tool_use`.")
    return True


def _sealed(messages: list) -> None:
    for message in messages:
        for block in message["content"]:
            told = block.get("reasoningContent", {})
            text = told.get("reasoningText", {})
            if "signature" in text and not seals.genuine("bedrock", text["text"], text["signature"], prefix=SEAL):
                raise refuse("The model returned the following errors: Invalid `signature` in `thinking` block")
            if "redactedContent" in told and not seals.genuine("bedrock redacted", "", told["redactedContent"], prefix=SEAL):
                raise refuse("The model returned the following errors: Invalid `data` in `redacted_thinking` block")


def _seen(block: dict) -> list[str]:
    found = []
    for kind in ("image", "document", "video"):
        if kind in block:
            source = block[kind]["source"]
            place = source.get("s3Location", {}).get("uri")
            found.append(place or f"{block[kind].get('format')}:{source.get('bytes', '')}")
    for part in block.get("toolResult", {}).get("content", ()):
        found += _seen(part)
    return found


def _ask(body: dict, messages: list, model: str, *, thinks: bool) -> Ask:
    _sealed(messages)
    config = body.get("toolConfig") or {}
    choice = config.get("toolChoice") or {}
    last = messages[-1]["content"] if messages[-1]["role"] == "user" else []
    results = []
    for block in last:
        parts = block.get("toolResult", {}).get("content", ())
        results += [part.get("text") or json.dumps(part.get("json")) for part in parts if "text" in part or "json" in part]
    texts = [
        block["text"] for message in messages if message["role"] == "user" for block in message["content"] if "text" in block
    ]
    schema = body.get("outputConfig", {}).get("textFormat", {}).get("structure", {}).get("jsonSchema", {}).get("schema")
    return Ask(
        model=model,
        text=texts[-1] if texts else "",
        results=tuple(results),
        tools=tuple(
            (tool["toolSpec"]["name"], tool["toolSpec"]["inputSchema"]["json"])
            for tool in config.get("tools", ())
            if "toolSpec" in tool
        ),
        forced="" if "any" in choice else choice["tool"]["name"] if "tool" in choice else None,
        schema=json.loads(schema) if schema else None,
        thinks=thinks,
        media=tuple(told for block in last for told in _seen(block)),
    )


def fault(found: Fault | None) -> None:
    """Raises Refused when the plan is an error that comes before an answer."""
    if found is None or found.kind in {"inside", "cut"}:
        return
    status = int(found.kind) if found.kind.isdigit() else 429
    name = {
        400: "ValidationException", 403: "AccessDeniedException", 404: "ResourceNotFoundException", 429: "ThrottlingException",
        500: "InternalServerException", 503: "ServiceUnavailableException", 424: "ModelErrorException",
    }.get(status, "InternalServerException")  # fmt: skip
    said = "Too many requests, please wait before trying again." if status == 429 else "The service could not answer."
    raise refuse(said, name, status)
