"""What real clients require beyond the scenarios: model lists in their own shape, their own errors, raw streams, chats, documents."""

import base64
import json

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors, types

from tests.sdk.gateway import CLIENT_KEY
from tests.sdk.scenarios import APIS, Api
from tests.sdk.talk import PNG
from tests.upstreams.server import Upstream

pytestmark = pytest.mark.sdk
PDF = base64.b64encode(b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF").decode()
WEATHER = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
PROVIDER_MODEL = {
    "openai_chat": "chat-only/gpt-4.1-mini",
    "openai_responses": "responses-only/gpt-4.1-mini",
    "anthropic": "claude/claude-haiku-4-5",
    "gemini": "google/gemini-2.5-flash",
}


def openai_client(gateway: str, key: str = CLIENT_KEY) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway}/v1", api_key=key, max_retries=0)


def anthropic_client(gateway: str, key: str = CLIENT_KEY) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=gateway, api_key=key, max_retries=0)


def google_client(gateway: str, key: str = CLIENT_KEY, version: str | None = None) -> genai.Client:
    return genai.Client(
        api_key=key,
        http_options=types.HttpOptions(base_url=gateway, api_version=version, retry_options=types.HttpRetryOptions(attempts=1)),
    )


def test_each_client_lists_the_models_in_its_own_shape(gateway: str) -> None:
    """`GET /v1/models` is one path for three dialects."""
    with openai_client(gateway) as client:
        assert "anthropic-plain" in [model.id for model in client.models.list()]
        assert client.models.retrieve("anthropic-plain").id == "anthropic-plain"
    with anthropic_client(gateway) as client:
        assert "anthropic-plain" in [model.id for model in client.models.list()]
        assert client.models.retrieve("anthropic-plain").type == "model"
    with google_client(gateway) as client:
        assert "models/anthropic-plain" in [model.name for model in client.models.list()]


def test_a_wrong_key_is_each_sdks_own_authentication_error(gateway: str) -> None:
    """A client that is not let in is told so in words that its SDK knows."""
    with openai_client(gateway, "sk-wrong") as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="anthropic-plain", messages=[{"role": "user", "content": "Hi"}])
    with openai_client(gateway, "sk-wrong") as client, pytest.raises(openai.AuthenticationError):
        client.responses.create(model="anthropic-plain", input="Hi")
    with anthropic_client(gateway, "sk-wrong") as client, pytest.raises(anthropic.AuthenticationError):
        client.messages.create(model="anthropic-plain", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
    with google_client(gateway, "wrong") as client, pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model="anthropic-plain", contents="Hi")
    assert raised.value.code in {400, 401, 403}


def test_a_model_that_nothing_serves_is_not_found_and_near_names_are_told(gateway: str) -> None:
    """404 in the client's dialect."""
    with openai_client(gateway) as client, pytest.raises(openai.NotFoundError, match="anthropic-plain"):
        client.chat.completions.create(model="anthropic-plane", messages=[{"role": "user", "content": "Hi"}])
    with anthropic_client(gateway) as client, pytest.raises(anthropic.NotFoundError, match="anthropic-plain"):
        client.messages.create(model="anthropic-plane", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
    with google_client(gateway) as client, pytest.raises(errors.ClientError, match="anthropic-plain") as raised:
        client.models.generate_content(model="anthropic-plane", contents="Hi")
    assert raised.value.code == 404


def test_a_wrong_credential_of_the_gateway_is_not_the_clients_fault(gateway: str) -> None:
    """The client's key is right; the provider's is not: an error of the server, not of the caller's authentication."""
    with openai_client(gateway) as client, pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="locked-out/gpt-4.1-mini", messages=[{"role": "user", "content": "Hi"}])
    assert raised.value.status_code >= 400
    assert "sk-wrong" not in str(raised.value)


