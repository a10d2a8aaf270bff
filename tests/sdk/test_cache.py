"""Kept answers as the official SDKs read them: whatever SDK filled the cache, whole or by a stream."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from anthropic import Anthropic
from google import genai
from google.genai import types

from tests.sdk.gateway import CLIENT_KEY, serving
from tests.sdk.scenarios import APIS, Api
from tests.upstreams.server import Upstream

pytestmark = pytest.mark.sdk
LIMIT = 300
TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
DESCRIBED = "Weather of a city"
Heard = tuple[str, list[tuple[str, object]]]
"""Text, and calls with their arguments."""


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Upstream]]:
    """A gateway that keeps all answers, and the upstream behind it."""
    folder: Path = tmp_path_factory.mktemp("keeping")
    with Upstream().running() as up, serving(up.url, folder, settings=", cache: {ttl_s: 600}") as url:
        yield url, up


def chat(url: str, model: str, text: str, *, stream: bool) -> Heard:
    tools = [{"type": "function", "function": {"name": "get_weather", "description": DESCRIBED, "parameters": TOOL}}]
    asked: dict = {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_completion_tokens": LIMIT,
        "tools": tools,
    }
    with openai.OpenAI(base_url=f"{url}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        if stream:
            with client.chat.completions.stream(**asked) as events:
                for _ in events:
                    pass
                message = events.get_final_completion().choices[0].message
        else:
            message = client.chat.completions.create(**asked).choices[0].message
    calls = [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or ()]
    return message.content or "", calls


def responses(url: str, model: str, text: str, *, stream: bool) -> Heard:
    tools = [{"type": "function", "name": "get_weather", "description": DESCRIBED, "parameters": TOOL}]
    asked: dict = {"model": model, "input": text, "max_output_tokens": LIMIT, "tools": tools}
    with openai.OpenAI(base_url=f"{url}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        if stream:
            with client.responses.stream(**asked) as events:
                for _ in events:
                    pass
                made = events.get_final_response()
        else:
            made = client.responses.create(**asked)
    return made.output_text, [(i.name, json.loads(i.arguments)) for i in made.output if i.type == "function_call"]


def claude(url: str, model: str, text: str, *, stream: bool) -> Heard:
    tools = [{"name": "get_weather", "description": DESCRIBED, "input_schema": TOOL}]
    asked: dict = {
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": LIMIT,
        "tools": tools,
    }
    with Anthropic(base_url=url, api_key=CLIENT_KEY, max_retries=0) as client:
        if stream:
            with client.messages.stream(**asked) as events:
                message = events.get_final_message()
        else:
            message = client.messages.create(**asked)
    texts = [block.text for block in message.content if block.type == "text"]
    return "".join(texts), [(block.name, block.input) for block in message.content if block.type == "tool_use"]


def google(url: str, model: str, text: str, *, stream: bool) -> Heard:
    declared = types.FunctionDeclaration(name="get_weather", description=DESCRIBED, parameters_json_schema=TOOL)
    asked: dict = {
        "model": model,
        "contents": text,
        "config": types.GenerateContentConfig(max_output_tokens=LIMIT, tools=[types.Tool(function_declarations=[declared])]),
    }
    with genai.Client(api_key=CLIENT_KEY, http_options=types.HttpOptions(base_url=url)) as client:
        chunks = list(client.models.generate_content_stream(**asked)) if stream else [client.models.generate_content(**asked)]
    parts = [part for chunk in chunks for part in (chunk.candidates[0].content.parts or ())]
    calls = [(part.function_call.name, dict(part.function_call.args or {})) for part in parts if part.function_call]
    return "".join(part.text or "" for part in parts if not part.thought), calls


SDKS: dict[str, Callable[..., Heard]] = {
    "openai_chat": chat,
    "openai_responses": responses,
    "anthropic": claude,
    "gemini": google,
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("filler", SDKS)
@pytest.mark.parametrize("api", APIS)
def test_what_one_sdk_was_told_every_sdk_reads(api: Api, filler: str, stream: bool, keeping: tuple[str, Upstream]) -> None:
    """One call of a provider for nine answers, all of them the same: text where it was told whole, a call where streamed."""
    url, upstream = keeping
    text = f"{'[[call]]' if stream else 'Please'} tell me {filler} {time.monotonic_ns()}"
    before = len(upstream.requests)
    first = SDKS[filler](url, f"{api}-plain", text, stream=stream)
    assert first[1] if stream else first[0]
    for sdk in SDKS.values():
        for streamed in (False, True):
            assert sdk(url, f"{api}-plain", text, stream=streamed) == first
    assert len(upstream.requests) == before + 1
