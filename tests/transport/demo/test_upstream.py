"""The demo model through the transport's seam, in every dialect."""

import asyncio
import json

import pytest
from anthropic.types import Message as AnthropicMessage
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response as OpenAIResponse

from gatewright.dialects import BY_NAME
from gatewright.ir.blocks import Reasoning, Text, ToolCall
from gatewright.ir.fold import fold
from gatewright.ir.request import Asked
from gatewright.transport import Cut, Outgoing, TooLarge, header_lines
from gatewright.transport.demo import DemoTransport
from gatewright.transport.demo.upstream import call_of, dialect_of

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

CALLS = {
    "openai_chat": ("/chat/completions", {"model": "demo", "messages": [{"role": "user", "content": "PROMPT"}]}),
    "openai_responses": ("/responses", {"model": "demo", "input": "PROMPT"}),
    "anthropic": ("/v1/messages", {"model": "demo", "max_tokens": 4000, "messages": [{"role": "user", "content": "PROMPT"}]}),
    "gemini": ("/v1beta/models/demo:generateContent", {"contents": [{"role": "user", "parts": [{"text": "PROMPT"}]}]}),
}
"""The least call of each dialect."""

TOOLS = {
    "openai_chat": {"tools": [{"type": "function", "function": {"name": "get_weather", "parameters": CITY}}]},
    "openai_responses": {"tools": [{"type": "function", "name": "get_weather", "parameters": CITY, "strict": False}]},
    "anthropic": {"tools": [{"name": "get_weather", "input_schema": CITY}]},
    "gemini": {"tools": [{"functionDeclarations": [{"name": "get_weather", "parametersJsonSchema": CITY}]}]},
}
THINKING = {
    "openai_chat": {"reasoning_effort": "low"},
    "openai_responses": {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"]},
    "anthropic": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    "gemini": {"generationConfig": {"thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True}}},
}
SDK_TYPES = {
    "openai_chat": ChatCompletion.model_validate,
    "openai_responses": OpenAIResponse.model_validate,
    "anthropic": AnthropicMessage.model_validate,
    "gemini": GenerateContentResponse.model_validate,
}
EACH = pytest.mark.parametrize("dialect", list(CALLS))


def demo(pace_s=0.0):
    return DemoTransport(BY_NAME, pace_s=pace_s, now=lambda: 1_795_000_000)


def outgoing(dialect, prompt="Hello", *, stream=False, **more):
    """The dialect's least call with a prompt, and whatever else the body says."""
    path, body = CALLS[dialect]
    body = json.loads(json.dumps(body).replace("PROMPT", prompt)) | more
    if stream and dialect == "gemini":
        path = path.replace(":generateContent", ":streamGenerateContent?alt=sse")
    elif stream:
        body["stream"] = True
    return Outgoing(b"POST", path.encode(), header_lines([("content-type", "application/json")]), json.dumps(body).encode())


async def whole(dialect, prompt="Hello", **more):
    """The answer, parsed by the dialect, after the official SDK's types have accepted it."""
    answer = await demo().send(outgoing(dialect, prompt, **more))
    body = await answer.read(1 << 20)
    assert answer.status == 200, body
    SDK_TYPES[dialect](json.loads(body))
    return BY_NAME[dialect].parse_response(body, Asked())


async def streamed(dialect, prompt="Hello", **more):
    """The folded stream, and the pieces it came in."""
    if dialect == "openai_chat":
        more["stream_options"] = {"include_usage": True}
    answer = await demo().send(outgoing(dialect, prompt, stream=True, **more))
    assert (answer.status, answer.header(b"content-type")) == (200, b"text/event-stream")
    parser, events, pieces = BY_NAME[dialect].stream_parser(Asked()), [], []
    while (piece := await answer.next()) is not None:
        pieces.append(piece)
        events += parser.feed(piece)
    return fold([*events, *parser.close()]), pieces


async def drain(answer, into):
    """Reads to the end, keeping what came."""
    while (piece := await answer.next()) is not None:
        into.append(piece)


def text_of(response):
    return "".join(block.text for block in response.blocks if isinstance(block, Text))


@EACH
async def test_text_comes_whole_and_streamed(dialect):
    """The first thing anybody tries."""
    response = await whole(dialect)
    stream, pieces = await streamed(dialect)
    assert 'You said: "Hello"' in text_of(response)
    assert text_of(stream) == text_of(response)
    assert len(pieces) > 8
    for answer in (response, stream):
        assert answer.finish.reason == "stop"
        assert answer.model == "demo"
        assert answer.usage.total_input == 2
        assert answer.usage.total_output == 28


@EACH
async def test_tools_are_called_whole_and_streamed(dialect):
    """An agent's first turn."""
    response = await whole(dialect, 'How is it in \\"Oslo\\"?', **TOOLS[dialect])
    stream, _ = await streamed(dialect, 'How is it in \\"Oslo\\"?', **TOOLS[dialect])
    for answer in (response, stream):
        (call,) = (block for block in answer.blocks if isinstance(block, ToolCall))
        assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
        assert answer.finish.reason == "tool_calls"


@EACH
async def test_reasoning_is_shown_when_asked(dialect):
    """With a seal, where the dialect has a place for one."""
    response = await whole(dialect, **THINKING[dialect])
    stream, _ = await streamed(dialect, **THINKING[dialect])
    for answer in (response, stream):
        (reasoning,) = (block for block in answer.blocks if isinstance(block, Reasoning))
        assert "nothing to weigh" in reasoning.text + "".join(reasoning.summary)
        assert answer.usage.reasoning in (22, None)
        assert dialect in ("openai_chat", "gemini") or reasoning.seal


@EACH
@pytest.mark.parametrize("stream", [False, True])
async def test_errors_to_order_are_in_the_dialects_own_words(dialect, stream):
    """Also for a stream: the error comes instead of it."""
    answer = await demo().send(outgoing(dialect, "demo:error 429", stream=stream))
    body = await answer.read(1 << 20)
    problem = BY_NAME[dialect].parse_error(answer.status, {"retry-after": "2"}, body)
    assert (answer.status, problem.kind) == (429, "rate_limit")
    assert answer.header(b"retry-after") == b"2"
    assert "asked for this error" in problem.message


@EACH
async def test_a_cut_breaks_off_in_the_middle(dialect):
    """Half of an answer, then a broken connection; never a clean end."""
    for stream in (False, True):
        answer = await demo().send(outgoing(dialect, "demo:cut", stream=stream))
        got = []
        with pytest.raises(Cut):
            await drain(answer, got)
        assert got
        with pytest.raises(Cut):
            await answer.next()


@EACH
async def test_bad_requests_are_refused_as_a_provider_would(dialect):
    """Nonsense does not become an answer."""
    path = CALLS[dialect][0].encode()
    for body in (b"{", b"[]", b'"x"', b'{"model": "demo", "messages": 5, "input": 5, "contents": 5, "max_tokens": 1}'):
        answer = await demo().send(Outgoing(b"POST", path, b"", body))
        assert answer.status == 400, body
        assert BY_NAME[dialect].parse_error(400, {}, await answer.read(1 << 20)).message


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/chat/completions", {"model": "demo", "messages": [{"role": "system", "content": "x"}]}, 200),
        ("/chat/completions", {"model": "demo", "messages": []}, 400),
        ("/v1/messages", {"model": "demo", "max_tokens": 9, "system": "x", "messages": []}, 400),
        ("/v1beta/models/demo:generateContent", {"contents": [], "systemInstruction": {"parts": [{"text": "x"}]}}, 400),
    ],
)
async def test_there_must_be_something_to_answer(path, body, status):
    """OpenAI takes instructions alone, the others do not."""
    answer = await demo().send(Outgoing(b"POST", path.encode(), b"", json.dumps(body).encode()))
    assert answer.status == status


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        (
            "/v1/messages/count_tokens",
            {"model": "demo", "messages": [{"role": "user", "content": "12345678"}]},
            {"input_tokens": 2},
        ),
        (
            "/responses/input_tokens",
            {"model": "demo", "input": "12345678"},
            {"object": "response.input_tokens", "input_tokens": 2},
        ),
        ("/v1beta/models/demo:countTokens", {"contents": [{"parts": [{"text": "12345678"}]}]}, {"totalTokens": 2}),
        (
            "/v1beta/models/demo:countTokens",
            {"generateContentRequest": {"model": "models/demo", "contents": [{"role": "user", "parts": [{"text": "12345678"}]}]}},
            {"totalTokens": 2},
        ),
    ],
)
async def test_tokens_are_counted(path, body, answer):
    """Agents plan by it."""
    incoming = await demo().send(Outgoing(b"POST", path.encode(), b"", json.dumps(body).encode()))
    assert (incoming.status, json.loads(await incoming.read(1000))) == (200, answer)


