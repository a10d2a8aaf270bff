"""The official SDKs, unmodified, through the gateway: every client dialect against every upstream dialect, in Python and in Node."""

from collections.abc import Callable

import pytest

from tests.sdk.conftest import Clients
from tests.sdk.gateway import CLIENT_KEY
from tests.sdk.scenarios import APIS, SCENARIOS, Api, Cell, reasoning
from tests.sdk.talk import WEATHER, Place, Wish
from tests.upstreams.server import Upstream


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("api", APIS, ids=lambda api: f"to_{api}")
@pytest.mark.parametrize("client", APIS)
@pytest.mark.parametrize("language", ["python", "node"])
def test_an_official_sdk_works_against_any_upstream(
    language: str,
    client: Api,
    api: Api,
    scenario: Callable[[Cell], None],
    upstream: Upstream,
    gateway: str,
    clients: Clients,
    *,
    stream: bool,
) -> None:
    """A person keeps the client they have and chooses the provider they want."""

    def place(kind: str) -> Place:
        return Place(url=gateway, key=CLIENT_KEY, model=f"{api}-{kind}")

    with clients.opening(language, client, place) as talk:
        scenario(
            Cell(
                client=client,
                upstream_api=api,
                upstream=upstream,
                talk=talk,
                stream=stream,
                names=lambda other, kind: f"{other}-{kind}",
            )
        )


THINKERS: dict[str, tuple[Api, str, bool]] = {
    "deepseek": ("openai_chat", "chat-only/deepseek-reasoner", True),
    "claude_with_a_budget": ("anthropic", "claude/claude-haiku-4-5", True),
    "claude_adaptive": ("anthropic", "claude/claude-sonnet-5", True),
    "gemini_2": ("gemini", "google/gemini-2.5-flash", True),
    "o_series": ("openai_responses", "responses-only/o4-mini", True),
}
"""Ways to think: the API, the model, and whether it shows its reasoning to whoever asks."""


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("client", "thinker"),
    # An Anthropic client asks for a budget, which the models that only think adaptively refuse.
    [(c, t) for c in APIS for t in THINKERS if (c, t) != ("anthropic", "claude_adaptive")],
)
@pytest.mark.parametrize("language", ["python", "node"])
def test_every_way_to_think_survives_a_tool_turn(
    language: str, client: Api, thinker: str, upstream: Upstream, gateway: str, clients: Clients, *, stream: bool
) -> None:
    """Budgets, efforts, adaptive thinking and plain reasoning text: each is asked for, shown and given back."""
    api, model, shown = THINKERS[thinker]

    def place(_: str) -> Place:
        return Place(url=gateway, key=CLIENT_KEY, model=model)

    with clients.opening(language, client, place) as talk:
        reasoning(Cell(client=client, upstream_api=api, upstream=upstream, talk=talk, stream=stream, shown=shown))


@pytest.mark.sdk
@pytest.mark.parametrize("manner", ["interleaved", "at-once"])
@pytest.mark.parametrize("client", [api for api in APIS if api != "openai_chat"])
@pytest.mark.parametrize("language", ["python", "node"])
def test_calls_come_one_after_another_however_a_host_tells_them(
    language: str, client: Api, manner: str, gateway: str, clients: Clients
) -> None:
    """Some Chat hosts mix the arguments of several calls, some tell them all in one chunk; clients choke on either."""

    def place(_: str) -> Place:
        return Place(url=gateway, key=CLIENT_KEY, model="openai_chat-plain")

    with clients.opening(language, client, place) as talk:
        conversation = talk("plain")
        heard = conversation.send(f"[[{manner}]] weather?", Wish(tools=(WEATHER,), stream=True))
        assert [call.arguments["city"] for call in heard.calls] == ["Paris", "Rome"]
        after = conversation.give({heard.calls[0].id: "sun", heard.calls[1].id: "rain"})
    assert "The tools said: sun | rain." in after.text
