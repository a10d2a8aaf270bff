"""Frameworks over the SDKs, each with the SDK releases that it wants, do a task with a tool through the gateway."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sdk.conftest import upstream
from tests.sdk.gateway import CLIENT_KEY, serving
from tests.upstreams.server import Upstream

__all__ = ["upstream"]
SOURCE = Path(__file__).parent
MODELS = ("openai_chat-plain", "openai_responses-thinks", "anthropic-thinks")
"""Each framework speaks up to four dialects; together these are other ones than its own."""
pytestmark = pytest.mark.cli


def environment(which: str) -> Path:
    """The python of an environment with what the requirements name, kept outside the checkout. Raises CalledProcessError."""
    wanted = SOURCE / ("requirements.txt" if which == "all" else f"requirements-{which}.txt")
    digest = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gatewright-tests" / f"frameworks-{digest}"
    python = cache / "bin" / "python"
    if not (cache / "done").exists():
        for command in (
            [sys.executable, "-m", "venv", str(cache)],
            [str(python), "-m", "pip", "install", "-q", "uv"],
            [str(python), "-m", "uv", "pip", "install", "-q", "--python", str(python), "-r", str(wanted)],
        ):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)
        (cache / "done").touch()
    return python


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(upstream.url, tmp_path_factory.mktemp("gateway")) as url:
        yield url


@pytest.mark.parametrize("which", ["all", "instructor"])
def test_frameworks_do_a_task_with_a_tool(which: str, gateway: str) -> None:
    """pydantic-ai, LangChain, the OpenAI agents SDK, llm and instructor, in every dialect that each speaks, streamed and whole."""
    try:
        python = environment(which)
    except subprocess.SubprocessError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"FRAMEWORKS NOT TESTED: {error}")
    command = [str(python), str(SOURCE / "play.py"), gateway, CLIENT_KEY, which, *MODELS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == len(MODELS) * (11 if which == "all" else 2)
    assert [play for play in told if "sun over Paris" not in play["said"]] == []
