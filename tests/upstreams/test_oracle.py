"""The oracle is right: the official SDKs talk to the strict upstream itself, without a gateway, and every scenario holds."""

from collections.abc import Callable, Iterator

import pytest

from tests.sdk.clients import PYTHON
from tests.sdk.scenarios import APIS, SCENARIOS, Api, Cell
from tests.sdk.talk import Place, Talk
from tests.upstreams.models import KEY_OF, MODELS
from tests.upstreams.server import Upstream


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream().running() as running:
        yield running


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
@pytest.mark.parametrize("api", APIS)
def test_the_official_sdk_finds_the_upstream_genuine(
    api: Api, scenario: Callable[[Cell], None], upstream: Upstream, *, stream: bool
) -> None:
    """An oracle that the SDKs would not understand proves nothing."""
    open_talks: list[Talk] = []

    def talk(kind: str) -> Talk:
        open_talks.append(PYTHON[api](Place(url=upstream.url, key=KEY_OF[api], model=MODELS[api][kind])))
        return open_talks[-1]

    try:
        scenario(Cell(client=api, upstream_api=api, upstream=upstream, talk=talk, stream=stream))
    finally:
        for one in open_talks:
            one.close()
