"""One small task with a tool, in each framework and each dialect that it speaks.

`python play.py URL KEY all|instructor MODEL…` prints a JSON line for each play and model.

One rule: it runs in a virtual environment of its own and imports nothing of the gateway. The tool's result must be in the last text.
"""

# ruff: noqa: PLC0415 - each framework is loaded when its turn comes: they are slow to load, and not all in one environment
import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable

URL, KEY, WHICH, *MODELS = sys.argv[1:]
OPENAI = f"{URL}/v1"
ASKED = "[[call]] weather?"


def get_weather(city: str) -> str:
    """Weather of a city."""
    return f"sun over {city}"


def pydantic_ai(model: object) -> str:
    from pydantic_ai import Agent

    agent = Agent(model, tools=[get_weather])

    async def streamed() -> str:
        async with agent.run_stream(ASKED) as run:
            return await run.get_output()

    return f"{agent.run_sync(ASKED).output} {asyncio.run(streamed())}"


def pydantic_ai_chat(name: str) -> str:
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return pydantic_ai(OpenAIChatModel(name, provider=OpenAIProvider(base_url=OPENAI, api_key=KEY)))


def pydantic_ai_responses(name: str) -> str:
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    return pydantic_ai(OpenAIResponsesModel(name, provider=OpenAIProvider(base_url=OPENAI, api_key=KEY)))


def pydantic_ai_anthropic(name: str) -> str:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    client = AsyncAnthropic(base_url=URL, api_key=KEY)
    return pydantic_ai(AnthropicModel(name, provider=AnthropicProvider(anthropic_client=client)))


def pydantic_ai_google(name: str) -> str:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    return pydantic_ai(GoogleModel(name, provider=GoogleProvider(api_key=KEY, base_url=URL)))


def langchain(model: object) -> str:
    from langchain_core.messages import HumanMessage, ToolMessage

    bound = model.bind_tools(
        [{"name": "get_weather", "description": "Weather.", "input_schema": SCHEMA}]
        if "Anthropic" in type(model).__name__
        else [get_weather]
    )
    history = [HumanMessage(ASKED)]
    whole = None
    for chunk in bound.stream(history):
        whole = chunk if whole is None else whole + chunk
    history.append(whole)
    history += [ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"]) for call in whole.tool_calls]
    return bound.invoke(history).text


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def langchain_chat(name: str) -> str:
    from langchain_openai import ChatOpenAI

    return langchain(ChatOpenAI(model=name, base_url=OPENAI, api_key=KEY, stream_usage=True))


def langchain_responses(name: str) -> str:
    from langchain_openai import ChatOpenAI

    return langchain(ChatOpenAI(model=name, base_url=OPENAI, api_key=KEY, use_responses_api=True))


def langchain_anthropic(name: str) -> str:
    from langchain_anthropic import ChatAnthropic

    return langchain(ChatAnthropic(model=name, base_url=URL, api_key=KEY, max_tokens=1000))


def langchain_google(name: str) -> str:
    from langchain_google_genai import ChatGoogleGenerativeAI

    return langchain(ChatGoogleGenerativeAI(model=name, google_api_key=KEY, base_url=URL))


def openai_agents(shape: Callable[..., object], name: str) -> str:
    import agents
    from openai import AsyncOpenAI

    agents.set_tracing_disabled(disabled=True)
    agent = agents.Agent(
        name="a", model=shape(name, AsyncOpenAI(base_url=OPENAI, api_key=KEY)), tools=[agents.function_tool(get_weather)]
    )

    async def streamed() -> str:
        run = agents.Runner.run_streamed(agent, ASKED)
        async for _ in run.stream_events():
            pass
        return str(run.final_output)

    async def both() -> str:
        return f"{(await agents.Runner.run(agent, ASKED)).final_output} {await streamed()}"

    return asyncio.run(both())


def openai_agents_chat(name: str) -> str:
    import agents

    return openai_agents(agents.OpenAIChatCompletionsModel, name)


def openai_agents_responses(name: str) -> str:
    import agents

    return openai_agents(agents.OpenAIResponsesModel, name)


def instructor_chat(name: str) -> str:
    import instructor
    import openai
    from pydantic import BaseModel

    class Weather(BaseModel):
        city: str

    client = instructor.from_openai(openai.OpenAI(base_url=OPENAI, api_key=KEY))
    found = client.chat.completions.create(
        model=name, response_model=Weather, messages=[{"role": "user", "content": "Which city?"}]
    )
    return f"sun over {found.city}"


def instructor_anthropic(name: str) -> str:
    import anthropic
    import instructor
    from pydantic import BaseModel

    class Weather(BaseModel):
        city: str

    client = instructor.from_anthropic(anthropic.Anthropic(base_url=URL, api_key=KEY))
    found = client.messages.create(
        model=name, max_tokens=100, response_model=Weather, messages=[{"role": "user", "content": "Which city?"}]
    )
    return f"sun over {found.city}"


def llm_chat(name: str) -> str:
    from llm.default_plugins.openai_models import Chat

    model = Chat("gw", model_name=name, api_base=OPENAI, supports_tools=True)
    model.key = KEY
    return model.chain(ASKED, tools=[get_weather], key=KEY).text()


PLAYS = {
    "all": (
        pydantic_ai_chat, pydantic_ai_responses, pydantic_ai_anthropic, pydantic_ai_google,
        langchain_chat, langchain_responses, langchain_anthropic, langchain_google,
        openai_agents_chat, openai_agents_responses, llm_chat,
    ),
    "instructor": (instructor_chat, instructor_anthropic),
}  # fmt: skip
"""By environment: instructor and the rest want different releases of the same packages."""

if __name__ == "__main__":
    os.environ.update(OPENAI_API_KEY=KEY, ANTHROPIC_API_KEY=KEY, GOOGLE_API_KEY=KEY, LANGSMITH_TRACING="false")
    for play in PLAYS[WHICH]:
        for model in MODELS:
            try:
                said = play(model)
            except Exception:
                said = traceback.format_exc()[-1500:]
            print(json.dumps({"play": play.__name__, "model": model, "said": said[-1500:]}), flush=True)
