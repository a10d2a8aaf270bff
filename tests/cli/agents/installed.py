"""The coding agents themselves.

One rule: what a package's own script would have linked at its installation is found where it lies.
"""

import platform
from collections.abc import Mapping
from pathlib import Path

from tests import npm

SOURCE = Path(__file__).parent
MACHINE = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64", "arm64": "arm64"}
NATIVE: Mapping[str, str] = {
    "claude-code": "@anthropic-ai/claude-code-{system}-{machine}/claude",
    "opencode": "opencode-{system}-{machine}-baseline/bin/opencode",
}
"""Binaries of their own, in packages of their own."""
SCRIPTS: Mapping[str, str] = {"codex": "@openai/codex/bin/codex.js", "gemini-cli": "@google/gemini-cli/bundle/gemini.js"}
"""Run by node."""


def installed() -> Path:
    """The folder of the packages. Raises NpmMissing."""
    return npm.installed(SOURCE, "agents") / "node_modules"


def command(agent: str) -> list[str]:
    """How the agent is started. Raises NpmMissing."""
    packages = installed()
    if agent in SCRIPTS:
        return ["node", str(packages / SCRIPTS[agent])]
    machine = MACHINE.get(platform.machine(), platform.machine())
    found = packages / NATIVE[agent].format(system=platform.system().lower(), machine=machine)
    if not found.exists():
        raise npm.NpmMissing(f"{agent} has no package for this machine: {found} is not there")
    return [str(found)]
