"""What real clients were seen to send and to need (November 2026), statement by statement, where no SDK or agent test shows it.

One rule: requests here have the shape that the named client puts on the wire; the strict upstream judges what becomes of them.
"""

import json

import pytest

from tests.plays.scene import DIALECTS, ask, events, message_of, path_of, providers, send, strict
from tests.serving import END, KEY, answer, call, chunk, gateway, stream_head, upstream

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 1}},
    "required": ["city"],
    "additionalProperties": False,
}
PLAIN = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
BETAS = "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,prompt-caching-scope-2026-01-05,advanced-tool-use-2025-11-20,effort-2025-11-24,fine-grained-tool-streaming-2025-05-14"
CLAUDE_HEADERS = f"anthropic-version: 2023-06-01\r\nanthropic-beta: {BETAS}\r\nx-app: cli\r\nuser-agent: claude-cli/2.1.329 (external, sdk-cli)\r\n"


def told(dialect: str, wire: bytes) -> str:
    """The text of a stream."""
    found = ""
    for event in events(wire):
        match dialect:
            case "openai_chat":
                found += "".join(choice["delta"].get("content") or "" for choice in event["choices"])
            case "openai_responses" if event["type"] == "response.output_text.delta":
                found += event["delta"]
            case "anthropic" if event["type"] == "content_block_delta":
                found += event["delta"].get("text", "")
            case "gemini":
                parts = event["candidates"][0].get("content", {}).get("parts", []) if event.get("candidates") else []
                found += "".join(part.get("text", "") for part in parts if not part.get("thought"))
            case _:
                pass
    return found


def claude_code(model: str, **more: object) -> dict:
    """As Claude Code asks a model whose name it does not know."""
    return {
        "model": model,
        "max_tokens": 32000,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329;"},
            {"type": "text", "text": "You are a coding agent.", "cache_control": {"type": "ephemeral"}},
        ],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "<system-reminder>Be brief.</system-reminder>"},
                    {"type": "text", "text": "Hi"},
                ],
            },
            {"role": "system", "content": "The user opened a file."},
            {"role": "user", "content": [{"type": "text", "text": "[[call]] weather?", "cache_control": {"type": "ephemeral"}}]},
        ],
        "tools": [
            {"name": "get_weather", "description": "Weather.", "input_schema": SCHEMA, "defer_loading": True},
            {"name": "Bash", "description": "Run.", "input_schema": SCHEMA, "cache_control": {"type": "ephemeral"}},
        ],
        "metadata": {"user_id": '{"device_id":"0a","account_uuid":"","session_id":"b1"}'},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "stream": True,
        **more,
    }


@pytest.mark.parametrize("kind", ["plain", "thinks"])
@pytest.mark.parametrize("api", [api for api in DIALECTS if api != "anthropic"])
@pytest.mark.parametrize("known", [False, True], ids=["adaptive", "budget"])
async def test_all_that_claude_code_sends_is_understood_abroad(tmp_path, api, kind, known):
    """Adaptive thinking with an effort, or a budget of 31999; betas, deferred tools, `$schema`, a system turn among the messages."""
    more = {"thinking": {"type": "enabled", "budget_tokens": 31999}, "output_config": None} if known else {}
    body = {key: value for key, value in claude_code(f"{api}-{kind}", **more).items() if value is not None}
    async with strict(tmp_path) as gw:
        got = await send(gw, "/v1/messages?beta=true", body, headers=CLAUDE_HEADERS)
        assert got.status == 200, got.body
        assert [event["content_block"]["type"] for event in events(got.body) if event["type"] == "content_block_start"][
            -1
        ] == "tool_use"
        assert b"The user opened a file." in gw.upstream.requests[-1].body