@pytest.mark.parametrize("api", APIS)
def test_provider_slash_model_is_a_name_in_every_sdk(api: Api, gateway: str) -> None:
    """A slash in a name survives bodies and paths."""
    name = PROVIDER_MODEL[api]
    with openai_client(gateway) as client:
        assert "heard" in (
            client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Hi"}]).choices[0].message.content
            or ""
        )
    with anthropic_client(gateway) as client:
        assert client.messages.create(model=name, max_tokens=9, messages=[{"role": "user", "content": "Hi"}]).content
    with google_client(gateway, version="v1beta") as client:
        assert "heard" in (client.models.generate_content(model=name, contents="Hi").text or "")


@pytest.mark.parametrize("usage", [False, True], ids=["no_usage", "usage"])
@pytest.mark.parametrize("api", APIS)
def test_a_raw_chat_stream_has_a_usage_chunk_only_when_asked(api: Api, gateway: str, *, usage: bool) -> None:
    """Usage chunks have empty choices; nobody gets one unasked."""
    options = {"stream_options": {"include_usage": True}} if usage else {}
    with openai_client(gateway) as client:
        chunks = list(
            client.chat.completions.create(
                model=f"{api}-plain", messages=[{"role": "user", "content": "Hi"}], stream=True, **options
            )
        )
    assert [bool(chunk.choices) for chunk in chunks].count(False) == int(usage)
    assert [chunk.usage is not None for chunk in chunks].count(True) == int(usage)
    assert chunks[-1 - int(usage)].choices[0].finish_reason == "stop"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1


@pytest.mark.parametrize("api", APIS)
def test_a_google_chat_goes_on_over_streamed_turns(api: Api, gateway: str) -> None:
    """The chat object keeps the pieces of a stream as its history and sends them back."""
    with google_client(gateway) as client:
        chat = client.chats.create(
            model=f"{api}-thinks", config=types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True))
        )
        for text in ("One", "Two", "Three"):
            said = "".join(chunk.text or "" for chunk in chat.send_message_stream(text))
            assert f"heard: {text}" in said


@pytest.mark.parametrize("api", APIS)
def test_a_google_client_calls_python_functions_by_itself(api: Api, gateway: str) -> None:
    """Automatic function calling: the SDK runs the function and sends its result."""

    def get_weather(city: str) -> str:
        """Weather of a city."""
        return f"sun over {city}"

    with google_client(gateway) as client:
        answer = client.models.generate_content(
            model=f"{api}-thinks", contents="[[call]] weather?", config=types.GenerateContentConfig(tools=[get_weather])
        )
    assert "sun over Paris" in (answer.text or "")


@pytest.mark.parametrize("api", APIS)
def test_a_pdf_arrives(api: Api, gateway: str) -> None:
    """A document as bytes, from every client."""
    size = len(base64.b64decode(PDF))
    with anthropic_client(gateway) as client:
        source = {"type": "base64", "media_type": "application/pdf", "data": PDF}
        content = [{"type": "document", "source": source}, {"type": "text", "text": "[[media]] read"}]
        told = client.messages.create(model=f"{api}-plain", max_tokens=99, messages=[{"role": "user", "content": content}])
        assert f"application/pdf:{size}" in told.content[0].text
    with openai_client(gateway) as client:
        data = f"data:application/pdf;base64,{PDF}"
        parts = [{"type": "file", "file": {"filename": "a.pdf", "file_data": data}}, {"type": "text", "text": "[[media]] read"}]
        chat = client.chat.completions.create(model=f"{api}-plain", messages=[{"role": "user", "content": parts}])
        assert f"application/pdf:{size}" in chat.choices[0].message.content
        inputs = [
            {"type": "input_file", "filename": "a.pdf", "file_data": data},
            {"type": "input_text", "text": "[[media]] read"},
        ]
        response = client.responses.create(model=f"{api}-plain", input=[{"role": "user", "content": inputs}])
        assert f"application/pdf:{size}" in response.output_text
    with google_client(gateway) as client:
        part = types.Part.from_bytes(data=base64.b64decode(PDF), mime_type="application/pdf")
        assert (
            f"application/pdf:{size}"
            in client.models.generate_content(model=f"{api}-plain", contents=[part, "[[media]] read"]).text
        )


