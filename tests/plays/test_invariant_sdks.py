"""The official SDKs at Invariant's paths: what its own integration tests expect of them, against stand-ins."""

import asyncio
import json

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

from tests.plays.invariant_scene import DATASET, FILE_POLICY, INV, PROVIDER_KEY, asking, key_lines, path_of, scene, served
from tests.plays.test_invariant_guardrails import CAPITAL, REQUEST, RESPONSE, text_of
from tests.serving import answer

INVARIANT = {"Invariant-Authorization": f"Bearer {INV}"}


def root(s):
    return f"http://127.0.0.1:{s.port}/api/v1/gateway/{DATASET}"


def of_openai(s):
    return openai.OpenAI(
        api_key=PROVIDER_KEY["openai_chat"], base_url=f"{root(s)}/openai", default_headers=INVARIANT, max_retries=0
    )


def of_anthropic(s):
    key = f"{PROVIDER_KEY['anthropic']};invariant-auth={INV}"  # the form for clients without headers of their own
    return anthropic.Anthropic(api_key=key, base_url=f"{root(s)}/anthropic", max_retries=0)


def of_gemini(s):
    options = types.HttpOptions(base_url=f"{root(s)}/gemini", headers=INVARIANT)
    return genai.Client(api_key=PROVIDER_KEY["gemini"], http_options=options)


def say_openai(s, text, *, stream):
    with of_openai(s) as client:
        asked = {"model": "m", "messages": [{"role": "user", "content": text}]}
        if not stream:
            return client.chat.completions.create(**asked).choices[0].message.content
        chunks = client.chat.completions.create(**asked, stream=True)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def say_anthropic(s, text, *, stream):
    with of_anthropic(s) as client:
        asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": text}]}
        if not stream:
            return client.messages.create(**asked).content[0].text
        with client.messages.stream(**asked) as told:
            return "".join(told.text_stream)


def say_gemini(s, text, *, stream):
    with of_gemini(s) as client:
        if not stream:
            return client.models.generate_content(model="m", contents=text).text
        return "".join(chunk.text or "" for chunk in client.models.generate_content_stream(model="m", contents=text))


SAY = {"openai_chat": say_openai, "anthropic": say_anthropic, "gemini": say_gemini}


@pytest.mark.sdk
@pytest.mark.parametrize("dialect", SAY)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation(tmp_path, dialect, stream):
    """Answered, and pushed."""
    async with scene(tmp_path) as s:
        s.up.answers = [served(dialect, "I am fine", stream=stream)]
        assert await asyncio.to_thread(SAY[dialect], s, "How are you?", stream=stream) == "I am fine"
        assert len((await s.explorer.trace())["messages"][0]) == 2


@pytest.mark.sdk
@pytest.mark.parametrize("dialect", ["openai_chat", "anthropic"])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("where", ["request", "answer"])
async def test_what_is_blocked_is_an_error(tmp_path, dialect, stream, where):
    """Whole: a bad request. In a stream: an error of the API, with the words of the policy in it."""
    country, capital = CAPITAL[dialect]
    async with scene(tmp_path, policy=FILE_POLICY) as s:
        s.up.answers = [served(dialect, f"It is {capital}", stream=stream)]
        text = "Tell me more about Fight Club." if where == "request" else f"capital of {country}?"
        sdk = openai if dialect == "openai_chat" else anthropic
        expected = sdk.APIError if stream else sdk.BadRequestError
        with pytest.raises(expected) as caught:
            await asyncio.to_thread(SAY[dialect], s, text, stream=stream)
        said = f"{caught.value} {caught.value.body}" if stream else caught.value.response.text
        assert (REQUEST if where == "request" else RESPONSE) in said
        assert ("Fight Club" if where == "request" else f"{capital} detected in the response") in said


@pytest.mark.sdk
@pytest.mark.parametrize("where", ["request", "answer"])
async def test_what_is_blocked_of_geminis(tmp_path, where):
    """Whole: a client error. In a stream: a chunk, the only one, that refuses."""
    country, capital = CAPITAL["gemini"]
    text = "Tell me more about Fight Club." if where == "request" else f"capital of {country}?"
    message = REQUEST if where == "request" else RESPONSE
    words = "Fight Club" if where == "request" else f"{capital} detected in the response"
    async with scene(tmp_path, policy=FILE_POLICY) as s:
        s.up.answers = [served("gemini", f"It is {capital}")]
        with pytest.raises(genai.errors.ClientError) as caught:
            await asyncio.to_thread(say_gemini, s, text, stream=False)
        assert caught.value.code == 400
        assert message in caught.value.message
        assert words in str(caught.value)
        s.up.answers = [served("gemini", f"It is {capital}", stream=True)]

        def chunks():
            with of_gemini(s) as client:
                return list(client.models.generate_content_stream(model="m", contents=text))

        *_, last = await asyncio.to_thread(chunks)
        assert len(last.candidates) == 1
        assert last.candidates[0].content.parts[0].text == message
        assert "SAFETY" in str(last.prompt_feedback.block_reason)
        assert words in last.model_dump_json()


@pytest.mark.sdk
async def test_openais_list_of_models(tmp_path):
    """Through the SDK, which follows the base URL."""
    async with scene(tmp_path) as s:
        s.up.answers = [[answer(b'{"object":"list","data":[{"id":"gpt-4o","object":"model","created":1,"owned_by":"o"}]}')]]
        models = await asyncio.to_thread(lambda: [model.id for model in of_openai(s).models.list()])
        assert models == ["gpt-4o"]


async def test_clients_may_hang_up_midway(tmp_path):
    """The provider is let go, and what was said is pushed all the same."""
    async with scene(tmp_path) as s:
        wire = served("openai_chat", "half", stream=True)
        s.up.answers = [[*wire[:3], 30.0]]
        body = json.dumps(asking("openai_chat", stream=True)).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", s.port)
        head = (
            f"POST {path_of('openai_chat')} HTTP/1.1\r\nhost: x\r\n{key_lines('openai_chat')}content-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await asyncio.wait_for(reader.readuntil(b"half"), 5)
        writer.close()
        await asyncio.wait_for(s.up.closed.wait(), 5)
        (said,) = (await s.explorer.trace())["messages"]
        assert text_of(said[-1]) == "half"
