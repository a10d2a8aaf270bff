"""What real clients need of answers: calls one after another and all of them, whole lines, named events, honest ends."""

import json

import pytest

from tests.plays.client_requests import told
from tests.plays.scene import DIALECTS, ask, events, message_of, providers, strict
from tests.serving import END, answer, chunk, gateway, stream_head, upstream


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