@pytest.mark.parametrize("api", APIS)
def test_a_picture_in_a_tools_result_arrives(api: Api, gateway: str, upstream: Upstream) -> None:
    """A screenshot tool answers with an image; Chat Completions takes none there, so it goes beside."""
    shot = base64.b64encode(PNG).decode()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": shot}}
    with anthropic_client(gateway) as client:
        history: list = [{"role": "user", "content": "[[call]] look"}]
        first = client.messages.create(model=f"{api}-plain", max_tokens=99, messages=history, tools=[WEATHER])
        call = first.content[-1]
        results = [
            {
                "type": "tool_result",
                "tool_use_id": call.id,
                "is_error": True,
                "content": [{"type": "text", "text": "shot"}, image],
            }
        ]
        history += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
        told = client.messages.create(model=f"{api}-plain", max_tokens=99, messages=history, tools=[WEATHER])
    assert f"image/png:{len(PNG)}" in told.content[0].text
    assert shot in upstream.requests[-1].body.decode().replace("-", "+").replace("_", "/")
    with openai_client(gateway) as client:
        response = client.responses.create(
            model=f"{api}-plain",
            input="[[call]] look",
            tools=[{"type": "function", "name": "f", "parameters": WEATHER["input_schema"], "strict": False}],
            store=False,
        )
        outputs = [
            {"type": "input_text", "text": "shot"},
            {"type": "input_image", "image_url": f"data:image/png;base64,{shot}", "detail": "auto"},
        ]
        answer = {"type": "function_call_output", "call_id": response.output[-1].call_id, "output": outputs}
        final = client.responses.create(
            model=f"{api}-plain", input=[{"role": "user", "content": "[[call]] look"}, *response.output, answer], store=False
        )
    assert f"image/png:{len(PNG)}" in final.output_text


@pytest.mark.parametrize("client_api", ["anthropic", "openai_chat", "openai_responses", "gemini"])
def test_reasoning_that_shows_no_text_is_kept(client_api: Api, gateway: str, upstream: Upstream) -> None:
    """The newest Claude models think without showing it: a signature on an empty text. Losing it loses the reasoning."""
    name = "claude/claude-sonnet-5"
    before = len(upstream.requests)
    if client_api == "anthropic":
        with anthropic_client(gateway) as client:
            history: list = [{"role": "user", "content": "[[call]] look"}]
            settings: dict = {"model": name, "max_tokens": 99, "tools": [WEATHER], "thinking": {"type": "adaptive"}}
            first = client.messages.create(messages=history, **settings)
            result = {"type": "tool_result", "tool_use_id": first.content[-1].id, "content": "sun"}
            history += [{"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
            client.messages.create(messages=history, **settings)
    elif client_api == "openai_chat":
        with openai_client(gateway) as client:
            tool = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER["input_schema"]}}
            chat: list = [{"role": "user", "content": "[[call]] look"}]
            made = (
                client.chat.completions.create(model=name, messages=chat, tools=[tool], reasoning_effort="low").choices[0].message
            )
            chat += [made, {"role": "tool", "tool_call_id": made.tool_calls[0].id, "content": "sun"}]
            client.chat.completions.create(model=name, messages=chat, tools=[tool], reasoning_effort="low")
    elif client_api == "openai_responses":
        with openai_client(gateway) as client:
            function = {"type": "function", "name": "get_weather", "parameters": WEATHER["input_schema"], "strict": False}
            asked: dict = {
                "model": name,
                "tools": [function],
                "reasoning": {"effort": "low"},
                "include": ["reasoning.encrypted_content"],
                "store": False,
            }
            response = client.responses.create(input="[[call]] look", **asked)
            answer = {"type": "function_call_output", "call_id": response.output[-1].call_id, "output": "sun"}
            client.responses.create(input=[{"role": "user", "content": "[[call]] look"}, *response.output, answer], **asked)
    else:
        with google_client(gateway) as client:
            declared = types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER["input_schema"])
            config = types.GenerateContentConfig(
                tools=[types.Tool(function_declarations=[declared])], thinking_config=types.ThinkingConfig(thinking_budget=2048)
            )
            asking = types.Content(role="user", parts=[types.Part.from_text(text="[[call]] look")])
            answered = client.models.generate_content(model=name, contents=[asking], config=config)
            given = types.Part.from_function_response(name="get_weather", response={"result": "sun"})
            replay = [asking, answered.candidates[0].content, types.Content(role="user", parts=[given])]
            client.models.generate_content(model=name, contents=replay, config=config)
    first_answer, second_request = upstream.answers[before], upstream.requests[before + 1]
    signature = first_answer.body.decode().split('"signature": "')[1].split('"')[0]
    assert signature in second_request.body.decode()
    assert upstream.answers[before + 1].status == 200


