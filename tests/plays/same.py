"""The same question in five dialects, and the answers read back: for what must not depend on who asks."""

import json

import msgspec

from gatewright.dialects import BY_NAME
from gatewright.ir.blocks import Text, ToolCall
from gatewright.ir.fold import fold
from gatewright.ir.request import Asked
from gatewright.ir.response import Response
from gatewright.wire.http import Call
from tests.serving import KEY, Answer, call

CLIENTS = ("openai_chat", "openai_responses", "anthropic", "gemini", "bedrock_converse")
TOOL = {
    "name": "get_weather",
    "description": "The weather there.",
    "schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


def path_of(dialect: str, model: str, *, stream: bool = False) -> str:
    match dialect:
        case "openai_chat":
            return "/v1/chat/completions"
        case "openai_responses":
            return "/v1/responses"
        case "anthropic":
            return "/v1/messages"
        case "gemini":
            return f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")
        case _:
            return f"/model/{model}/" + ("converse-stream" if stream else "converse")


def saying(
    dialect: str, model: str, text: str, *, stream: bool = False, tool: bool = False, temperature: float = 1, counted: bool = True
) -> dict:
    """A request with instructions, a limit and a temperature; with `tool`, one that may be called.

    `counted`: a stream of Chat Completions is to tell its usage, as all others do.
    """
    streaming = {"stream": True} if stream else {}
    match dialect:
        case "openai_chat":
            tools = [{"type": "function", "function": _function("parameters")}]
            body = {
                "model": model,
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}],
                "max_completion_tokens": 200,
                "temperature": temperature,
                **streaming,
                **({"stream_options": {"include_usage": True}} if stream and counted else {}),
            }
        case "openai_responses":
            tools = [{"type": "function", **_function("parameters")}]
            body = {
                "model": model,
                "instructions": "Be brief.",
                "input": text,
                "max_output_tokens": 200,
                "temperature": temperature,
                **streaming,
            }
        case "anthropic":
            tools = [_function("input_schema")]
            body = {
                "model": model,
                "system": "Be brief.",
                "messages": [{"role": "user", "content": text}],
                "max_tokens": 200,
                "temperature": temperature,
                **streaming,
            }
        case "gemini":
            tools = [{"functionDeclarations": [_function("parametersJsonSchema")]}]
            body = {
                "systemInstruction": {"parts": [{"text": "Be brief."}]},
                "contents": [{"role": "user", "parts": [{"text": text}]}],
                "generationConfig": {"maxOutputTokens": 200, "temperature": temperature},
            }
        case _:
            specs = [
                {
                    "toolSpec": {
                        "name": TOOL["name"],
                        "description": TOOL["description"],
                        "inputSchema": {"json": TOOL["schema"]},
                    }
                }
            ]
            body = {
                "system": [{"text": "Be brief."}],
                "messages": [{"role": "user", "content": [{"text": text}]}],
                "inferenceConfig": {"maxTokens": 200, "temperature": temperature},
            }
            return {**body, "toolConfig": {"tools": specs}} if tool else body
    return {**body, "tools": tools} if tool else body


def _function(schema: str) -> dict:
    return {"name": TOOL["name"], "description": TOOL["description"], schema: TOOL["schema"]}


def parsed(dialect: str, document: dict, *, stream: bool = False, model: str = "m"):
    """The neutral request of a document."""
    path, _, query = path_of(dialect, model, stream=stream).partition("?")
    body = json.dumps(document).encode()
    return BY_NAME[dialect].parse_request(Call(path=path, query=dict([query.split("=")]) if query else {}, body=body))


async def ask(
    gw,
    dialect: str,
    model: str,
    text: str = "hi",
    *,
    stream: bool = False,
    key: str = KEY,
    headers: str = "",
    previous: str = "",
    **more: object,
) -> Answer:
    """`previous`: the response that a Responses client goes on with."""
    document = saying(dialect, model, text, stream=stream, **more) | ({"previous_response_id": previous} if previous else {})
    body = json.dumps(document).encode()
    return await call(gw.port, path_of(dialect, model, stream=stream), body, headers=f"authorization: Bearer {key}\r\n{headers}")


def understood(dialect: str, answer: Answer, *, stream: bool = False) -> Response:
    """What an answer of the gateway's means."""
    assert answer.status == 200, answer.body
    assert not answer.broken
    if not stream:
        return BY_NAME[dialect].parse_response(answer.body, Asked())
    parser = BY_NAME[dialect].stream_parser(Asked())
    return fold([*parser.feed(answer.body), *parser.close()])


def said(response: Response) -> tuple[str, list[tuple[str, object]], str]:
    """What a client takes from it: text, calls with their arguments, and how it ended."""
    text = "".join(block.text for block in response.blocks if isinstance(block, Text))
    calls = [(b.name, msgspec.json.decode(b.arguments or "{}")) for b in response.blocks if isinstance(b, ToolCall)]
    assert response.finish is not None
    return text, calls, response.finish.reason
