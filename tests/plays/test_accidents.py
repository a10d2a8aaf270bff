"""Accidents of the wire that have broken gateways: each is a promise here, for every pair of dialects it can meet."""

import gzip
import json

import pytest

from tests.plays.scene import DIALECTS, ask, asking, events, frames, only_tally, path_of, providers, send, served, whole
from tests.serving import END, answer, call, chunk, gateway, stream_head, upstream

NASTY = 'data: not an event\n\ndata: [DONE] event: message_stop {"type":"message_stop"} \u2028 \x85 Grüße 👩‍👩‍👧 \\u0000 "finish_reason":"stop" "error"'


def text_of(client: str, wire: bytes) -> str:
    """What a client reads out of a stream."""
    told = events(wire)
    match client:
        case "openai_chat":
            return "".join(c["delta"].get("content") or "" for e in told for c in e.get("choices", ()))
        case "openai_responses":
            return "".join(e["delta"] for e in told if e["type"] == "response.output_text.delta")
        case "anthropic":
            return "".join(
                e["delta"]["text"] for e in told if e["type"] == "content_block_delta" and e["delta"]["type"] == "text_delta"
            )
        case _:
            return "".join(
                p.get("text", "") for e in told for c in e.get("candidates", ()) for p in c.get("content", {}).get("parts", ())
            )


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("size", [1, 7, 100_000])
async def test_text_survives_any_cut_and_any_content(tmp_path, dialect, client, size):
    """Pieces end anywhere, within a character, a line, an event; text may look like framing, ends and errors."""
    wire = b"".join(frames(dialect, NASTY))
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), *(chunk(wire[i : i + size]) for i in range(0, len(wire), size)), END]]
        got = await ask(gw, client, f"to-{dialect}", stream=True)
        assert (got.status, got.broken) == (200, False)
        assert text_of(client, got.body) == NASTY
        tally = only_tally(gw)
        assert (tally.errors, tally.output_tokens) == (0, 5)


def crlf(wire: bytes) -> bytes:
    return wire.replace(b"\n", b"\r\n")


SPELLINGS = {
    "crlf": crlf,
    "no space after data:": lambda wire: wire.replace(b"data: ", b"data:"),
    "comments between": lambda wire: b": hello\n\n" + wire.replace(b"\n\n", b"\n\n: PROCESSING\n\n"),
    "ids and retries": lambda wire: b"retry: 10\n\n" + wire.replace(b"data: ", b"id: 7\ndata: "),
    "bom": lambda wire: b"\xef\xbb\xbf" + wire,
    "no blank line at the end": lambda wire: wire.rstrip(b"\n") + b"\n",
    "no event names": lambda wire: b"".join(line for line in wire.splitlines(keepends=True) if not line.startswith(b"event:")),
    "data in several lines": lambda wire: wire.replace(b'data: {"', b'data: {\ndata: "'),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_spelling_of_a_stream_is_read(tmp_path, dialect, spelling):
    """What the specification allows and what hosts do: translated it says the same; passed on, an SDK's reader gets the same."""
    wire = SPELLINGS[spelling](b"".join(frames(dialect)))
    for client in DIALECTS:
        async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
            up.answers = [[stream_head(), *(chunk(wire[i : i + 40]) for i in range(0, len(wire), 40)), END]]
            more = {"stream_options": {"include_usage": True}} if client == "openai_chat" else {}
            got = await ask(gw, client, f"to-{dialect}", stream=True, **more)
            assert text_of(client, got.body.removeprefix(b"\xef\xbb\xbf")) == "hello", (client, got.body)
            assert only_tally(gw).errors == 0, client
            assert only_tally(gw).output_tokens == 5, client
            if client == dialect:
                assert got.body == wire


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_compressed_answer_is_unpacked(tmp_path, client):
    """Some hosts compress whatever is asked of them: its head must not say so of bytes that are not."""
    body = gzip.compress(json.dumps(whole("anthropic")).encode())
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[answer(body, headers="content-encoding: gzip\r\n")]]
        got = await ask(gw, client, "to-anthropic")
        assert got.status == 200
        assert "content-encoding" not in got.headers
        assert "hello" in json.dumps(got.json)


@pytest.mark.parametrize("client", DIALECTS)
async def test_a_large_prompt_with_its_model_last_is_read(tmp_path, client):
    """The model is found wherever it stands, however long the rest is; the alias never reaches the provider."""
    text = "x" * 300_000 + ' "model": "other", "stream": true, "stream_options": {"include_usage": false} '
    async with upstream() as up, gateway(providers(up.port) + "aliases: {nick: to-openai_chat}\n", tmp_path) as gw:
        up.answers = [served("openai_chat", stream=True)]
        body = asking(client, "nick", text, stream=True)
        model = body.pop("model", None)
        got = await send(gw, path_of(client, "nick", stream=True), body | ({"model": model} if model else {}))
        assert text_of(client, got.body) == "hello"
        sent = json.loads(up.body())
        assert (sent["model"], sent["stream"], sent["stream_options"]["include_usage"]) == ("m", True, True)
        assert text in json.dumps(sent["messages"]).encode().decode("unicode_escape")