FORGETFUL = {
    "responses-only/gpt-5-mini": "encrypted_content",
    "claude/claude-haiku-4-5": "signature",
    "claude/claude-sonnet-5": "signature",
    "google/gemini-3-pro-preview": "thoughtSignature",
}
"""Models whose reasoning must come back with a tool's result, and the field in which it does."""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", FORGETFUL)
def test_a_client_that_forgets_reasoning_has_it_put_back(model: str, gateway: str, upstream: Upstream, *, stream: bool) -> None:
    """Most Chat clients rebuild their history from the fields they know."""
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": WEATHER["input_schema"]}}
    history: list = [{"role": "user", "content": "[[call]] look"}]
    settings: dict = {"model": model, "tools": [tool], "reasoning_effort": "low"}
    with openai_client(gateway) as client:
        if stream:
            identity, arguments = "", ""
            for chunk in client.chat.completions.create(messages=history, stream=True, **settings):
                for delta in chunk.choices[0].delta.tool_calls or () if chunk.choices else ():
                    identity = delta.id or identity
                    arguments += delta.function.arguments or ""
        else:
            (made,) = client.chat.completions.create(messages=history, **settings).choices[0].message.tool_calls
            identity, arguments = made.id, made.function.arguments
        call = {"id": identity, "type": "function", "function": {"name": "get_weather", "arguments": arguments}}
        history += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": identity, "content": "sun"},
        ]
        answer = client.chat.completions.create(messages=history, **settings)
    assert "The tools said: sun." in (answer.choices[0].message.content or "")
    assert FORGETFUL[model] in upstream.requests[-1].body.decode()


@pytest.mark.parametrize("api", APIS)
def test_a_responses_stream_numbers_and_names_its_events(api: Api, gateway: str) -> None:
    """Clients rely on `event:` lines, on a number for each event, and on deltas that add up to what is done."""
    with openai_client(gateway) as client, client.responses.with_streaming_response.create(
        model=f"{api}-thinks", input="[[say-call]] look", stream=True, reasoning={"effort": "low", "summary": "auto"},
        tools=[{"type": "function", "name": "get_weather", "parameters": WEATHER["input_schema"], "strict": False}],
    ) as raw:  # fmt: skip
        wire = raw.read().decode()
    events = [
        dict(line.split(": ", 1) for line in block.split("\n"))
        for block in wire.strip().split("\n\n")
        if not block.startswith(":")
    ]
    told = [json.loads(event["data"]) for event in events]
    assert [event["event"] for event in events] == [document["type"] for document in told]
    assert [document["sequence_number"] for document in told] == list(range(len(told)))
    last = told[-1]["response"]
    assert [item["type"] for item in last["output"] if item["type"] != "reasoning"] == ["message", "function_call"]
    done = {document["output_index"]: document["item"] for document in told if document["type"] == "response.output_item.done"}
    assert [done[i] for i in sorted(done)] == last["output"]
    arguments = "".join(document["delta"] for document in told if document["type"] == "response.function_call_arguments.delta")
    assert [arguments] == [item["arguments"] for item in last["output"] if item["type"] == "function_call"]


def test_a_quota_that_is_used_up_is_told_as_such(gateway: str) -> None:
    """Waiting does not help; the SDK's error says why."""
    with openai_client(gateway) as client, pytest.raises(openai.RateLimitError) as raised:
        client.chat.completions.create(model="openai_chat-plain", messages=[{"role": "user", "content": "[[error:quota]]"}])
    assert raised.value.code == "insufficient_quota"
