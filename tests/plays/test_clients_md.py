"""What real clients were seen to send and to need (November 2026), statement by statement, where no SDK or agent test shows it.

One rule: requests here have the shape that the named client puts on the wire; the strict upstream judges what becomes of them.
"""

import json

import pytest

from tests.plays.client_requests import CLAUDE_HEADERS, PLAIN, claude_code, codex, gemini_cli, told
from tests.plays.scene import DIALECTS, ask, events, path_of, providers, send, strict
from tests.serving import KEY, answer, call, gateway, upstream


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
    """`HEAD /api/hello` is a 404, and nobody upstream is asked; then it goes on."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        raw = f"HEAD /api/hello HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\nconnection: close\r\n\r\n"
        got = await call(gw.port, "/api/hello", b"", raw=raw.encode())
        assert got.status == 404
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
