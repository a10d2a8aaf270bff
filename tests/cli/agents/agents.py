"""The four agents: how each is run without a person, and what its tools take.

One rule: its settings are written by `gatewright connect`, and it reaches nothing but the gateway.
"""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.cli.agents.brain import Hands
from tests.cli.agents.installed import command
from tests.sdk.gateway import CLIENT_KEY
from tests.upstreams.script import Use

GATEWRIGHT = str(Path(sys.executable).parent / "gatewright")
NOWHERE = "http://127.0.0.1:9"
"""A proxy that is not there: what is not on this machine cannot be reached."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agent:
    name: str
    """As `gatewright connect` knows it."""
    words: tuple[str, ...]
    """What follows the command; the prompt comes last."""
    hands: Hands
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


def patched(given: Mapping[str, str]) -> str:
    added = "".join(f"+{line}\n" for line in given["text"].splitlines())
    return f"*** Begin Patch\n*** Add File: {given['path']}\n{added}*** End Patch"


CLAUDE_CODE = Agent(
    name="claude-code",
    words=("--allowedTools", "Read,Write,Bash", "--permission-mode", "acceptEdits", "-p"),
    hands=Hands(
        read=lambda given: Use("Read", {"file_path": given["path"]}),
        write=lambda given: Use("Write", {"file_path": given["path"], "content": given["text"]}),
        run=lambda given: Use("Bash", {"command": given["line"], "description": "Count bytes"}),
    ),
    environment={"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"},
)
CODEX = Agent(
    name="codex",
    words=("exec", "--dangerously-bypass-approvals-and-sandbox", "--skip-git-repo-check"),
    hands=Hands(
        read=lambda given: Use("exec_command", {"cmd": f"cat {given['path']}"}),
        write=lambda given: Use("exec_command", {"cmd": f"apply_patch <<'EOF'\n{patched(given)}\nEOF"}),
        run=lambda given: Use("exec_command", {"cmd": given["line"]}),
    ),
)
GEMINI_CLI = Agent(
    name="gemini-cli",
    words=("--yolo", "--skip-trust", "-p"),
    hands=Hands(
        read=lambda given: Use("read_file", {"file_path": given["path"]}),
        write=lambda given: Use("write_file", {"file_path": given["path"], "content": given["text"]}),
        run=lambda given: Use("run_shell_command", {"command": given["line"]}),
    ),
    environment={"GEMINI_TELEMETRY_ENABLED": "false"},
)
OPENCODE = Agent(
    name="opencode",
    words=("run", "--auto"),
    hands=Hands(
        read=lambda given: Use("read", {"filePath": given["path"]}),
        write=lambda given: Use("write", {"filePath": given["path"], "content": given["text"]}),
        run=lambda given: Use("bash", {"command": given["line"]}),
    ),
    environment={"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"},
)


def environment(agent: Agent, home: Path) -> dict[str, str]:
    """A home of its own, no credentials of the machine's user, and no way out."""
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "SYSTEMROOT") if key in os.environ}
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), NOWHERE)
    direct = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    return kept | proxies | direct | {"HOME": str(home), "TMPDIR": str(home), "CI": "true", "TERM": "dumb"} | agent.environment


def connect(agent: Agent, home: Path, url: str, model: str) -> str:
    """Have the gateway write the agent's settings; what the command said."""
    words = [GATEWRIGHT, "connect", agent.name, "--write", "--url", url, "--key", CLIENT_KEY, "--model", model]
    written = subprocess.run(
        words, env=environment(agent, home), cwd=home, capture_output=True, text=True, timeout=60, check=False
    )
    assert written.returncode == 0, written.stderr
    return written.stdout


def run(agent: Agent, home: Path, folder: Path, prompt: str) -> "subprocess.CompletedProcess[str]":
    """The agent, from start to end, in `folder`."""
    words = [*command(agent.name), *agent.words, prompt]
    return subprocess.run(
        words,
        env=environment(agent, home),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