def call_chunks() -> bytes:
    """Chat: words, two calls whose pieces interleave, then words again."""
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def delta(**fields) -> bytes:
        return (
            b"data: " + json.dumps({**base, "choices": [{"index": 0, "delta": fields, "finish_reason": None}]}).encode() + b"\n\n"
        )

    def piece(index: int, arguments: str, name: str | None = None) -> bytes:
        named = {"id": f"call_{index}", "type": "function"} if name else {}
        return delta(
            tool_calls=[{"index": index, **named, "function": {**({"name": name} if name else {}), "arguments": arguments}}]
        )

    end = json.dumps({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}).encode()
    return (
        delta(role="assistant", content="before ")
        + piece(0, "", "one") + piece(1, "", "two") + piece(0, '{"a"') + piece(1, '{"b"') + piece(0, ": 1}") + piece(1, ": 2}")
        + delta(content="after") + b"data: " + end + b"\n\ndata: [DONE]\n\n"
    )  # fmt: skip


async def test_blocks_of_messages_are_open_one_at_a_time(tmp_path):
    """Text, calls that interleave, text again: each block is started, filled and stopped before the next; arguments stay apart."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), chunk(call_chunks()), END]]
        told = events((await ask(gw, "anthropic", "to-openai_chat", stream=True)).body)
        open_block, blocks = None, {}
        for event in told:
            if event["type"] == "content_block_start":
                assert open_block is None
                assert event["index"] == len(blocks)
                open_block = event["index"]
                blocks[open_block] = (event["content_block"].get("name", ""), "")
            elif event["type"] == "content_block_delta":
                assert event["index"] == open_block
                name, text = blocks[open_block]
                blocks[open_block] = (name, text + event["delta"].get("text", "") + event["delta"].get("partial_json", ""))
            elif event["type"] == "content_block_stop":
                assert event["index"] == open_block
                open_block = None
        assert open_block is None
        assert sorted(blocks.values()) == sorted([("", "before "), ("one", '{"a": 1}'), ("two", '{"b": 2}'), ("", "after")])
        assert told[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize("client", [d for d in DIALECTS if d != "gemini"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_calls_without_ids_never_share_one(tmp_path, client, stream):
    """Gemini gives calls no ids: two in one answer, and those of the next turn, all get their own."""
    parts = [{"functionCall": {"name": "look", "args": {"q": i}}} for i in range(2)]
    document = {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}]}
    wire = b"data: " + json.dumps(document).encode() + b"\n\n"
    tool = {
        "openai_chat": {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}},
        "openai_responses": {
            "type": "function",
            "name": "look",
            "parameters": {"type": "object", "properties": {}},
            "strict": False,
        },
        "anthropic": {"name": "look", "input_schema": {"type": "object", "properties": {}}},
    }[client]
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[stream_head(), chunk(wire), END]] if stream else [[answer(json.dumps(document).encode())]]
        ids = []
        for _ in range(2):
            got = await ask(gw, client, "to-gemini", stream=stream, tools=[tool])
            for event in events(got.body) if stream else [got.json]:
                match client:
                    case "openai_chat":
                        for choice in event["choices"]:
                            calls = (choice.get("delta") or choice.get("message") or {}).get("tool_calls") or []
                            ids += [c["id"] for c in calls if c.get("id")]
                    case "openai_responses":
                        items = [event["item"]] if event.get("type") == "response.output_item.done" else event.get("output", [])
                        ids += [item["call_id"] for item in items if item["type"] == "function_call"]
                    case _:
                        content = [event["content_block"]] if event["type"] == "content_block_start" else event.get("content", [])
                        ids += [b["id"] for b in content if b["type"] == "tool_use"]
        assert len(ids) == 4
        assert len(set(ids)) == 4


FILTERED = {
    "openai_chat": (
        {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Here"}, "finish_reason": "content_filter"}]},
        "content_filter",
    ),
    "openai_responses": ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
    "anthropic": ({"stop_reason": "refusal"}, "refusal"),
    "gemini": (
        {"candidates": [{"content": {"role": "model", "parts": [{"text": "Here"}]}, "finishReason": "SAFETY", "index": 0}]},
        "SAFETY",
    ),
}


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_filtered_answer_never_looks_finished(tmp_path, dialect, client):
    """What was withheld for its content says so in the client's own word, never as an ordinary end or a limit of length."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[answer(json.dumps(whole(dialect, **FILTERED[dialect][0])).encode())]]
        got = (await ask(gw, client, f"to-{dialect}")).json
        match client:
            case "openai_chat":
                choice = got["choices"][0]
                assert choice["finish_reason"] == "content_filter" or choice["message"].get("refusal"), got
            case "openai_responses":
                parts = [p["type"] for i in got["output"] if i["type"] == "message" for p in i["content"]]
                reason = (got["incomplete_details"] or {}).get("reason")
                assert reason == "content_filter" or "refusal" in parts, got
            case "anthropic":
                assert got["stop_reason"] == "refusal", got
            case _:
                assert got["candidates"][0]["finishReason"] in (
                    "SAFETY",
                    "PROHIBITED_CONTENT",
                    "RECITATION",
                    "BLOCKLIST",
                    "SPII",
                ), got
        assert only_tally(gw).errors == 0


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_plain_strings_are_content_everywhere(tmp_path, dialect, client):
    """History may hold strings where it may hold blocks, and needs no limit of tokens where the client's API asks for none."""
    turns = {
        "openai_chat": {
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ]
        },
        "openai_responses": {
            "instructions": "s",
            "input": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
        },
        "anthropic": {
            "system": "s",
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": "c"},
            ],
            "max_tokens": 5,
        },
        "gemini": {
            "systemInstruction": {"parts": [{"text": "s"}]},
            "contents": [{"role": r, "parts": [{"text": t}]} for r, t in (("user", "a"), ("model", "b"), ("user", "c"))],
        },
    }[client]
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [served(dialect)]
        got = await send(
            gw, path_of(client, f"to-{dialect}"), {"model": f"to-{dialect}", **turns} if client != "gemini" else turns
        )
        assert got.status == 200, got.body
        sent = up.body().decode()
        assert [sent.count(f'"{word}"') for word in "sabc"] == [1, 1, 1, 1]
        assert "null" not in sent, "an absent field is absent"


