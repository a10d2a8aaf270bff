"""The tool runner of Anthropic's Node SDK, which keeps its threads on the server unless it is told that there are none."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.sdk.clients.node import NodeMissing, installed
from tests.sdk.gateway import CLIENT_KEY
from tests.sdk.scenarios import APIS, Api


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where the Node SDKs are. Without Node the test is skipped, but not where CI=true."""
    try:
        return installed()
    except NodeMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"NODE SDKS NOT TESTED: {missing}")


@pytest.mark.sdk
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("api", APIS)
def test_the_node_tool_runner_finishes_its_task(api: Api, gateway: str, folder: Path, *, stream: bool) -> None:
    """It falls back to the whole history on `thread_unsupported_request`."""
    command = ["node", "runner.mjs", gateway, CLIENT_KEY, f"{api}-plain", str(stream).lower()]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "The tools said: sun over Paris." in done.stdout