async def test_other_paths_are_not_found():
    """The demo has no embeddings."""
    answer = await demo().send(Outgoing(b"POST", b"/embeddings", b"", b"{}"))
    assert answer.status == 404
    assert "/embeddings" in json.loads(await answer.read(1000))["error"]["message"]


async def test_gemini_streams_are_arrays_unless_events_are_asked_for():
    """As the real API has it."""
    path, body = CALLS["gemini"]
    path = path.replace(":generateContent", ":streamGenerateContent")
    call = Outgoing(b"POST", path.encode(), b"", json.dumps(body).encode())
    answer = await demo().send(call)
    assert answer.header(b"content-type") == b"application/json"
    assert isinstance(json.loads(await answer.read(1 << 20)), list)


async def test_deltas_come_at_the_pace_and_waits_before_the_first(monkeypatch):
    """Streaming can be seen, and keep-alives can be tried."""
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    answer = await demo(pace_s=0.25).send(outgoing("openai_chat", "demo:wait 7", stream=True))
    pieces = 0
    while await answer.next() is not None:
        pieces += 1
    assert slept == [7, *[0.25] * (pieces - 1)]


async def test_an_answer_that_was_given_up_says_no_more():
    """A client that left must not be written to."""
    answer = await demo().send(outgoing("anthropic", stream=True))
    assert await answer.next()
    answer.abort()
    with pytest.raises(Cut):
        await answer.next()


