"""A gateway with Invariant's paths, in front of stand-ins of the three providers, of Explorer and of the service that judges.

One rule: the stand-ins ask what the real ones ask (keys, bodies, paths), and keep what they were told.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from urllib.parse import unquote

from tests.identity import serving
from tests.plays.scene import frames, whole
from tests.serving import END, Answer, answer, call, chunk, gateway, stream_head, upstream

INV = "inv-9c2f61"
"""The key of Explorer's user `developer`."""
PROVIDER_KEY = {"openai_chat": "sk-clients-own", "anthropic": "sk-ant-clients-own", "gemini": "AIza-clients-own"}
DIALECTS = tuple(PROVIDER_KEY)
VENDOR = {"openai_chat": "openai", "anthropic": "anthropic", "gemini": "gemini"}
KEY_HEADER = {"openai_chat": "authorization", "anthropic": "x-api-key", "gemini": "x-goog-api-key"}
DATASET = "travel-agent"

FILE_POLICY = """\
# For Anthropic and OpenAI
raise "Madrid detected in the response" if:
    (msg: Message)
    "Madrid" in msg.content

# For Gemini, whose content is a list
raise "Dublin detected in the response" if:
    (msg: Message)
    (chunk: str) in text(msg.content)
    "Dublin" in chunk

raise "get_capital is called with Germany as argument" if:
    (call: ToolCall)
    call is tool:get_capital
    call.function.arguments["country_name"] == "Germany"

raise "Users must not mention the magic phrase 'Fight Club'" if:
    (msg: Message)
    (chunk: str) in text(msg.content)
    msg.role == "user"
    "Fight Club" in chunk
"""


class Explorer:
    """Stand-in of Explorer: identity, policies of datasets, pushed traces."""

    def __init__(self):
        self.asked = []
        self.traces = []
        self.policies = {}
        """Dataset → list of policies, as the API tells them."""
        self.answer_with = None
        self.came = asyncio.Event()

    def policy(self, content, action="block", *, dataset=DATASET, enabled=True):
        listed = self.policies.setdefault(dataset, [])
        name = f"{action}-{len(listed)}"
        listed.append({"id": f"p{len(listed)}", "name": name, "content": content, "action": action, "enabled": enabled,
                       "extra_metadata": {}, "last_updated_time": "2026-01-01 00:00:00"})  # fmt: skip

    async def answer(self, asked):
        self.asked.append(asked)
        if self.answer_with is not None:
            told = self.answer_with(asked)
            told = await told if asyncio.iscoroutine(told) else told
            if told != "as ever":
                return told
        if asked.headers.get("authorization") != f"Bearer {INV}":
            return 401, {"detail": "Not authenticated"}
        path = unquote(asked.path)
        if path == "/api/v1/user/identity":
            return 200, {"username": "developer"}
        if path.startswith("/api/v1/dataset/byuser/developer/") and path.endswith("/policy"):
            found = self.policies.get(path.split("/")[6])
            return (404, {"detail": "Dataset not found"}) if found is None else (200, {"policies": found})
        if path == "/api/v1/push/trace":
            pushed = json.loads(asked.body)
            assert len(pushed["messages"]) == 1
            for beside in ("annotations", "metadata"):
                assert pushed.get(beside) is None or len(pushed[beside]) == len(pushed["messages"])
            self.traces.append(pushed)
            self.came.set()
            return 200, {"id": [f"trace-{len(self.traces)}"], "dataset": pushed["dataset"]}
        return 404, {"detail": "Not Found"}

    async def trace(self, count=1):
        """The last of `count` traces, once they are there."""
        async with asyncio.timeout(10):
            while len(self.traces) < count:
                self.came.clear()
                await self.came.wait()
        return self.traces[count - 1]

    def questions(self, part):
        return [asked for asked in self.asked if part in asked.path]


class Service:
    """Stand-in of the service that judges: an error for each policy whose `raise "…"` names a word that is in the messages."""

    def __init__(self):
        self.asked = []
        self.answer_with = None

    async def answer(self, asked):
        self.asked.append(asked)
        if self.answer_with is not None:
            told = self.answer_with(asked)
            return await told if asyncio.iscoroutine(told) else told
        if asked.headers.get("authorization") != f"Bearer {INV}":
            return 401, {"detail": "no"}
        document = json.loads(asked.body)
        if asked.path == "/api/v1/policy/load":
            return 200, {}
        assert asked.path == "/api/v1/policy/check/batch"
        result = []
        for policy in document["policies"]:
            word = policy.split('"')[1]
            errors = [
                {"args": [word], "kwargs": {}, "ranges": [f"messages.{i}", f"messages.{i}.content"]}
                for i, message in enumerate(document["messages"])
                if word in json.dumps(message.get("content"))
            ]
            result.append({"errors": errors})
        return 200, {"result": result}


