"""What a client reads of a stream that was resumed, in any dialect, by the dialect's own reading."""

import json
from types import SimpleNamespace

from botocore.exceptions import EventStreamError

from tests.laws import bedrock_oracle
from tests.plays import wires
from tests.plays.scene import asking, events, path_of
from tests.serving import call

DIALECTS = ("openai_chat", "openai_responses", "anthropic", "gemini", "bedrock_converse")
TOOL = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string"}}, "required": ["city"]}

_TOOLS = {
    "openai_chat": [{"type": "function", "function": {"name": "get_weather", "parameters": TOOL}}],
    "openai_responses": [{"type": "function", "name": "get_weather", "parameters": TOOL, "strict": False}],
    "anthropic": [{"name": "get_weather", "input_schema": TOOL}],
    "gemini": [{"functionDeclarations": [{"name": "get_weather", "parametersJsonSchema": TOOL}]}],
}
_THINKING: dict[str, dict] = {
    "openai_chat": {"reasoning_effort": "medium"},
    "openai_responses": {"reasoning": {"effort": "medium", "summary": "auto"}},
    "anthropic": {"thinking": {"type": "adaptive", "display": "summarized"}, "max_tokens": 4000},
    "gemini": {"generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024}}},
    "bedrock_converse": {
        "additionalModelRequestFields": {"thinking": {"type": "adaptive", "display": "summarized"}},
        "inferenceConfig": {"maxTokens": 4000},
    },
}


def request(dialect: str, model: str, *, thinks: bool = False, tools: bool = False, **more: object) -> tuple[str, dict]:
    """(path, body) of a streamed request."""
    thinking = _THINKING[dialect] if thinks else {}
    if dialect != "bedrock_converse":
        told = {"tools": _TOOLS[dialect]} if tools else {}
        body = {**asking(dialect, model, stream=True), **thinking, **told, **more}
        if dialect == "openai_responses":
            body.setdefault("store", False)
        return path_of(dialect, model, stream=True), body
    spec = {"toolSpec": {"name": "get_weather", "inputSchema": {"json": TOOL}}}
    told = {"toolConfig": {"tools": [spec]}} if tools else {}
    return f"/model/{model}/converse-stream", {
        "messages": [{"role": "user", "content": [{"text": "hi"}]}],
        **thinking,
        **told,
        **more,
    }


async def stream(gw, dialect: str, model: str, *, headers: str = "", **how: object) -> SimpleNamespace:
    """One streamed call. `end`: `stop`, `error` or `cut`; `text`, `thoughts`: what was said; `calls`: arguments of tool calls."""
    path, body = request(dialect, model, **how)
    auth = f"authorization: Bearer gw-test-key\r\n{headers}"
    got = await call(gw.port, path, json.dumps(body).encode(), headers=auth)
    assert got.status == 200, got.body
    assert not got.broken
    got.end, got.text, got.thoughts, got.calls = heard(dialect, got.body)
    return got


def heard(dialect: str, wire: bytes) -> tuple[str, str, str, str]:
    """(end, text, thoughts, arguments)."""
    if dialect == "bedrock_converse":
        return _converse(wire)
    thoughts = calls = ""
    told = events(wire)
    for event in told:
        match dialect:
            case "openai_chat":
                for choice in event.get("choices", ()):
                    thoughts += choice["delta"].get("reasoning_content") or ""
                    calls += "".join(one["function"].get("arguments") or "" for one in choice["delta"].get("tool_calls") or ())
            case "openai_responses":
                thoughts += event["delta"] if event["type"].startswith("response.reasoning") and "delta" in event else ""
                calls += event["delta"] if event["type"] == "response.function_call_arguments.delta" else ""
            case "anthropic":
                thoughts += event.get("delta", {}).get("thinking", "")
                calls += event.get("delta", {}).get("partial_json", "")
            case _:
                for part in event.get("candidates", [{}])[0].get("content", {}).get("parts", ()):
                    thoughts += part.get("text", "") if part.get("thought") else ""
                    calls += json.dumps(part["functionCall"]["args"]) if "functionCall" in part else ""
    end, text = wires.told(dialect, wire)
    if dialect == "gemini":  # whose thoughts are texts too
        text = "".join(
            part.get("text", "")
            for event in told
            for part in event.get("candidates", [{}])[0].get("content", {}).get("parts", ())
            if not part.get("thought")
        )
    _begins_once(dialect, told)
    return end, text, thoughts, calls


def _begins_once(dialect: str, told: list[dict]) -> None:
    """One message, one identity, blocks in order."""
    match dialect:
        case "openai_chat":
            assert len({event["id"] for event in told if "id" in event}) == 1
            assert sum("role" in choice["delta"] for event in told for choice in event.get("choices", ())) == 1
        case "openai_responses":
            kinds = [event["type"] for event in told]
            assert kinds.count("response.created") == 1
            if kinds[-1] == "response.completed":
                numbers = [event["sequence_number"] for event in told]
                assert numbers == sorted(numbers)
                final = told[-1]["response"]
                assert final["id"] == told[0]["response"]["id"]
                done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
                assert final["output"] == done
                assert {item.get("status", "completed") for item in done} == {"completed"}
        case "anthropic":
            kinds = [event["type"] for event in told]
            assert kinds.count("message_start") == 1
            starts = [event["index"] for event in told if event["type"] == "content_block_start"]
            stops = [event["index"] for event in told if event["type"] == "content_block_stop"]
            assert starts == list(range(len(starts)))
            if kinds[-1] == "message_stop":
                assert stops == starts
        case _:
            assert len({event.get("responseId") for event in told if "candidates" in event}) == 1


def _converse(wire: bytes) -> tuple[str, str, str, str]:
    text = thoughts = calls = ""
    names: list[str] = []
    try:
        for event in bedrock_oracle.read_stream(wire):
            ((name, told),) = event.items()
            names.append(name)
            delta = told.get("delta", {}) if isinstance(told, dict) else {}
            text += delta.get("text", "")
            thoughts += delta.get("reasoningContent", {}).get("text", "")
            calls += delta.get("toolUse", {}).get("input", "")
    except EventStreamError:
        names.append("error")
    assert names.count("messageStart") == 1
    return {"error": "error", "metadata": "stop"}.get(names[-1], "cut"), text, thoughts, calls
