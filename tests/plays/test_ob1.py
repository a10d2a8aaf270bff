"""OB-1 in both clients' dialects, whole and streamed: what other gateways before it are known to break."""

import asyncio
import json
from contextlib import asynccontextmanager

from tests.plays.accounts_desk import AS_ANTHROPIC, config, log_in, stage
from tests.serving import KEY, call, gateway

AS_OPENAI = f"authorization: Bearer {KEY}\r\n"


def chunk(delta: dict, *, finish=None, usage=None, index=0) -> str:
    document = {
        "id": "gen-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "anthropic/claude-sonnet-4.5",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
    }
    if usage is not None:
        document["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return f"data: {json.dumps(document)}\n\n"


def call_of(index: int, **fields) -> dict:
    return {"tool_calls": [{"index": index, **fields}]}


DONE = "data: [DONE]\n\n"
COMMENT = ": OPENROUTER PROCESSING\n\n"


@asynccontextmanager
async def desk(tmp_path):
    async with stage() as (workos, ob1):
        await log_in(tmp_path, workos, ob1)
        async with gateway(config(workos, ob1), tmp_path) as gw:
            yield ob1, gw.port


async def chat(port, **fields):
    body = {"model": "ob1/anthropic/claude-sonnet-4.5", "messages": [{"role": "user", "content": "ping"}], **fields}
    return await call(port, "/v1/chat/completions", json.dumps(body).encode(), headers=AS_OPENAI)


async def messages(port, **fields):
    body = {
        "model": "ob1/anthropic/claude-sonnet-4.5",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "ping"}],
        **fields,
    }
    return await call(port, "/v1/messages", json.dumps(body).encode(), headers=AS_ANTHROPIC)


def events(answer) -> list[dict]:
    return [json.loads(line[6:]) for line in answer.body.decode().split("\n") if line.startswith("data: ")]