async def test_claude_code_asks_for_a_hello_and_may_be_told_there_is_none(tmp_path):
    """`HEAD /api/hello` is a 404 without a body; then it goes on."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        got = await call(
            gw.port, "/api/hello", b"", method="HEAD", raw=b"HEAD /api/hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        assert got.status in {401, 404}
        assert up.requests == []


async def test_a_thread_is_refused_in_the_word_that_sdks_fall_back_on(tmp_path):
    """`thread_unsupported_request` makes the tool runners send the whole history."""
    async with strict(tmp_path) as gw:
        for thread in ({"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}):
            got = await ask(gw, "anthropic", "openai_chat-plain", thread=thread)
            assert got.status == 400
            assert got.json["type"] == "error"
            assert got.json["error"]["details"]["error_code"] == "thread_unsupported_request"


@pytest.mark.parametrize("path", ["/v1/responses", "/responses"])
async def test_a_websocket_is_refused_with_a_4xx(tmp_path, path):
    """Codex tries one seven times and falls back to POST on a 4xx."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        raw = (
            f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\nopenai-beta: responses_websockets=2026-02-06\r\n\r\n"
        )
        got = await call(gw.port, path, b"", raw=raw.encode())
        assert 400 <= got.status < 500
        assert up.requests == []


def codex(model: str, **more: object) -> dict:
    """As Codex asks: everything of its own kinds at once, in the middle of a task."""
    function = {"type": "function", "name": "shell", "description": "Run.", "strict": False, "parameters": PLAIN}
    return {
        "model": model,
        "instructions": "You are a coding agent.",
        "input": [
            {
                "type": "message",
                "role": "developer",
                "content": [{"type": "input_text", "text": "<permissions>all</permissions>"}],
            },
            {"type": "message", "role": "user", "id": "msg_u1", "content": [{"type": "input_text", "text": "Look around."}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "content": None, "encrypted_content": "gAAAAforeign"},
            {"type": "function_call", "name": "shell", "arguments": '{"city":"ls"}', "call_id": "call_1"},
            {
                "type": "custom_tool_call",
                "status": "completed",
                "call_id": "call_2",
                "name": "apply_patch",
                "input": "*** Begin Patch\n*** End Patch",
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "a.txt"},
            {"type": "custom_tool_call_output", "call_id": "call_2", "output": "done"},
        ],
        "tools": [
            function,
            {"type": "namespace", "name": "mcp__files", "description": "Files.", "tools": [function | {"name": "list"}]},
            {"type": "web_search", "external_web_access": False},
            {
                "type": "custom",
                "name": "apply_patch",
                "description": "Patch.",
                "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
            },
            {"type": "tool_search", "execution": "client", "description": "Find tools.", "parameters": PLAIN},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "019aa6d1",
        "client_metadata": {"x-codex-installation-id": "0c"},
        **more,
    }


@pytest.mark.parametrize("kind", ["plain", "thinks"])
@pytest.mark.parametrize("api", [api for api in DIALECTS if api != "openai_responses"])
async def test_all_that_codex_sends_is_understood_abroad(tmp_path, api, kind):
    """Namespaces, free-form and hosted tools, reasoning of another provider with a null content, ids on user items."""
    async with strict(tmp_path) as gw:
        got = await send(gw, "/v1/responses", codex(f"{api}-{kind}"))
        assert got.status == 200, got.body
        assert events(got.body)[-1]["type"] == "response.completed", got.body
        assert "The tools said: a.txt | done" in told("openai_responses", got.body)


@pytest.mark.parametrize("api", [api for api in DIALECTS if api != "openai_responses"])
async def test_tools_in_an_input_item_can_be_called(tmp_path, api):
    """The newest models get their tools as an `additional_tools` item."""
    tool = {"type": "function", "name": "shell", "description": "Run.", "strict": False, "parameters": PLAIN}
    items = [
        {"type": "additional_tools", "role": "developer", "tools": [tool]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "[[call]] go"}]},
    ]
    async with strict(tmp_path) as gw:
        got = await send(gw, "/v1/responses", {"model": f"{api}-plain", "input": items, "store": False})
        assert got.status == 200, got.body
        assert [item["name"] for item in got.json["output"] if item["type"] == "function_call"] == ["shell"]


