"""The strict upstream, a gateway in front of it, and the agents that are run."""

import os
from collections.abc import Iterator

import pytest
from tests.cli.agents.installed import installed
from tests.npm import NpmMissing
from tests.sdk.conftest import upstream
from tests.sdk.gateway import serving
from tests.upstreams.server import Upstream

__all__ = ["upstream"]
KNOWN_NAMES = """
aliases:
  gpt-5.1-codex: anthropic-thinks
  claude-sonnet-4-5: gemini-thinks
  gemini-2.5-pro: anthropic-thinks
"""
"""Names that agents know, and treat otherwise than names they do not."""


@pytest.fixture(scope="session")
def agents() -> None:
    """The agents are installed. Without npm the test is skipped, but not where CI=true."""
    try:
        installed()
    except NpmMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"CODING AGENTS NOT TESTED: {missing}")


@pytest.fixture(scope="session")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of `gatewright serve` in front of the strict upstream, with names that agents know."""
    with serving(upstream.url, tmp_path_factory.mktemp("gateway"), KNOWN_NAMES) as url:
        yield url
