"""The strict upstream, the clients in both languages, and the real `gatewright serve` between them."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.npm import NpmMissing
from tests.sdk.clients import PYTHON
from tests.sdk.clients.node import NodeProcess, node
from tests.sdk.gateway import serving
from tests.sdk.talk import Place, Talk
from tests.upstreams.server import Upstream

pytest.register_assert_rewrite("tests.sdk.scenarios")


class Clients:
    """Opens talks and closes them. The Node process starts when first wanted."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._node: NodeProcess | None = None

    def node_process(self) -> NodeProcess:
        if self._node is None:
            try:
                self._node = self._stack.enter_context(node())
            except NpmMissing as missing:
                if os.environ.get("CI") == "true":
                    raise
                pytest.skip(f"NODE SDKS NOT TESTED: {missing}")
        return self._node

    @contextmanager
    def opening(self, language: str, api: str, place: Callable[[str], Place]) -> Iterator[Callable[[str], Talk]]:
        talks: list[Talk] = []

        def talk(kind: str) -> Talk:
            talks.append(PYTHON[api](place(kind)) if language == "python" else self.node_process().open(api, place(kind)))
            return talks[-1]

        try:
            yield talk
        finally:
            for one in talks:
                one.close()


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream().running() as running:
        yield running


@pytest.fixture(scope="session")
def clients() -> Iterator[Clients]:
    with ExitStack() as stack:
        yield Clients(stack)


@pytest.fixture(scope="session")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of `gatewright serve` in front of the strict upstream."""
    with serving(upstream.url, tmp_path_factory.mktemp("gateway")) as url:
        yield url