async def test_a_complete_answer_can_be_aborted_and_stays_complete():
    """As the seam has it."""
    answer = await demo().send(outgoing("anthropic"))
    await answer.read(1 << 20)
    answer.abort()
    assert await answer.next() is None


async def test_reading_more_than_allowed_is_refused():
    """The seam's own promise."""
    answer = await demo().send(outgoing("anthropic"))
    with pytest.raises(TooLarge):
        await answer.read(10)


def test_credentials_are_not_shown_to_dialects():
    """The seam's caller sends them; nobody here needs them."""
    lines = header_lines([("Authorization", "Bearer k"), ("x-api-key", "k"), ("X-Goog-Api-Key", "k"), ("anthropic-beta", "a")])
    call = call_of(Outgoing(b"POST", b"/v1/models/a%2Fb:generateContent?alt=sse&x=", lines, b""))
    assert dict(call.headers) == {"anthropic-beta": "a"}
    assert call.path == "/v1/models/a/b:generateContent"
    assert dict(call.query) == {"alt": "sse", "x": ""}


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/chat/completions", "openai_chat"),
        ("/v1/responses", "openai_responses"),
        ("/v1/messages", "anthropic"),
        ("/v1/models/x:streamGenerateContent", "gemini"),
        ("/v1beta/models/x:embedContent", None),
        ("/completions", None),
        ("/", None),
    ],
)
def test_the_path_says_who_speaks(path, dialect):
    """Nothing else does."""
    assert dialect_of(path) == dialect