@asynccontextmanager
async def scene(tmp_path, *, more="", keys="", policy=None, environ=None, **section) -> AsyncIterator[SimpleNamespace]:
    """`section`: more of the section `invariant`. `policy`: the text of the policy file."""
    explorer, service = Explorer(), Service()
    async with upstream() as up, serving(explorer.answer) as explorer_port, serving(service.answer) as service_port:
        base = f"http://127.0.0.1:{up.port}"
        settings = {
            "enabled": True, "open": True, "openai_url": f"{base}/v1", "anthropic_url": base, "gemini_url": base,
            "explorer_url": f"http://127.0.0.1:{explorer_port}", "guardrails_url": f"http://127.0.0.1:{service_port}", **section,
        }  # fmt: skip
        if policy is not None:
            (tmp_path / "policy.gr").write_text(policy)
            settings["guardrails_file"] = "policy.gr"
        config = f"invariant: {json.dumps(settings)}\n{more}"
        async with gateway(config, tmp_path, keys=keys, environ=environ) as gw:
            yield SimpleNamespace(gw=gw, port=gw.port, up=up, explorer=explorer, service=service)


def path_of(dialect, *, dataset=DATASET, stream=False):
    root = f"/api/v1/gateway/{dataset}/" if dataset else "/api/v1/gateway/"
    match dialect:
        case "openai_chat":
            return f"{root}openai/chat/completions"
        case "anthropic":
            return f"{root}anthropic/v1/messages"
        case _:
            method = "streamGenerateContent?alt=sse" if stream else "generateContent"
            return f"{root}gemini/v1beta/models/m:{method}"


def asking(dialect, text="hi", *, stream=False, **more):
    match dialect:
        case "openai_chat":
            streaming = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
            return {"model": "m", "messages": [{"role": "user", "content": text}], **streaming, **more}
        case "anthropic":
            return {
                "model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": text}],
                **({"stream": True} if stream else {}), **more,
            }  # fmt: skip
        case _:
            return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


def key_lines(dialect, *, key=None, invariant=INV, joined=False, **more):
    value = PROVIDER_KEY[dialect] if key is None else key
    if joined:
        value = f"{value};invariant-auth={invariant}"
    lines = {KEY_HEADER[dialect]: f"Bearer {value}" if dialect == "openai_chat" else value}
    if invariant and not joined:
        lines["invariant-authorization"] = f"Bearer {invariant}"
    lines |= {name.replace("_", "-"): value for name, value in more.items()}
    return "".join(f"{name}: {value}\r\n" for name, value in lines.items())


async def ask(scene, dialect, text="hi", *, dataset=DATASET, stream=False, document=None, headers=None, **more) -> Answer:
    """One call at Invariant's path."""
    body = json.dumps(document if document is not None else asking(dialect, text, stream=stream, **more)).encode()
    lines = key_lines(dialect) if headers is None else headers
    got = await call(scene.port, path_of(dialect, dataset=dataset, stream=stream), body, headers=lines)
    try:
        got.json = json.loads(got.body)
    except ValueError:
        got.json = None
    return got


def served(dialect, text="hello", *, stream=False):
    """Script steps of one answer of the provider."""
    if not stream:
        return [answer(json.dumps(whole(dialect, text)).encode())]
    return [stream_head(), *(chunk(frame) for frame in frames(dialect, text)), END]


def called(dialect, name, arguments, *, stream=False, call_id="call_1"):
    """An answer that calls a tool."""
    if not stream:
        return [answer(json.dumps(calling(dialect, name, arguments, call_id)).encode())]
    return [stream_head(), *(chunk(frame) for frame in calling_frames(dialect, name, arguments, call_id)), END]


def calling(dialect, name, arguments, call_id="call_1"):
    document = whole(dialect, "")
    match dialect:
        case "openai_chat":
            made = {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            document["choices"][0] |= {
                "message": {"role": "assistant", "content": None, "tool_calls": [made]}, "finish_reason": "tool_calls"
            }  # fmt: skip
        case "anthropic":
            document |= {
                "content": [{"type": "tool_use", "id": call_id, "name": name, "input": arguments}], "stop_reason": "tool_use"
            }  # fmt: skip
        case _:
            document["candidates"][0]["content"]["parts"] = [{"functionCall": {"name": name, "args": arguments}}]
    return document


def calling_frames(dialect, name, arguments, call_id="call_1"):
    def sse(document, event=""):
        return (f"event: {event}\n" if event else "").encode() + b"data: " + json.dumps(document).encode() + b"\n\n"

    text = json.dumps(arguments)
    middle = len(text) // 2
    match dialect:
        case "openai_chat":
            base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

            def delta(change, finish=None):
                return sse({**base, "choices": [{"index": 0, "delta": change, "finish_reason": finish}]})

            made = {"index": 0, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
            return [
                delta({"role": "assistant", "content": None, "tool_calls": [made]}),
                *(
                    delta({"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
                    for part in (text[:middle], text[middle:])
                ),
                delta({}, "tool_calls") + sse({**base, "choices": [], "usage": whole(dialect)["usage"]}) + b"data: [DONE]\n\n",
            ]
        case "anthropic":
            message = {**whole(dialect), "content": [], "stop_reason": None}
            block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
            return [
                sse({"type": "message_start", "message": message}, "message_start"),
                sse({"type": "content_block_start", "index": 0, "content_block": block}, "content_block_start"),
                *(
                    sse({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": part}},
                        "content_block_delta")
                    for part in (text[:middle], text[middle:])
                ),
                sse({"type": "content_block_stop", "index": 0}, "content_block_stop")
                + sse({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
                       "usage": whole(dialect)["usage"]}, "message_delta")
                + sse({"type": "message_stop"}, "message_stop"),
            ]  # fmt: skip
        case _:
            return [sse(calling(dialect, name, arguments))]
