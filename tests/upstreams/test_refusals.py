"""The strict upstream is strict: each rule that the real providers enforce refuses, in the provider's own document."""

import copy
import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.upstreams import seals
from tests.upstreams.answers import KEYS
from tests.upstreams.gemini_rules import SEAL
from tests.upstreams.openai_responses_rules import SEAL as OPENAI_SEAL
from tests.upstreams.server import Upstream

CHAT = "/v1/chat/completions"
RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
GEMINI = "/v1beta/models/gemini-2.5-flash:generateContent"
GEMINI3 = "/v1beta/models/gemini-3-pro-preview:generateContent"
CONVERSE = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
NOVA = "/model/amazon.nova-pro-v1%3A0/converse"
HEADERS = {
    CHAT: {"authorization": f"Bearer {KEYS['openai']}"},
    RESPONSES: {"authorization": f"Bearer {KEYS['openai']}"},
    MESSAGES: {"x-api-key": KEYS["anthropic"], "anthropic-version": "2023-06-01"},
    GEMINI: {"x-goog-api-key": KEYS["gemini"]},
    GEMINI3: {"x-goog-api-key": KEYS["gemini"]},
    CONVERSE: {"authorization": f"Bearer {KEYS['bedrock']}"},
    NOVA: {"authorization": f"Bearer {KEYS['bedrock']}"},
}
TOOL = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"], "additionalProperties": False}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"q":"x"}'}}
USE = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"q": "x"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "r"}
GOOD: dict[str, dict[str, Any]] = {
    CHAT: {
        "model": "gpt-4.1-mini",
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "r"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": TOOL, "strict": True}}],
    },
    RESPONSES: {
        "model": "gpt-5-mini",
        "input": [
            {"role": "user", "content": "a"},
            {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "r"},
        ],
        "tools": [{"type": "function", "name": "f", "parameters": TOOL, "strict": True}],
    },
    MESSAGES: {
        "model": "claude-haiku-4-5",
        "max_tokens": 4000,
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": [USE]},
            {"role": "user", "content": [RESULT]},
        ],
        "tools": [{"name": "f", "input_schema": TOOL}],
    },
    GEMINI: {
        "contents": [
            {"role": "user", "parts": [{"text": "a"}]},
            {
                "role": "model",
                "parts": [{"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "g", "args": {}}}],
            },
            {"role": "user", "parts": [{"functionResponse": {"name": n, "response": {"result": "r"}}} for n in "fg"]},
        ],
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "f", "parameters": {"type": "OBJECT", "properties": {"q": {"type": "STRING"}}}},
                    {"name": "g"},
                ]
            }
        ],
    },
}
GOOD[CONVERSE] = GOOD[NOVA] = {
    "messages": [
        {"role": "user", "content": [{"text": "a"}]},
        {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}]},
        {"role": "user", "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "r"}]}}]},
    ],
    "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": TOOL}}}]},
    "inferenceConfig": {"maxTokens": 4000},
}
GOOD[GEMINI3] = copy.deepcopy(GOOD[GEMINI])
GOOD[GEMINI3]["contents"][1]["parts"][0]["thoughtSignature"] = seals.issue("gemini", "", prefix=SEAL)
GONE = object()
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAABforeign"}