def gemini_cli(text: str, **more: object) -> dict:
    """As Gemini CLI asks in the middle of a task that another model began."""
    signed = {"thoughtSignature": "skip_thought_signature_validator"}
    calls = [
        {"functionCall": {"name": name, "args": {"city": "x"}, "id": f"{name}_1763720000000_0"}} | extra
        for name, extra in (("read_file", signed), ("glob", {}))
    ]
    results = [
        {"functionResponse": {"id": f"{name}_1763720000000_0", "name": name, "response": {"output": f"{name} said"}}}
        for name in ("read_file", "glob")
    ]
    declared = [{"name": name, "description": "A tool.", "parametersJsonSchema": SCHEMA} for name in ("read_file", "glob")]
    return {
        "contents": [
            {"role": "user", "parts": [{"text": text}]},
            {"role": "model", "parts": calls},
            {"role": "user", "parts": results},
        ],
        "systemInstruction": {"role": "user", "parts": [{"text": "You are a coding agent."}]},
        "tools": [{"functionDeclarations": declared}],
        "generationConfig": {
            "temperature": 1,
            "topP": 0.95,
            "topK": 64,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 8192},
        },
        **more,
    }


@pytest.mark.parametrize("kind", ["plain", "thinks"])
@pytest.mark.parametrize("api", [api for api in DIALECTS if api != "gemini"])
async def test_all_that_gemini_cli_sends_is_understood_abroad(tmp_path, api, kind):
    """temperature, topP and topK always; its own call ids; the sentinel that stands for a signature."""
    async with strict(tmp_path) as gw:
        got = await send(gw, path_of("gemini", f"{api}-{kind}", stream=True), gemini_cli("Go"))
        assert got.status == 200, got.body
        assert "read_file said" in told("gemini", got.body)
        assert b"skip_thought_signature_validator" not in gw.upstream.requests[-1].body


@pytest.mark.parametrize("api", DIALECTS)
async def test_the_routing_verdict_of_gemini_cli_is_json(tmp_path, api):
    """Without -m it first asks a small model for a verdict in JSON."""
    schema = {
        "type": "OBJECT",
        "properties": {"reasoning": {"type": "STRING"}, "model_choice": {"type": "STRING", "enum": ["flash", "pro"]}},
        "required": ["reasoning", "model_choice"],
    }
    config = {
        "temperature": 0,
        "topP": 1,
        "maxOutputTokens": 1024,
        "responseMimeType": "application/json",
        "responseJsonSchema": json.loads(json.dumps(schema).replace("OBJECT", "object").replace("STRING", "string")),
    }
    async with strict(tmp_path) as gw:
        got = await send(
            gw,
            path_of("gemini", f"{api}-plain"),
            {"contents": [{"role": "user", "parts": [{"text": "Which?"}]}], "generationConfig": config},
        )
        assert got.status == 200, got.body
        (part,) = [part for part in got.json["candidates"][0]["content"]["parts"] if part.get("text")]
        assert json.loads(part["text"])["model_choice"] == "flash"


async def test_google_paths_work_under_both_versions(tmp_path):
    """google-genai 3 says /v1, 2 and Gemini CLI say /v1beta, for answers and for embeddings."""
    one = {"requests": [{"model": "models/embed", "content": {"parts": [{"text": "x"}]}}]}
    async with (
        upstream() as up,
        gateway(providers(up.port) + "  embed: {targets: [google/gemini-embedding-001]}\n", tmp_path) as gw,
    ):
        up.answers = [[answer(b'{"embeddings": [{"values": [0.1]}]}')]]
        for version in ("v1", "v1beta"):
            got = await call(
                gw.port,
                f"/{version}/models/embed:batchEmbedContents",
                json.dumps(one).encode(),
                headers=f"x-goog-api-key: {KEY}\r\n",
            )
            assert got.status == 200, got.body
            assert b"gemini-embedding-001:batchEmbedContents" in up.head()