async def test_everything_that_a_chat_client_says_reaches_the_api(tmp_path):
    """Tool calls of earlier turns, `content: null`, and whatever no gateway has a word for."""
    async with desk(tmp_path) as (ob1, port):
        said = {
            "messages": [
                {"role": "user", "content": "weather?", "name": "ann"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            ],
            "stop": ["x"],
            "response_format": {"type": "json_object"},
            "seed": 7,
            "parallel_tool_calls": False,
            "provider": {"order": ["anthropic"]},
        }
        answer = await chat(port, **said)
        assert answer.status == 200, answer.body
        method, path, headers, body = ob1.seen[-1]
        assert (method, path, headers["authorization"]) == ("POST", "/api/v1/chat/completions", "Bearer at-ann-1:org_7")
        assert json.loads(body) == {"model": "anthropic/claude-sonnet-4.5", **said}


async def test_a_stream_passes_event_by_event(tmp_path):
    """Comments and events stay what they are, and none is doubled; usage is asked for, and told only to who asked."""
    async with desk(tmp_path) as (ob1, port):
        ob1.stream = (
            COMMENT,
            chunk({"role": "assistant", "content": "po"}),
            COMMENT,
            chunk({"content": "ng"}, finish="stop", usage=(3, 2)),
            DONE,
        )
        answer = await chat(port, stream=True)
        assert json.loads(ob1.seen[-1][3])["stream_options"] == {"include_usage": True}
        assert answer.status == 200
        assert [c["choices"][0]["delta"].get("content") for c in events_but_done(answer)] == ["po", "ng"]
        assert answer.body.decode().endswith(DONE)
        assert answer.body.decode().count("data: ") == 3


def events_but_done(answer) -> list[dict]:
    lines = [line[6:] for line in answer.body.decode().split("\n") if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


async def test_an_anthropic_client_gets_one_block_at_a_time_and_both_counts(tmp_path):
    """Text, a call, text again, two calls at once; cumulative usage on every chunk is not added up."""
    async with desk(tmp_path) as (ob1, port):
        ob1.stream = (
            chunk({"role": "assistant", "content": "a"}, usage=(9, 1)),
            chunk(call_of(0, id="c0", type="function", function={"name": "f", "arguments": ""}), usage=(9, 2)),
            chunk(call_of(0, function={"arguments": "{}"}), usage=(9, 3)),
            chunk({"content": "b"}, usage=(9, 4)),
            chunk(call_of(1, id="c1", type="function", function={"name": "g", "arguments": "{"}), usage=(9, 5)),
            chunk(call_of(2, id="c2", type="function", function={"name": "h", "arguments": "{}"}), usage=(9, 6)),
            chunk(call_of(1, function={"arguments": "}"}), usage=(9, 7)),
            chunk({}, finish="tool_calls", usage=(9, 8)),
            DONE,
        )
        tools = [{"name": name, "input_schema": {"type": "object"}} for name in "fgh"]
        told = events(await messages(port, stream=True, tools=tools))
        opened, order = None, []
        for event in told:
            match event["type"]:
                case "content_block_start":
                    assert opened is None
                    opened = event["index"]
                    order.append(event["content_block"].get("name") or event["content_block"]["type"])
                case "content_block_delta":
                    assert event["index"] == opened
                case "content_block_stop":
                    assert event["index"] == opened
                    opened = None
        assert order == ["text", "f", "text", "g", "h"]
        assert [event["index"] for event in told if event["type"] == "content_block_start"] == [0, 1, 2, 3, 4]
        (delta,) = [event for event in told if event["type"] == "message_delta"]
        assert delta["delta"]["stop_reason"] == "tool_use"
        assert (delta["usage"]["input_tokens"], delta["usage"]["output_tokens"]) == (9, 8)
        assert told[-1]["type"] == "message_stop"


async def test_an_error_in_the_middle_of_a_stream_is_no_success(tmp_path):
    """The client hears of it in its own words, and of no end."""
    async with desk(tmp_path) as (ob1, port):
        ob1.stream = (
            chunk({"role": "assistant", "content": "po"}),
            f"data: {json.dumps({'error': {'code': 502, 'message': 'the model fell over'}, 'choices': []})}\n\n",
        )
        told = events(await messages(port, stream=True))
        assert told[-1]["type"] == "error"
        assert "the model fell over" in told[-1]["error"]["message"]
        assert not any(event["type"] in ("message_stop", "message_delta") for event in told)


async def test_images_and_failed_tools_of_an_anthropic_client_are_not_dropped(tmp_path):
    """What cannot be said is told as a loss."""
    async with desk(tmp_path) as (ob1, port):
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
        answer = await messages(
            port,
            messages=[
                {"role": "user", "content": [image, {"type": "text", "text": "what?"}]},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": "no"}]},
            ],
            tools=[{"name": "f", "input_schema": {"type": "object"}}],
            stop_sequences=["END"],
        )
        assert answer.status == 200, answer.body
        sent = json.loads(ob1.seen[-1][3])
        assert "image_url" in json.dumps(sent["messages"][0])
        assert sent["stop"] == ["END"]
        assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "tool"]
        assert "is_error" in answer.headers["x-gatewright-loss"] or "error" in sent["messages"][2]["content"].lower()


async def test_connections_are_used_again(tmp_path):
    """A handshake for every call would be most of its time."""
    async with desk(tmp_path) as (ob1, port):
        before = ob1.connections
        for _ in range(5):
            assert (await chat(port)).status == 200
        assert ob1.connections == before + 1


async def test_names_of_claude_clients_lead_to_what_the_account_can_use(tmp_path):
    """The account's own list of models, asked for with its token: the newest of the family, where the name itself is not there."""
    async with stage() as (workos, ob1):
        await log_in(tmp_path, workos, ob1)
        yaml = config(workos, ob1) + '\nmodels: {"claude-*": {ladder: {provider: ob1}}}\n'
        async with gateway(yaml, tmp_path) as gw:
            for asked, served in (
                ("claude-sonnet-4.5", "anthropic/claude-sonnet-4.5"),
                ("claude-3-7-sonnet-20250219", "anthropic/claude-sonnet-4.6"),
                ("claude-opus-4-20250514", "anthropic/claude-opus-4.6"),
            ):
                async with asyncio.timeout(10):
                    while True:
                        answer = await messages(gw.port, model=asked)
                        assert answer.status == 200, answer.body
                        sent = json.loads(ob1.seen[-1][3])["model"] if ob1.seen[-1][3] else ""
                        if sent == served:
                            break
                        await asyncio.sleep(0.05)  # the list has not come yet: nobody waits for it
            listed = await call(gw.port, "/v1/models", b"", method="GET", headers=AS_OPENAI)
        assert {"ob1/openai/gpt-5", "ob1/anthropic/claude-opus-4.6"} <= {row["id"] for row in json.loads(listed.body)["data"]}
        (asked_with,) = {headers["authorization"] for _, path, headers, _ in ob1.seen if path == "/api/v1/models"}
        assert asked_with == "Bearer at-ann-1:org_7"