RULES: tuple[tuple[str, str, object, str], ...] = (
    # path of the API, where to change the good request, what to put there, what the refusal says
    (CHAT, "model", "gpt-0-nonexistent", "does not exist or you do not have access"),
    (CHAT, "foo", 1, "Unknown parameter: 'foo'"),
    (CHAT, "messages", GONE, "Missing required parameter: 'messages'"),
    (CHAT, "messages", [], "empty array"),
    (CHAT, "messages.0.role", "robot", "Invalid value: 'robot'"),
    (CHAT, "messages.1.reasoning_content", "x", "Unknown parameter: 'messages[1].reasoning_content'"),
    (CHAT, "messages.1.tool_calls.0.id", "c" * 41, "maximum length 40"),
    (CHAT, "messages.2.tool_call_id", "other", "must be a response to a preceeding message with 'tool_calls'"),
    (CHAT, "messages.2", {"role": "user", "content": "b"}, "must be followed by tool messages"),
    (CHAT, "messages.2.content", [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}], "only allowed for messages with role 'user'"),
    (CHAT, "messages.0.content", [{"type": "image_url", "image_url": {"url": "ftp://x"}}], "Expected a valid URL"),
    (CHAT, "messages.0.content", [], "empty array"),
    (CHAT, "stop", ["1", "2", "3", "4", "5"], "maximum length 4"),
    (CHAT, "n", 0, "below minimum value"),
    (CHAT, "temperature", 3, "above maximum value"),
    (CHAT, "stream_options", {"include_usage": True}, "only allowed when 'stream' is enabled"),
    (CHAT, "tools.0.function.name", "a b", "does not match pattern"),
    (CHAT, "tools.0.function.parameters.required", [], "Missing 'q'"),
    (CHAT, "tools.0.function.parameters.additionalProperties", True, "'additionalProperties' is required to be supplied and to be false"),
    (CHAT, "tools", [], "empty array"),
    (CHAT, "tool_choice", {"type": "function", "function": {"name": "nobody"}}, "not found in 'tools'"),
    (CHAT, "response_format", {"type": "json_schema", "json_schema": {"name": "r", "strict": True, "schema": {"type": "object", "properties": {}}}}, "response_format 'r'"),
    (CHAT, "response_format", {"type": "json_object"}, "must contain the word 'json'"),
    (CHAT, "reasoning_effort", "low", "Unrecognized request argument supplied: reasoning_effort"),
    (RESPONSES, "max_tokens", 5, "Unknown parameter: 'max_tokens'"),
    (RESPONSES, "max_output_tokens", 5, ">= 16"),
    (RESPONSES, "previous_response_id", "resp_unknown", "Previous response with id 'resp_unknown' not found"),
    (RESPONSES, "input.2.call_id", "other", "No tool call found for function call output"),
    (RESPONSES, "input.2", GONE, "No tool output found for function call call_1"),
    (RESPONSES, "input.0.content", [{"type": "text", "text": "a"}], "Invalid value: 'text'"),
    (RESPONSES, "input.0.foo", 1, "Unknown parameter: 'input[0].foo'"),
    (RESPONSES, "input.1.id", "call_1", "begins with 'fc'"),
    (RESPONSES, "input.1.call_id", "c" * 65, "maximum length 64"),
    (RESPONSES, "input.0", REASONING, "could not be verified"),
    (RESPONSES, "input.0", {"type": "reasoning", "id": "rs_1", "summary": []}, "Item with id 'rs_1' not found"),
    (RESPONSES, "temperature", 0.5, "not supported with this model"),
    (RESPONSES, "text", {"format": {"type": "json_schema", "schema": {}}}, "text.format.name"),
    (MESSAGES, "max_tokens", GONE, "max_tokens: Field required"),
    (MESSAGES, "foo", 1, "foo: Extra inputs are not permitted"),
    (MESSAGES, "context_management", {}, "context_management: Extra inputs are not permitted"),
    (MESSAGES, "messages.0.role", "assistant", 'first message must use the \\"user\\" role'),
    (MESSAGES, "messages.2", GONE, "`tool_use` ids were found without `tool_result` blocks immediately after"),
    (MESSAGES, "messages.2.content", [{"type": "text", "text": "x"}, RESULT], "`tool_use` ids were found without"),
    (MESSAGES, "messages.2.content", [RESULT, RESULT], "each tool_use must have a single result"),
    (MESSAGES, "messages.2.content.0.tool_use_id", "toolu_2", "unexpected `tool_use_id` found"),
    (MESSAGES, "messages.1.content.0.id", "call.1", "^[a-zA-Z0-9_-]{1,64}$"),
    (MESSAGES, "messages.1.content.0.input", "{}", "Input should be a valid dictionary"),
    (MESSAGES, "messages.0.content", "", "must have non-empty content"),
    (MESSAGES, "messages.0.content", [{"type": "text", "text": ""}], "text content blocks must be non-empty"),
    (MESSAGES, "messages.0.content", [{"type": "text", "text": " "}], "must contain non-whitespace"),
    (MESSAGES, "messages.0.content", [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}] * 5, "maximum of 4 blocks with cache_control"),
    (MESSAGES, "messages.0.content", [{"type": "image", "source": {"type": "url", "url": "http://x/y.png"}}], "Only HTTPS URLs"),
    (MESSAGES, "messages.1.content", [{"type": "thinking", "thinking": "x", "signature": "QUJD"}, USE], "Invalid `signature` in `thinking` block"),
    (MESSAGES, "messages.2", {"role": "assistant", "content": "a "}, "`tool_use` ids were found without"),
    (MESSAGES, "messages", [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b "}], "cannot end with trailing whitespace"),
    (MESSAGES, "temperature", 1.5, "temperature: range: 0..1"),
    (MESSAGES, "thinking", {"type": "enabled", "budget_tokens": 1000}, "greater than or equal to 1024"),
    (MESSAGES, "thinking", {"type": "enabled", "budget_tokens": 4000}, "`max_tokens` must be greater than `thinking.budget_tokens`"),
    (MESSAGES, "thinking", {"type": "enabled", "budget_tokens": 2000}, "Expected `thinking` or `redacted_thinking`, but found `tool_use`"),
    (MESSAGES, "thinking", {"type": "adaptive"}, "adaptive thinking is not supported"),
    (MESSAGES, "tool_choice", {"type": "tool", "name": "nobody"}, "not found in provided tools"),
    (MESSAGES, "tools.0.input_schema.type", GONE, "input_schema.type: Field required"),
    (MESSAGES, "output_config", {"format": {"type": "json_schema", "schema": {"type": "object"}}}, "'additionalProperties' must be explicitly set to false"),
    (MESSAGES, "output_config", {"effort": "low"}, "does not support the effort parameter"),
    (MESSAGES, "stop_sequences", [" "], "must contain non-whitespace"),
    (CONVERSE, "messages", GONE, "A conversation must start with a user message"),
    (CONVERSE, "messages.0.role", "assistant", "A conversation must start with a user message"),
    (CONVERSE, "messages.0.content", [], "is empty. Add a ContentBlock"),
    (CONVERSE, "messages.0.content", [{"text": " "}], "is blank. Add text"),
    (CONVERSE, "messages.0.content", [{"text": "a", "image": {}}], "a union with"),
    (CONVERSE, "messages.0.content", [{"image": {"format": "bmp", "source": {"bytes": "QQ=="}}}], "is none of"),
    (CONVERSE, "messages.0.content", [{"image": {"format": "png", "source": {"bytes": "not base64"}}}], "no base64"),
    (CONVERSE, "messages.0.content", [{"document": {"format": "txt", "name": "x", "source": {"bytes": "QQ=="}}}], "Include a text content block"),
    (CONVERSE, "messages.0.content", [{"text": "a"}, {"document": {"format": "txt", "name": "x_y.txt", "source": {"bytes": "QQ=="}}}], "file name can only contain"),
    (CONVERSE, "messages.0.content", [{"text": "a"}, *[{"document": {"format": "txt", "name": "x", "source": {"bytes": "QQ=="}}}] * 2], "duplicates"),
    (CONVERSE, "messages.0.content", [{"text": "a"}, *[{"cachePoint": {"type": "default"}}] * 5], "maximum of 4"),
    (CONVERSE, "messages.1", {"role": "user", "content": [{"text": "b"}]}, "Roles must alternate"),
    (CONVERSE, "messages.2", GONE, "Expected toolResult blocks"),
    (CONVERSE, "messages.2.content", [{"text": "b"}], "Expected toolResult blocks at messages.2.content for the following Ids: t1"),
    (CONVERSE, "messages.2.content", [{"text": "b"}, {"toolResult": {"toolUseId": "t1", "content": [{"text": "r"}]}}], "must come first"),
    (CONVERSE, "messages.2.content", [{"toolResult": {"toolUseId": t, "content": [{"text": "r"}]}} for t in ("t1", "t2")], "exceeds the number of toolUse blocks"),
    (CONVERSE, "messages.2.content.0.toolResult.content", [{"text": ""}], "is blank"),
    (CONVERSE, "messages.2.content.0.toolResult", {"toolUseId": "t1", "content": [], "status": "error"}, "cannot be empty when status value is error"),
    (CONVERSE, "messages.1.content.0.toolUse.toolUseId", "a" * 65, "characters"),
    (CONVERSE, "messages.1.content", [{"reasoningContent": {"reasoningText": {"text": "x", "signature": "QUJD"}}}, {"toolUse": {"toolUseId": "t1", "name": "f", "input": {}}}], "Invalid `signature`"),
    (CONVERSE, "toolConfig", GONE, "The toolConfig field must be defined"),
    (CONVERSE, "toolConfig.tools.0.toolSpec.name", "a b", "does not match"),
    (CONVERSE, "toolConfig.tools.0.toolSpec.description", "", "characters"),
    (CONVERSE, "toolConfig.tools.0.toolSpec.inputSchema.json", {"properties": {}}, "must be one of the following: object"),
    (CONVERSE, "toolConfig.tools.0", {"systemTool": {"name": "nova_grounding"}}, "doesn't support system tools"),
    (CONVERSE, "toolConfig.toolChoice", {"tool": {"name": "nobody"}}, "names a tool that"),
    (CONVERSE, "toolConfig.toolChoice", {"none": {}}, "not in the service model"),
    (CONVERSE, "inferenceConfig.temperature", 1.5, "out of range"),
    (CONVERSE, "inferenceConfig.topK", 5, "not in the service model"),
    (CONVERSE, "stream", True, "not in the service model"),
    (CONVERSE, "additionalModelRequestFields", {"thinking": {"type": "enabled", "budget_tokens": 1000}}, "greater than or equal to 1024"),
    (CONVERSE, "additionalModelRequestFields", {"thinking": {"type": "enabled", "budget_tokens": 4000}}, "must be greater than `thinking.budget_tokens`"),
    (CONVERSE, "additionalModelRequestFields", {"thinking": {"type": "enabled", "budget_tokens": 2000}}, "Expected `thinking`"),
    (CONVERSE, "additionalModelRequestFields", {"thinking": {"type": "adaptive"}}, "adaptive thinking is not supported"),
    (CONVERSE, "additionalModelRequestFields", {"reasoningConfig": {"type": "enabled"}}, "extraneous key [reasoningConfig]"),
    (NOVA, "additionalModelRequestFields", {"thinking": {"type": "disabled"}}, "extraneous key [thinking]"),
    (NOVA, "toolConfig.tools", [{"toolSpec": {"name": "f", "inputSchema": {"json": TOOL}}}, {"cachePoint": {"type": "default"}}], "cache points in tools"),
    (NOVA, "messages", [{"role": "user", "content": [{"text": "a"}]}, {"role": "assistant", "content": [{"text": "b"}]}], "does not support assistant message prefill"),
    (NOVA, "outputConfig", {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{}"}}}}, "outputConfig.textFormat"),
    (GEMINI, "foo", 1, 'Unknown name \\"foo\\": Cannot find field'),
    (GEMINI, "generationConfig", {"foo": 1}, "at 'generation_config': Cannot find field"),
    (GEMINI, "tools.0.functionDeclarations.0.parameters.additionalProperties", False, 'Unknown name \\"additionalProperties\\"'),
    (GEMINI, "tools.0.functionDeclarations.0.parameters.type", ["OBJECT"], "cannot start list"),
    (GEMINI, "tools.0.functionDeclarations.0.parameters.required", ["z"], "property is not defined"),
    (GEMINI, "tools.0.functionDeclarations.1.name", "f", "Duplicate function declaration"),
    (GEMINI, "contents", [], "contents is not specified"),
    (GEMINI, "contents.0.role", "system", "Please use a valid role: user, model."),
    (GEMINI, "contents.0.parts", [], "must not be empty"),
    (GEMINI, "contents.1.role", "user", "function call turn comes immediately after a user turn"),
    (GEMINI, "contents.0", GONE, "function call turn comes immediately after a user turn"),
    (GEMINI, "contents.2.parts.0", GONE, "equal to the number of function call parts"),
    (GEMINI, "contents.2.parts.0.functionResponse.name", "g", "equal to the number of function call parts"),
    (GEMINI, "contents.2.parts.0.functionResponse.response", "text", "google.protobuf.Struct"),
    (GEMINI, "contents.2", GONE, "ends with a user role"),
    (GEMINI, "contents.1.parts.0.thoughtSignature", "QUJD", "Corrupted thought signature"),
    (GEMINI, "generationConfig", {"thinkingConfig": {"thinkingLevel": "low"}}, "Thinking level is not supported"),
    (GEMINI, "generationConfig", {"responseSchema": {"type": "OBJECT"}}, "requires response mime type"),
    (GEMINI, "toolConfig", {"functionCallingConfig": {"mode": "AUTO", "allowedFunctionNames": ["f"]}}, "only be set when mode is ANY"),
    (GEMINI3, "contents.1.parts.0.thoughtSignature", GONE, "missing a thought_signature"),
)  # fmt: skip


@pytest.fixture(scope="module")
def strict() -> Any:
    with Upstream().running() as running:
        yield running


def post(upstream: Upstream, path: str, body: object, headers: dict[str, str]) -> tuple[int, str]:
    request = urllib.request.Request(
        upstream.url + path, json.dumps(body).encode(), {"content-type": "application/json"} | headers
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def changed(path: str, where: str, value: object) -> dict[str, Any]:
    body = copy.deepcopy(GOOD[path])
    node: Any = body
    *steps, last = [int(step) if step.isdigit() else step for step in where.split(".")]
    for step in steps:
        node = node[step]
    if value is GONE:
        del node[last]
    else:
        node[last] = value
    return body


@pytest.mark.parametrize("path", GOOD)
def test_a_good_request_is_answered(strict: Upstream, path: str) -> None:
    """The requests that the rules below spoil are themselves right."""
    status, answer = post(strict, path, GOOD[path], HEADERS[path])
    assert status == 200, answer


@pytest.mark.parametrize(
    ("path", "where", "value", "says"), RULES, ids=lambda value: value if isinstance(value, str) and "." in value else None
)
def test_a_spoilt_request_is_refused(strict: Upstream, path: str, where: str, value: object, says: str) -> None:
    """Every rule is alone in what it refuses, and says it as the provider does."""
    status, answer = post(strict, path, changed(path, where, value), HEADERS[path])
    assert status in {400, 404}
    assert says in answer


@pytest.mark.parametrize("path", GOOD)
def test_a_wrong_or_absent_credential_is_refused(strict: Upstream, path: str) -> None:
    """No answer without a key, and none with a wrong one."""
    absent = {name: value for name, value in HEADERS[path].items() if name == "anthropic-version"}
    wrong = {name: value if name == "anthropic-version" else value + "x" for name, value in HEADERS[path].items()}
    assert post(strict, path, GOOD[path], absent)[0] in {401, 403}
    assert post(strict, path, GOOD[path], wrong)[0] in {400, 401, 403}


def test_temperature_and_top_p_together_are_refused_by_newer_claude_models(strict: Upstream) -> None:
    """Gemini CLI sends both always."""
    status, answer = post(strict, MESSAGES, GOOD[MESSAGES] | {"temperature": 0.5, "top_p": 0.9}, HEADERS[MESSAGES])
    assert (status, "cannot both be specified" in answer) == (400, True)


def test_thinking_with_a_forced_tool_is_refused(strict: Upstream) -> None:
    """A thinking Claude chooses its tools itself."""
    body = GOOD[MESSAGES] | {
        "messages": GOOD[MESSAGES]["messages"][:1],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tool_choice": {"type": "any"},
    }
    status, answer = post(strict, MESSAGES, body, HEADERS[MESSAGES])
    assert (status, "Thinking may not be enabled when tool_choice forces tool use" in answer) == (400, True)


def test_max_tokens_is_refused_by_reasoning_models(strict: Upstream) -> None:
    """OpenAI's reasoning models want max_completion_tokens."""
    status, answer = post(strict, CHAT, GOOD[CHAT] | {"model": "gpt-5-mini", "max_tokens": 5}, HEADERS[CHAT])
    assert (status, "Use 'max_completion_tokens' instead" in answer) == (400, True)


def test_reasoning_without_what_follows_it_is_refused(strict: Upstream) -> None:
    """A reasoning item is only good before its message or call."""
    item = REASONING | {"encrypted_content": seals.issue("openai", "", prefix=OPENAI_SEAL)}
    status, answer = post(
        strict, RESPONSES, GOOD[RESPONSES] | {"input": [item, {"role": "user", "content": "a"}]}, HEADERS[RESPONSES]
    )
    assert (status, "without its required following item" in answer) == (400, True)


def test_the_documented_sentinel_stands_in_for_a_signature(strict: Upstream) -> None:
    """Google documents a word for calls that another model made."""
    body = changed(GEMINI3, "contents.1.parts.0.thoughtSignature", "skip_thought_signature_validator")
    assert post(strict, GEMINI3, body, HEADERS[GEMINI3])[0] == 200


def test_every_request_is_recorded_as_it_came(strict: Upstream) -> None:
    """Tests assert on the bytes that were sent."""
    before = len(strict.requests)
    post(strict, CHAT, {"messages": "nonsense"}, HEADERS[CHAT])
    assert [(r.path, r.body) for r in strict.requests[before:]] == [(CHAT, b'{"messages": "nonsense"}')]