@pytest.mark.parametrize("api", DIALECTS)
async def test_two_user_agents_are_no_reason_to_refuse(tmp_path, api):
    """pydantic-ai's Google client sends two."""
    async with strict(tmp_path) as gw:
        got = await send(
            gw,
            path_of("gemini", f"{api}-plain"),
            {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
            headers="user-agent: pydantic-ai/2.62\r\nuser-agent: google-genai-sdk/3.4\r\n",
        )
        assert got.status == 200, got.body


def chat_chunk(delta: dict, finish: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    document = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"


def piece(index: int, arguments: str, **start: object) -> dict:
    name = {"name": start.pop("name")} if start else {}
    return {"index": index, **start, "function": {**name, "arguments": arguments}}


USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
INTERLEAVED = (
    chat_chunk(
        {
            "role": "assistant",
            "tool_calls": [
                piece(0, "", id="call_a", type="function", name="f"),
                piece(1, "", id="call_b", type="function", name="g"),
            ],
        }
    ),
    chat_chunk({"tool_calls": [piece(0, '{"city":')]}),
    chat_chunk({"tool_calls": [piece(1, '{"city":"R')]}),
    chat_chunk({"tool_calls": [piece(0, '"Paris"}'), piece(1, 'ome"}')]}),
    chat_chunk({}, "tool_calls", usage=USAGE),  # some hosts: usage beside a choice
    b"data: [DONE]\n\n",
)


async def streamed(up, gw, client: str, chunks: tuple[bytes, ...], model: str = "to-openai_chat") -> bytes:
    up.answers = [[stream_head(), *(chunk(one) for one in chunks), END]]
    got = await ask(gw, client, model, stream=True)
    assert got.status == 200, got.body
    assert not got.broken
    return got.body


@pytest.mark.parametrize("client", ["openai_responses", "anthropic", "gemini"])
async def test_interleaved_and_parallel_calls_come_one_after_another(tmp_path, client):
    """Two calls in one chunk, their arguments in turns: openai-python's `.stream()` and LangChain break on such; none gets lost."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        found = events(await streamed(up, gw, client, INTERLEAVED))
    calls: list[list[str]] = []
    for event in found:
        match client:
            case "gemini":
                for part in event.get("candidates", [{}])[0].get("content", {}).get("parts", []):
                    if "functionCall" in part:
                        calls.append(
                            [part["functionCall"]["name"], json.dumps(part["functionCall"]["args"], separators=(",", ":"))]
                        )
            case "anthropic" if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
                calls.append([event["content_block"]["name"], "", str(event["index"])])
            case "anthropic" if event["type"] == "content_block_delta":
                assert str(event["index"]) == calls[-1][2]
                calls[-1][1] += event["delta"]["partial_json"]
            case "openai_responses" if event["type"] == "response.output_item.added" and event["item"]["type"] == "function_call":
                calls.append([event["item"]["name"], "", event["item"]["id"]])
            case "openai_responses" if event["type"] == "response.function_call_arguments.delta":
                assert event["item_id"] == calls[-1][2]
                calls[-1][1] += event["delta"]
            case _:
                pass
    assert [call[:2] for call in calls] == [["f", '{"city":"Paris"}'], ["g", '{"city":"Rome"}']]


async def test_gemini_calls_in_one_chunk_all_reach_a_chat_client_in_order(tmp_path):
    """Gateways that take the first of several lose the rest."""
    parts = [{"functionCall": {"name": name, "args": {"city": name}}} for name in ("f", "g", "h")]
    document = {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "modelVersion": "m",
    }
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        found = events(
            await streamed(up, gw, "openai_chat", (b"data: " + json.dumps(document).encode() + b"\r\n\r\n",), "to-gemini")
        )
    names, order = [], []
    for event in found:
        for call_ in (event["choices"][0]["delta"].get("tool_calls") or []) if event["choices"] else []:
            order.append(call_["index"])
            names += [call_["function"]["name"]] if call_["function"].get("name") else []
    assert names == ["f", "g", "h"]
    assert order == sorted(order)


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_raw_line_separator_cuts_no_stream(tmp_path, client):
    """U+2028 in JSON is no line end to us; translated streams do not hand it on raw either."""
    text = "before\u2028after\u2029end"
    chunks = (chat_chunk({"role": "assistant", "content": text}), chat_chunk({}, "stop"), b"data: [DONE]\n\n")
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        wire = await streamed(up, gw, client, chunks)
    assert told(client, wire) == text
    assert client == "openai_chat" or "\u2028" not in wire.decode()


@pytest.mark.parametrize("api", [api for api in DIALECTS if api != "openai_responses"])
async def test_every_event_of_a_responses_stream_is_named(tmp_path, api):
    """SDKs dispatch on the `event:` line, which is the same word as the type."""
    async with strict(tmp_path) as gw:
        got = await ask(gw, "openai_responses", f"{api}-plain", stream=True)
        blocks = [block.split("\n") for block in got.body.decode().strip().split("\n\n")]
        assert len(blocks) > 5
        for named, data in blocks:
            assert named == f"event: {json.loads(data.removeprefix('data: '))['type']}"


async def test_a_usage_chunk_has_no_choices(tmp_path):
    """Clients index `choices[0]` of chunks that have usage, or ignore usage where choices stand."""
    async with strict(tmp_path) as gw:
        for api in DIALECTS:
            got = await ask(gw, "openai_chat", f"{api}-plain", stream=True, stream_options={"include_usage": True})
            counted = [event for event in events(got.body) if event.get("usage")]
            assert [event["choices"] for event in counted] == [[]], api


STOPS = {
    "openai_chat": ("stop", ["END"]),
    "anthropic": ("stop_sequences", ["END"]),
    "gemini": ("generationConfig", {"stopSequences": ["END"]}),
}
WIRE_STOPS = {"openai_chat": ["stop"], "anthropic": ["stop_sequences"], "gemini": ["generationConfig", "stopSequences"]}


@pytest.mark.parametrize("api", STOPS)
@pytest.mark.parametrize("client", STOPS)
async def test_stop_sequences_reach_every_upstream_that_has_them(tmp_path, client, api):
    """Under each dialect's own name."""
    key, value = STOPS[client]
    async with strict(tmp_path) as gw:
        got = await ask(gw, client, f"{api}-plain", **{key: value})
        assert got.status == 200, got.body
        found = gw.upstream.requests[-1].json
        for step in WIRE_STOPS[api]:
            found = found[step]
        assert found == ["END"]


CHOICES = {
    "openai_chat": {
        "tools": [{"type": "function", "function": {"name": n, "parameters": PLAIN}} for n in "fg"],
        "tool_choice": {"type": "function", "function": {"name": "g"}},
    },
    "openai_responses": {
        "tools": [{"type": "function", "name": n, "parameters": PLAIN, "strict": False} for n in "fg"],
        "tool_choice": {"type": "function", "name": "g"},
    },
    "anthropic": {"tools": [{"name": n, "input_schema": PLAIN} for n in "fg"], "tool_choice": {"type": "tool", "name": "g"}},
    "gemini": {
        "tools": [{"functionDeclarations": [{"name": n, "parametersJsonSchema": PLAIN} for n in "fg"]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}},
    },
}


@pytest.mark.parametrize("api", DIALECTS)
@pytest.mark.parametrize("client", DIALECTS)
async def test_a_named_tool_is_the_one_that_is_called(tmp_path, client, api):
    """Forced by name in every dialect."""
    async with strict(tmp_path) as gw:
        got = await ask(gw, client, f"{api}-plain", **CHOICES[client])
        assert got.status == 200, got.body
        assert '"g"' in json.dumps(got.json)
        assert '"f"' not in json.dumps({key: value for key, value in got.json.items() if key != "tools"})


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_refusal_is_a_refusal_and_a_filter_a_filter(tmp_path, client):
    """Never an end like any other, and never `max_tokens`."""
    refused = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "No."}],
        "stop_sequence": None,
    }
    refused |= {"stop_reason": "refusal", "usage": {"input_tokens": 1, "output_tokens": 1}}
    filtered = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": "So"}]}, "finishReason": "SAFETY", "index": 0}],
        "modelVersion": "m",
    }
    ends = {
        "openai_chat": lambda body: body["choices"][0]["finish_reason"],
        "openai_responses": lambda body: (
            (body["incomplete_details"] or {}).get("reason")
            or [p["type"] for item in body["output"] for p in item["content"]][-1]
        ),
        "anthropic": lambda body: body["stop_reason"],
        "gemini": lambda body: body["candidates"][0]["finishReason"],
    }
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        for document, model in ((refused, "to-anthropic"), (filtered, "to-gemini")):
            up.answers = [[answer(json.dumps(document).encode())]]
            got = await ask(gw, client, model)
            assert got.status == 200, got.body
            assert ends[client](got.json) in {"content_filter", "refusal", "SAFETY", "PROHIBITED_CONTENT"}, got.json


