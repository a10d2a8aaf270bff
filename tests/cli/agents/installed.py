"""The coding agents themselves, installed from the lock file into a cache outside the checkout.

One rule: no package runs a script when it is installed; what a script would have linked is found where it lies.
"""

import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).parent
MACHINE = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64", "arm64": "arm64"}
NATIVE: Mapping[str, str] = {
    "claude-code": "@anthropic-ai/claude-code-{system}-{machine}/claude",
    "opencode": "opencode-{system}-{machine}-baseline/bin/opencode",
}
"""Binaries of their own, in packages of their own."""
SCRIPTS: Mapping[str, str] = {"codex": "@openai/codex/bin/codex.js", "gemini-cli": "@google/gemini-cli/bundle/gemini.js"}
"""Run by node."""


class AgentsMissing(Exception):
    """There is no npm here, or it could not install the agents."""


def installed() -> Path:
    """The folder of the packages; installs them when the lock file is new. Raises AgentsMissing."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise AgentsMissing("node and npm are needed for the coding agents")
    digest = hashlib.sha256((SOURCE / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gatewright-tests" / f"agents-{digest}"
    if not (cache / "done").exists():
        cache.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, cache / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(command, cwd=cache, capture_output=True, text=True, timeout=420, check=False)
        except subprocess.TimeoutExpired:
            raise AgentsMissing("npm ci took more than 420 s") from None
        if done.returncode:
            raise AgentsMissing(f"npm ci failed: {done.stderr[-500:]}")
        (cache / "done").touch()
    return cache / "node_modules"


def command(agent: str) -> list[str]:
    """How the agent is started. Raises AgentsMissing."""
    packages = installed()
    if agent in SCRIPTS:
        return ["node", str(packages / SCRIPTS[agent])]
    machine = MACHINE.get(platform.machine(), platform.machine())
    found = packages / NATIVE[agent].format(system=platform.system().lower(), machine=machine)
    if not found.exists():
        raise AgentsMissing(f"{agent} has no package for this machine: {found} is not there")
    return [str(found)]
