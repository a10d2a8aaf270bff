"""Coding agents, unmodified and without a person, each finish a task through the gateway against an upstream of another dialect."""

import re
from pathlib import Path

import pytest
from tests.cli.agents.agents import CLAUDE_CODE, CODEX, GEMINI_CLI, OPENCODE, Agent, connect, run
from tests.cli.agents.brain import summary, thinking
from tests.upstreams.server import Upstream

pytestmark = [pytest.mark.cli, pytest.mark.usefixtures("agents")]
PATH = {"openai_chat": "/v1/chat/completions", "openai_responses": "/v1/responses", "anthropic": "/v1/messages", "gemini": "/v1"}
SEALS = {"openai_responses": "encrypted_content", "anthropic": "signature", "gemini": "thoughtSignature"}
"""The opaque field of each dialect that has one; the strict upstream believes only what it issued itself."""
MATRIX: tuple[tuple[Agent, str, str], ...] = (
    # the agent, the upstream's dialect, the model that it asks for
    (CLAUDE_CODE, "openai_chat", "openai_chat-thinks"),
    (CLAUDE_CODE, "openai_responses", "openai_responses-thinks"),
    (CLAUDE_CODE, "gemini", "claude-sonnet-4-5"),
    (CLAUDE_CODE, "openai_chat", "openai_chat-plain"),
    (CLAUDE_CODE, "openai_responses", "openai_responses-plain"),
    (CLAUDE_CODE, "gemini", "gemini-plain"),
    (CODEX, "anthropic", "anthropic-plain"),
    (CODEX, "openai_chat", "openai_chat-thinks"),
    (GEMINI_CLI, "anthropic", "anthropic-plain"),
    (GEMINI_CLI, "openai_responses", "openai_responses-thinks"),
    (GEMINI_CLI, "openai_chat", "openai_chat-plain"),
    (OPENCODE, "openai_responses", "openai_responses-thinks"),
    (CODEX, "anthropic", "gpt-5.1-codex"),
    (CODEX, "openai_chat", "openai_chat-plain"),
    (CODEX, "gemini", "gemini-thinks"),
    (GEMINI_CLI, "anthropic", "gemini-2.5-pro"),
    (GEMINI_CLI, "openai_chat", "openai_chat-thinks"),
    (OPENCODE, "gemini", "gemini-thinks"),
    (OPENCODE, "anthropic", "anthropic-thinks"),
)


@pytest.mark.parametrize(("agent", "api", "model"), MATRIX, ids=lambda value: value.name if isinstance(value, Agent) else value)
def test_an_agent_finishes_its_task(agent: Agent, api: str, model: str, gateway: str, upstream: Upstream, tmp_path: Path) -> None:
    """Two files are read at once, a third is written of what they say, a command is run, and the end is told."""
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    folder.mkdir()
    (folder / "one.txt").write_text("first-heron-4821\n")
    (folder / "two.txt").write_text("second-otter-7730\n")
    connect(agent, home, gateway, model)
    before = len(upstream.requests)
    with thinking(summary(agent.hands, folder)) as brain:
        done = run(agent, home, folder, "Read one.txt and two.txt, write what they say into summary.txt, and count its bytes.")
    told = [
        (request.path, answer.status, answer.body[:600])
        for request, answer in zip(upstream.requests[before:], upstream.answers[before:], strict=False)
    ]
    shown = f"{done.stdout[-2000:]}\n--\n{done.stderr[-3000:]}\n--\n{told}\n{brain.complaints}"
    assert done.returncode == 0, shown
    assert brain.finished, shown
    assert (folder / "summary.txt").read_text() == "first-heron-4821 and second-otter-7730 — größer 👋\n"
    assert "The notes say first-heron-4821 and second-otter-7730, in 57 bytes." in done.stdout, shown
    assert [line for line in told if line[1] != 200] == []
    assert all(path.startswith(PATH[api]) for path, _, _ in told)
    assert brain.complaints == []
    thinks = brain.asks[0].thinks and api in SEALS
    assert seals_of(upstream, before, api) == {"thinks": thinks, "returned": thinks}, shown


def seals_of(upstream: Upstream, before: int, api: str) -> dict[str, bool]:
    """Whether the first answer was sealed, and whether its seal came back with the last request, through the agent's own history.

    Of the conversation with tools: opencode asks for a title beside it, before or after as it happens.
    """
    told = zip(upstream.requests[before:], upstream.answers[before:], strict=False)
    turns = [(request, answer) for request, answer in told if b'"tools"' in request.body]
    first = b"".join(turns[0][1].chunks or ()).decode()
    found = re.search(rf'"{SEALS[api]}":"([^"]+)"', first) if api in SEALS else None
    if found is None:
        return {"thinks": False, "returned": False}
    plain = found[1].rstrip("=")
    last = turns[-1][0].body.decode()
    return {"thinks": True, "returned": plain in last or plain.replace("+", "-").replace("/", "_") in last}
