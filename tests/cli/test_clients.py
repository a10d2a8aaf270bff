"""What each client is told."""

import shlex
from pathlib import Path

import pytest

from gatewright.cli.clients import BY_NAME, CLIENTS, Address, snippet

ADDRESS = Address(url="http://127.0.0.1:4000", key="gw-1", model="demo/demo")
HOME = {"HOME": "/home/me"}


@pytest.mark.parametrize("client", [c for c in CLIENTS if c.name != "opencode"], ids=lambda c: c.name)
def test_lines_are_good_shell_and_say_where_who_and_what(client):
    """They are pasted as they are."""
    lines = client.lines(ADDRESS)
    words = " ".join(shlex.split(lines.replace("\\\n", " ")))
    assert "http://127.0.0.1:4000" in words
    assert "gw-1" in words
    assert "demo/demo" in words


def test_openai_clients_get_the_version_and_others_do_not():
    """Each SDK adds its own paths."""
    assert "http://127.0.0.1:4000/v1 " in snippet("openai-sdk", ADDRESS)
    for name in ("anthropic-sdk", "google-sdk", "claude-code", "gemini-cli"):
        assert "/v1" not in snippet(name, ADDRESS)


def test_a_variable_as_key_stays_a_variable():
    """Declared keys are not shown; the shell fills them in."""
    address = Address(url="http://h", key="$GATEWRIGHT_KEY", model="m")
    assert '"Authorization: Bearer $GATEWRIGHT_KEY"' in snippet("curl", address)
    assert 'ANTHROPIC_AUTH_TOKEN="$GATEWRIGHT_KEY"' in snippet("claude-code", address)


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("claude-code", [".claude/settings.json"]),
        ("codex", [".codex/config.toml", ".codex/.env"]),
        ("gemini-cli", [".gemini/.env", ".gemini/settings.json"]),
        ("opencode", [".config/opencode/opencode.json"]),
    ],
)
def test_settings_lie_where_the_client_looks(name, paths):
    """By default under the home folder."""
    edits = BY_NAME[name].edits(ADDRESS, HOME)
    assert [edit.path for edit in edits] == [Path("/home/me") / path for path in paths]


def test_the_clients_own_folder_variables_are_respected():
    """Several profiles on one machine are common."""
    assert BY_NAME["codex"].edits(ADDRESS, HOME | {"CODEX_HOME": "/c"})[0].path == Path("/c/config.toml")
    assert BY_NAME["claude-code"].edits(ADDRESS, HOME | {"CLAUDE_CONFIG_DIR": "/c"})[0].path == Path("/c/settings.json")
    assert BY_NAME["gemini-cli"].edits(ADDRESS, HOME | {"GEMINI_CLI_HOME": "/g"})[0].path == Path("/g/.gemini/.env")
    assert BY_NAME["opencode"].edits(ADDRESS, HOME | {"XDG_CONFIG_HOME": "/x"})[0].path == Path("/x/opencode/opencode.json")
