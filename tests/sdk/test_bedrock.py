"""boto3's own client, unmodified, through the gateway: Converse and InvokeModel against every upstream dialect."""

from collections.abc import Callable, Iterator

import pytest

from tests.sdk.clients import PYTHON
from tests.sdk.clients.bedrock import ConverseTalk, InvokeTalk, connect
from tests.sdk.gateway import CLIENT_KEY
from tests.sdk.scenarios import APIS, SCENARIOS, Api, Cell, counting, declined, fails, images, limited, missing_model
from tests.sdk.talk import PNG, Place, Talk, Wish
from tests.sdk.tls_gateway import serving_tls
from tests.upstreams.answers import KEYS
from tests.upstreams.server import Upstream


def _plain(talk: Callable[[Place], Talk]) -> Callable[[Place, str], Talk]:
    """A client that is no AWS SDK: it finds the authority in its environment."""
    return lambda place, _: talk(place)


TALKS: dict[str, Callable[[Place, str], Talk]] = {"bedrock_converse": ConverseTalk, "bedrock_invoke": InvokeTalk}
CLAUDE = {
    "plain": "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "thinks": "us.anthropic.claude-sonnet-4-6",
    "missing": "us.anthropic.claude-nonexistent-1-v1:0",
}
CLIENTS: dict[str, Callable[[Place, str], Talk]] = {**{name: _plain(talk) for name, talk in PYTHON.items()}, **TALKS}
UNLIKE_CONVERSE = (images, declined, limited, missing_model, counting)
"""Converse has no pictures by URL, no refusals, no `retry-after`, another status for unknown models; its tokens are not counted."""
ON_BEDROCK = [
    (client, api, scenario)
    for client in CLIENTS
    for api in ("bedrock_converse", "bedrock_invoke")
    for scenario in SCENARIOS
    if not (api == "bedrock_converse" and scenario in UNLIKE_CONVERSE)
    and not (scenario is counting and client in TALKS)
    and (client, api) != ("bedrock_converse", "bedrock_invoke")  # served by Converse: nothing is translated
]
HELD = [
    (client, scenario)
    for client in TALKS
    for scenario in SCENARIOS
    if scenario is not counting and (client, scenario) != ("bedrock_converse", images)  # Converse has no pictures by URL
]


@pytest.fixture(scope="module")
def secure(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """(URL, authority): a gateway in front of the strict upstream, Bedrock's two APIs for Claude included."""
    at = f"kind: bedrock, base_url: {upstream.url}, region: us-east-1, api_key: {KEYS['bedrock']}"
    more = f"  by-converse: {{{at}, dialects: [bedrock_converse]}}\n  by-invoke: {{{at}}}\n"
    names = "".join(
        f"  {api}-{kind}: {{targets: ['{provider}/{model}']}}\n"
        for api, provider in (("bedrock_converse", "by-converse"), ("bedrock_invoke", "by-invoke"))
        for kind, model in CLAUDE.items()
    )
    with serving_tls(upstream.url, tmp_path_factory.mktemp("secure"), more, names) as place:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSL_CERT_FILE", place[1])  # the other SDKs' way to be told whom to trust
            yield place
        connect(place[0], CLIENT_KEY, place[1]).close()
        connect.cache_clear()


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", APIS, ids=lambda api: f"to_{api}")
@pytest.mark.parametrize(("client", "scenario"), HELD, ids=lambda word: getattr(word, "__name__", word))
def test_boto3_works_against_any_upstream(
    client: str, api: Api, scenario: Callable[[Cell], None], upstream: Upstream, secure: tuple[str, str], *, stream: bool
) -> None:
    """A team keeps its boto3 code and chooses the provider it wants."""
    url, ca_file = secure

    def talk(kind: str) -> Talk:
        return TALKS[client](Place(url=url, key=CLIENT_KEY, model=f"{api}-{kind}"), ca_file)

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


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", APIS, ids=lambda api: f"to_{api}")
def test_converse_shows_pictures_to_any_upstream(api: Api, secure: tuple[str, str], *, stream: bool) -> None:
    """As bytes, which is all that Converse has."""
    url, ca_file = secure
    talk = ConverseTalk(Place(url=url, key=CLIENT_KEY, model=f"{api}-plain"), ca_file)
    heard = talk.send("[[media]] look", Wish(stream=stream), (PNG,))
    assert f"I see image/png:{len(PNG)}." in heard.text


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("client", "api", "scenario"), ON_BEDROCK, ids=lambda word: getattr(word, "__name__", word))
def test_every_sdk_works_against_claude_on_bedrock(
    client: str, api: str, scenario: Callable[[Cell], None], upstream: Upstream, secure: tuple[str, str], *, stream: bool
) -> None:
    """By Converse and by InvokeModel, as if it were Anthropic's own API."""
    scenario(cell_on_bedrock(client, api, upstream, secure, stream=stream))


def cell_on_bedrock(client: str, api: str, upstream: Upstream, secure: tuple[str, str], *, stream: bool) -> Cell:
    url, ca_file = secure
    spoken: Api = "bedrock_converse" if api == "bedrock_converse" else "anthropic"  # type: ignore[assignment]

    def talk(kind: str) -> Talk:
        return CLIENTS[client](Place(url=url, key=CLIENT_KEY, model=f"{api}-{kind}"), ca_file)

    return Cell(
        client=client,
        upstream_api=spoken,
        upstream=upstream,
        talk=talk,
        stream=stream,
        names=lambda other, kind: f"{api if other == spoken else other}-{kind}",
    )


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", CLIENTS)
def test_what_converse_refuses_is_every_sdks_own_error(
    client: str, upstream: Upstream, secure: tuple[str, str], *, stream: bool
) -> None:
    """Throttling stays throttling; an unknown model is the request's fault, in Bedrock's words."""
    cell = cell_on_bedrock(client, "bedrock_converse", upstream, secure, stream=stream)
    assert fails(cell, "[[error:429]]").status == 429
    unknown = fails(cell, "Hi", "missing")
    assert unknown.status == 400
    assert "The provided model identifier is invalid" in unknown.message
