"""The real `gatewright serve`, in a process of its own, in front of the strict upstream.

One rule: it is started as an operator starts it: a command, a configuration file, a port; ready when GET /health says so.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.upstreams.answers import KEYS
from tests.upstreams.models import MODELS

CLIENT_KEY = "sk-gw-client-of-the-sdk-tests"
PROVIDER = {"openai_chat": "chat-only", "openai_responses": "responses-only", "anthropic": "claude", "gemini": "google"}
"""The provider that speaks each dialect, and nothing else."""


def configuration(upstream: str, state_dir: Path, settings: str = "") -> str:
    """Each upstream model under a name of ours: `openai_chat-plain`, and so on. `settings`: of each, beside its target."""
    names = [
        f"  {api}-{kind}: {{targets: [{PROVIDER[api]}/{model}]{settings}}}"
        for api, kinds in MODELS.items()
        for kind, model in kinds.items()
    ]
    return "\n".join(
        [
            f"server: {{state_dir: {state_dir}}}",
            "routing: {breaker: false}  # every other scenario has its upstream fail",
            "providers:",
            f"  chat-only: {{kind: openai, base_url: {upstream}/v1, dialects: [openai_chat], api_key: {KEYS['openai']}}}",
            f"  responses-only: {{kind: openai, base_url: {upstream}/v1, dialects: [openai_responses], api_key: {KEYS['openai']}}}",
            f"  claude: {{kind: anthropic, base_url: {upstream}, api_key: {KEYS['anthropic']}}}",
            f"  google: {{kind: gemini, base_url: {upstream}, api_key: {KEYS['gemini']}}}",
            f"  locked-out: {{kind: openai, base_url: {upstream}/v1, dialects: [openai_chat], api_key: sk-wrong}}",
            "models:",
            *names,
            "keys:",
            f"  - {{name: sdk, key: {CLIENT_KEY}}}",
            "",
        ]
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def serving(upstream: str, folder: Path, more: str = "", settings: str = "") -> Iterator[str]:
    """The URL of a gateway in front of the upstream; `more` is added to its configuration, `settings` to each of its models.

    Raises AssertionError with its output when it does not come up in 20 s, or when its log tells of a bug.
    """
    config = folder / "gatewright.yaml"
    config.write_text(configuration(upstream, folder / "state", settings) + more, encoding="utf-8")
    port = free_port()
    output = (folder / "gatewright.log").open("wb")
    command = [str(Path(sys.executable).parent / "gatewright"), "serve", "--config", str(config), "--port", str(port)]
    environment = {key: value for key, value in os.environ.items() if not key.endswith(("_API_KEY", "_BASE_URL"))}
    with output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=environment) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(f"{url}/health", process, folder / "gatewright.log")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
    told = (folder / "gatewright.log").read_text(encoding="utf-8", errors="replace")
    assert "Traceback" not in told, told[told.index("Traceback") :][:2000]


def wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(url, timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"the gateway did not come up: {log.read_text(encoding='utf-8', errors='replace')[-800:]}")
