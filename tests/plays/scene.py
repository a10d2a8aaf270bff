"""What the plays have in common: a gateway in front of four providers, one per dialect, and how to talk to it.

One rule: the gateway is the real one on a real socket; the providers are scripted bytes, or the strict upstream that refuses what
real providers refuse.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

from gatewright.record.usage import Tally
from tests.sdk.gateway import PROVIDER
from tests.serving import END, KEY, Answer, answer, call, chunk, gateway, stream_head
from tests.upstreams.answers import KEYS
from tests.upstreams.models import MODELS
from tests.upstreams.server import Upstream as StrictUpstream

DIALECTS = ("openai_chat", "openai_responses", "anthropic", "gemini")
OTHER = "gw-other-key"
KEYS_YAML = f"{{name: other, key: {OTHER}}}"


def providers(port: int) -> str:
    """The four, each behind the same port; the path tells which is meant. Models `to-<dialect>` lead to each."""
    base = f"http://127.0.0.1:{port}"
    return f"""
providers:
  talk: {{kind: openai, base_url: "{base}/v1", dialects: [openai_chat], api_key: sk-chat}}
  native: {{kind: openai, base_url: "{base}/v1", dialects: [openai_responses], api_key: sk-native}}
  claude: {{kind: anthropic, base_url: "{base}", api_key: sk-ant}}
  google: {{kind: gemini, base_url: "{base}", api_key: AIza}}
models:
  to-openai_chat: {{targets: [talk/m]}}
  to-openai_responses: {{targets: [native/m]}}
  to-anthropic: {{targets: [claude/m]}}
  to-gemini: {{targets: [google/m]}}
"""


@asynccontextmanager
async def strict(tmp_path, *, keys: str = KEYS_YAML, more: str = "") -> AsyncIterator[SimpleNamespace]:
    """A gateway before the strict upstream, with models `<dialect>-plain` and `<dialect>-thinks`."""
    with StrictUpstream().running() as up:
        names = [
            f"  {api}-{kind}: {{targets: [{PROVIDER[api]}/{m}]}}" for api, kinds in MODELS.items() for kind, m in kinds.items()
        ]
        config = "\n".join(
            (
                "providers:",
                f"  chat-only: {{kind: openai, base_url: {up.url}/v1, dialects: [openai_chat], api_key: {KEYS['openai']}}}",
                f"  responses-only: {{kind: openai, base_url: {up.url}/v1, dialects: [openai_responses], api_key: {KEYS['openai']}}}",
                f"  claude: {{kind: anthropic, base_url: {up.url}, api_key: {KEYS['anthropic']}}}",
                f"  google: {{kind: gemini, base_url: {up.url}, api_key: {KEYS['gemini']}}}",
                "models:",
                *names,
                more,
            )
        )
        async with gateway(config, tmp_path, keys=keys) as gw:
            gw.upstream = up
            yield gw


PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/{model}:generateContent",
}


def path_of(dialect: str, model: str, *, stream: bool = False) -> str:
    path = PATHS[dialect].format(model=model)
    return path.replace(":generateContent", ":streamGenerateContent?alt=sse") if stream and dialect == "gemini" else path


def asking(dialect: str, model: str, text: str = "hi", *, stream: bool = False, **more: object) -> dict:
    """The least request of a dialect."""
    streaming = {"stream": True} if stream else {}
    match dialect:
        case "openai_chat":
            return {"model": model, "messages": [{"role": "user", "content": text}], **streaming, **more}
        case "openai_responses":
            return {"model": model, "input": text, **streaming, **more}
        case "anthropic":
            return {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": text}], **streaming, **more}
        case _:
            return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


async def ask(gw, dialect: str, model: str, text: str = "hi", *, stream: bool = False, key: str = KEY, **more: object) -> Answer:
    """One model call in a dialect."""
    return await send(gw, path_of(dialect, model, stream=stream), asking(dialect, model, text, stream=stream, **more), key=key)


async def send(gw, path: str, document: object = None, *, key: str = KEY, method: str = "POST", headers: str = "") -> Answer:
    """One request; `answer.json` is its document where it is one."""
    body = b"" if document is None else document if isinstance(document, bytes) else json.dumps(document).encode()
    got = await call(gw.port, path, body, method=method, headers=f"authorization: Bearer {key}\r\n{headers}")
    try:
        got.json = json.loads(got.body)
    except ValueError:
        got.json = None
    return got


async def get(gw, path: str, *, key: str = KEY, headers: str = "") -> Answer:
    return await send(gw, path, key=key, method="GET", headers=headers)


def events(wire: bytes) -> list[dict]:
    """The JSON events of an SSE body; `[DONE]` is left out."""
    found = []
    for block in wire.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = b"\n".join(line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:"))
        if data and data != b"[DONE]":
            found.append(json.loads(data))
    return found


def last_response(wire: bytes) -> dict:
    """The response object of a Responses stream's last event."""
    return events(wire)[-1]["response"]


def message_of(dialect: str, document: dict) -> str:
    """The message of an error document, which must be of the dialect's shape."""
    error = document["error"]
    match dialect:
        case "anthropic":
            assert document["type"] == "error"
            assert isinstance(error["type"], str)
        case "gemini":
            assert isinstance(error["code"], int)
            assert isinstance(error["status"], str)
        case _:
            assert {"message", "type", "param", "code"} <= set(error)
    return error["message"]


