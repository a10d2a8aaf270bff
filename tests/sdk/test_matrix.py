"""The official SDKs, unmodified, through the gateway: every client dialect against every upstream dialect, in Python and in Node."""

from collections.abc import Callable

import pytest

from tests.sdk.conftest import Clients
from tests.sdk.gateway import CLIENT_KEY
from tests.sdk.scenarios import APIS, SCENARIOS, Api, Cell
from tests.sdk.talk import Place
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
