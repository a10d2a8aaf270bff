"""boto3's own client, unmodified, through the gateway: Converse and InvokeModel against every upstream dialect."""

from collections.abc import Callable, Iterator

import pytest

from tests.sdk.clients.bedrock import ConverseTalk, InvokeTalk, connect
from tests.sdk.gateway import CLIENT_KEY
from tests.sdk.scenarios import APIS, SCENARIOS, Api, Cell, counting, images
from tests.sdk.talk import PNG, Place, Talk, Wish
from tests.sdk.tls_gateway import serving_tls
from tests.upstreams.server import Upstream

TALKS: dict[str, Callable[[Place, str], Talk]] = {"bedrock_converse": ConverseTalk, "bedrock_invoke": InvokeTalk}
HELD = [
    (client, scenario)
    for client in TALKS
    for scenario in SCENARIOS
    if scenario is not counting and (client, scenario) != ("bedrock_converse", images)  # Converse has no pictures by URL
]


@pytest.fixture(scope="module")
def secure(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with serving_tls(upstream.url, tmp_path_factory.mktemp("secure")) as place:
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