@pytest.mark.parametrize("model", ["to-openai_chat", "to-gemini"])
async def test_an_unknown_action_never_runs_a_generation(tmp_path, model):
    """A typo after the colon is not a model call: a 404 in Google's shape, or the provider's own answer to just that."""
    async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
        up.answers = [[answer(b'{"error": {"code": 404, "message": "no such method", "status": "NOT_FOUND"}}', status=404)]]
        got = await send(gw, f"/v1beta/models/{model}:generateContents", {"contents": []})
        assert (got.status, got.json["error"]["status"]) == (404, "NOT_FOUND")
        assert all(b":generateContents" in request for request in up.requests)
        assert only_tally(gw).output_tokens == 0


async def test_the_array_form_of_gemini_streams_from_any_provider(tmp_path):
    """`streamGenerateContent` without `alt=sse` is one JSON array of the same chunks, from everybody."""
    for dialect in DIALECTS:
        async with upstream() as up, gateway(providers(up.port), tmp_path) as gw:
            steps = served(dialect, stream=True)
            if dialect == "gemini":
                document = b"[" + json.dumps(whole("gemini")).encode() + b"\n]"
                steps = [answer(document)]
            up.answers = [steps]
            got = await send(gw, f"/v1beta/models/to-{dialect}:streamGenerateContent", asking("gemini", ""))
            assert got.headers["content-type"].startswith("application/json")
            assert "hello" in json.dumps(got.json)
            assert isinstance(got.json, list)
            assert only_tally(gw).output_tokens == 5


@pytest.mark.parametrize(
    ("path", "asked", "who"),
    [("/v1/chat/completions", "away/m", "away/m"), ("/v1/embeddings", "away/e", "away/e"), ("/away/v1/files", None, "away")],
)
async def test_a_provider_that_cannot_be_reached_is_named(path, asked, who, tmp_path):
    """A host and a port say little to whoever configured a provider."""
    yaml = "providers: {away: {kind: openai, base_url: 'http://127.0.0.1:1/v1', api_key: sk-away}}\n"
    body = json.dumps({"model": asked, "input": "hi", "messages": [{"role": "user", "content": "hi"}]}).encode() if asked else b""
    async with gateway(yaml, tmp_path) as gw:
        got = await call(gw.port, path, body, method="POST" if asked else "GET")
        assert json.loads(got.body)["error"]["message"].startswith(f"{who}: 127.0.0.1:1: connection refused"), got.body


async def test_of_several_targets_each_is_named_once(tmp_path):
    """With its own failure."""
    yaml = "providers: {away: {kind: openai, base_url: 'http://127.0.0.1:1/v1', api_key: sk-away}}\n"
    yaml += "models: {both: {targets: [away/m], fallback: [away/n]}}\n"
    async with gateway(yaml, tmp_path) as gw:
        got = await ask(gw, "openai_chat", "both")
        message = json.loads(got.body)["error"]["message"]
        assert message.count("away/m") == message.count("away/n") == 1
        assert message.count("127.0.0.1:1: connection refused") == 2