def tallies(gw) -> dict[tuple[str, str], Tally]:
    """What was counted: (key, provider/model) → tally."""
    return gw.house.current.books.usage.tallies


def only_tally(gw) -> Tally:
    """The one tally there is."""
    (tally,) = tallies(gw).values()
    return tally


def whole(dialect: str, text: str = "hello", **more: object) -> dict:
    """A whole answer of a provider of the dialect: 10 tokens in (of which 4 from a cache), 5 out."""
    match dialect:
        case "openai_chat":
            return {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": "m",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {
                    "prompt_tokens": 10,
                    "completion_tokens": 5,
                    "total_tokens": 15,
                    "prompt_tokens_details": {"cached_tokens": 4},
                },
            } | more
        case "openai_responses":
            part = {"type": "output_text", "text": text, "annotations": []}
            item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
            return {
                "id": "resp_up1",
                "object": "response",
                "created_at": 1,
                "status": "completed",
                "model": "m",
                "output": [item],
                "parallel_tool_calls": True,
                "tool_choice": "auto",
                "tools": [],
                "usage": {
                    "input_tokens": 10,
                    "input_tokens_details": {"cached_tokens": 4},
                    "output_tokens": 5,
                    "output_tokens_details": {"reasoning_tokens": 0},
                    "total_tokens": 15,
                },
            } | more
        case "anthropic":
            return {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "m",
                "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": 6, "cache_read_input_tokens": 4, "output_tokens": 5},
            } | more
        case _:
            return {
                "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {
                    "promptTokenCount": 10,
                    "cachedContentTokenCount": 4,
                    "candidatesTokenCount": 5,
                    "totalTokenCount": 15,
                },
                "modelVersion": "m",
            } | more


def frames(dialect: str, text: str = "hello", *, usage: bool = True) -> list[bytes]:
    """The same answer streamed: [beginning, content, end]; the beginning holds nothing that a client can see."""

    def sse(document: dict, name: str = "") -> bytes:
        return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(document).encode() + b"\n\n"

    match dialect:
        case "openai_chat":
            base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

            def choice(delta: dict, finish: str | None = None) -> dict:
                return {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

            told = sse({**base, "choices": [], "usage": whole(dialect)["usage"]}) if usage else b""
            end = sse(choice({}, "stop")) + told + b"data: [DONE]\n\n"
            return [sse(choice({"role": "assistant", "content": ""})), sse(choice({"content": text})), end]
        case "openai_responses":
            final = whole(dialect, text)
            begun = {**final, "status": "in_progress", "output": [], "usage": None}
            item = final["output"][0]
            place = {"output_index": 0, "item_id": "msg_1", "content_index": 0}
            beginning = sse({"type": "response.created", "response": begun, "sequence_number": 0}, "response.created")
            added = {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {**item, "content": [], "status": "in_progress"},
            }
            part = {"type": "output_text", "text": "", "annotations": []}
            content = (
                sse({**added, "sequence_number": 1}, added["type"])
                + sse(
                    {"type": "response.content_part.added", **place, "part": part, "sequence_number": 2},
                    "response.content_part.added",
                )
                + sse(
                    {"type": "response.output_text.delta", **place, "delta": text, "sequence_number": 3},
                    "response.output_text.delta",
                )
            )
            end = (
                sse(
                    {"type": "response.output_text.done", **place, "text": text, "sequence_number": 4},
                    "response.output_text.done",
                )
                + sse(
                    {"type": "response.content_part.done", **place, "part": item["content"][0], "sequence_number": 5},
                    "response.content_part.done",
                )
                + sse(
                    {"type": "response.output_item.done", "output_index": 0, "item": item, "sequence_number": 6},
                    "response.output_item.done",
                )
                + sse({"type": "response.completed", "response": final, "sequence_number": 7}, "response.completed")
            )
            return [beginning, content, end]
        case "anthropic":
            message = {**whole(dialect), "content": [], "stop_reason": None}
            message["usage"] = {**message["usage"], "output_tokens": 1}
            beginning = sse({"type": "message_start", "message": message}, "message_start")
            content = sse(
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, "content_block_start"
            ) + sse(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}, "content_block_delta"
            )
            delta = {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": whole(dialect)["usage"],
            }
            end = (
                sse({"type": "content_block_stop", "index": 0}, "content_block_stop")
                + sse(delta, "message_delta")
                + sse({"type": "message_stop"}, "message_stop")
            )
            return [beginning, content, end]
        case _:
            final = whole(dialect, "")
            beginning = sse({"candidates": [{"content": {"role": "model", "parts": []}, "index": 0}], "modelVersion": "m"})
            content = sse(
                {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}], "modelVersion": "m"}
            )
            return [beginning, content, sse(final)]


def served(dialect: str, *, stream: bool = False, text: str = "hello") -> list[bytes]:
    """Script steps of one answer."""
    if not stream:
        return [answer(json.dumps(whole(dialect, text)).encode())]
    return [stream_head(), *(chunk(frame) for frame in frames(dialect, text)), END]


IN_STREAM_ERROR = {
    "openai_chat": b'data: {"error": {"message": "try later", "type": "server_error", "code": "overloaded"}}\n\n',
    "openai_responses": b'event: error\ndata: {"type": "error", "code": "server_error", "message": "try later", "param": null, "sequence_number": 1}\n\n',
    "anthropic": b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "try later"}}\n\n',
    "gemini": b'data: {"error": {"code": 503, "message": "try later", "status": "UNAVAILABLE"}}\n\n',
}
