"""The oracle is right: the official SDKs talk to the strict upstream itself, without a gateway, and every scenario holds."""

from collections.abc import Callable

import pytest

from tests.sdk.conftest import Clients
from tests.sdk.scenarios import APIS, SCENARIOS, Api, Cell
from tests.sdk.talk import Place
from tests.upstreams.models import KEY_OF, MODELS
from tests.upstreams.server import Upstream


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("language", ["python", "node"])
def test_the_official_sdk_finds_the_upstream_genuine(
    language: str, api: Api, scenario: Callable[[Cell], None], upstream: Upstream, clients: Clients, *, stream: bool
) -> None:
    """An oracle that the SDKs would not understand proves nothing."""

    def place(kind: str) -> Place:
        return Place(url=upstream.url, key=KEY_OF[api], model=MODELS[api][kind])

    with clients.opening(language, api, place) as talk:
        scenario(Cell(client=api, upstream_api=api, upstream=upstream, talk=talk, stream=stream))