async def test_errors_are_google_shaped_for_google_clients(tmp_path):
    """code, message, status and details with the wait that Google's SDKs read."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [
            [
                answer(
                    b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}',
                    status=429,
                    headers="retry-after: 7\r\n",
                )
            ]
        ]
        got = await ask(gw, "gemini", "to-anthropic")
        assert (got.status, got.headers["retry-after"]) == (429, "7")
        assert message_of("gemini", got.json) == "slow down"
        assert got.json["error"]["status"] == "RESOURCE_EXHAUSTED"
        assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"} in got.json["error"]["details"]


LONG = "toolu_" + "x" * 58 + ".and:more"


@pytest.mark.parametrize("api", DIALECTS)
async def test_ids_that_a_provider_would_refuse_are_made_fit(tmp_path, api):
    """Anthropic wants ^[a-zA-Z0-9_-]{1,64}$, OpenAI 40 or 64 characters; calls and results still pair."""
    calls = [{"id": f"{LONG}{i}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in range(2)]
    results = [{"role": "tool", "tool_call_id": f"{LONG}{i}", "content": f"r{i}"} for i in (1, 0)]
    turns = [{"role": "user", "content": "Go"}, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    tools = [{"type": "function", "function": {"name": "f", "parameters": PLAIN}}]
    body = {"model": f"{api}-plain", "messages": turns, "tools": tools}
    if api == "openai_chat":  # at home ids are the client's own business: come by another dialect
        path = "/v1/messages"
        uses = [{"type": "tool_use", "id": f"call_{'x' * 50}{i}", "name": "f", "input": {}} for i in range(2)]
        given = [{"type": "tool_result", "tool_use_id": f"call_{'x' * 50}{i}", "content": f"r{i}"} for i in (1, 0)]
        messages = [{"role": "user", "content": "Go"}, {"role": "assistant", "content": uses}, {"role": "user", "content": given}]
        body = {
            "model": "openai_chat-plain",
            "max_tokens": 99,
            "messages": messages,
            "tools": [{"name": "f", "input_schema": PLAIN}],
        }
    else:
        path = "/v1/chat/completions"
    async with strict(tmp_path) as gw:
        got = await send(gw, path, body)
        assert got.status == 200, got.body
        assert "r0" in json.dumps(got.json)
        assert "r1" in json.dumps(got.json)
