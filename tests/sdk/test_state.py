"""What the SDKs keep on the server: Responses by id, and Anthropic's message threads, whatever the upstream keeps itself."""

import openai
import pytest
from anthropic import Anthropic, beta_tool

from tests.sdk.clients.node import run_tools
from tests.sdk.conftest import Clients
from tests.sdk.gateway import CLIENT_KEY
from tests.sdk.scenarios import APIS, Api
from tests.sdk.talk import Place
from tests.upstreams.server import Upstream

pytestmark = pytest.mark.sdk
FUNCTION = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


@pytest.mark.parametrize("api", APIS)
def test_a_response_is_continued_by_its_id(api: Api, gateway: str, upstream: Upstream) -> None:
    """`previous_response_id` works against any upstream, a tool turn and reasoning included."""
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        settings: dict = {"model": f"{api}-thinks", "reasoning": {"effort": "low"}, "tools": [FUNCTION]}
        first = client.responses.create(input="[[call]] weather?", **settings)
        (call,) = [item for item in first.output if item.type == "function_call"]
        output = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
        second = client.responses.create(input=[output], previous_response_id=first.id, **settings)
        assert "The tools said: sun." in second.output_text
        assert second.previous_response_id == first.id
        with client.responses.stream(input="And now?", previous_response_id=second.id, **settings) as stream:
            for _ in stream:
                pass
            third = stream.get_final_response()
        assert "heard: And now?" in third.output_text
        fourth = client.responses.create(input="Still there?", previous_response_id=third.id, **settings)
        assert "heard: Still there?" in fourth.output_text
    assert b"weather?" in upstream.requests[-1].body or api == "openai_responses"


@pytest.mark.parametrize("api", [api for api in APIS if api != "openai_responses"])
def test_a_stored_response_is_found_and_deleted(api: Api, gateway: str) -> None:
    """What was stored can be read back with its input, and is gone when deleted; an unknown id is an error that says so."""
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        made = client.responses.create(model=f"{api}-plain", input="Keep this")
        assert client.responses.retrieve(made.id).output_text == made.output_text
        items = list(client.responses.input_items.list(made.id))
        assert "Keep this" in str(items)
        client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(made.id)
        with pytest.raises((openai.NotFoundError, openai.BadRequestError), match="resp_unknown"):
            client.responses.create(model=f"{api}-plain", input="x", previous_response_id="resp_unknown")


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", ["anthropic", "openai_chat"])
def test_the_tool_runners_of_the_node_sdks_finish_their_task(
    client: str, api: Api, gateway: str, clients: Clients, *, stream: bool
) -> None:
    """They keep the history themselves, and fall back from threads on their own."""
    place = Place(url=gateway, key=CLIENT_KEY, model=f"{api}-plain")
    assert "The tools said: sun over Paris." in run_tools(clients.node_process(), client, place, stream=stream)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_anthropic_tool_runner_finishes_its_task(api: Api, gateway: str, *, stream: bool) -> None:
    """The runner asks for server-side threads; told that there are none, it sends the whole history itself."""

    @beta_tool
    def get_weather(city: str) -> str:
        """Weather of a city."""
        return f"sun over {city}"

    with Anthropic(base_url=gateway, api_key=CLIENT_KEY, max_retries=0) as client:
        runner = client.beta.messages.tool_runner(
            model=f"{api}-plain",
            max_tokens=1000,
            tools=[get_weather],
            messages=[{"role": "user", "content": "[[call]] weather?"}],
            stream=stream,
        )
        if stream:
            for one in runner:
                for _ in one:
                    pass
                last = one.get_final_message()
        else:
            last = runner.until_done()
    assert "The tools said: sun over Paris." in "".join(block.text for block in last.content if block.type == "text")
