"""The commands as a person runs them."""

import json
import os

import pytest
from typer.testing import CliRunner

from gatewright import __version__
from gatewright.cli.commands import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command in an empty folder with a home of its own."""
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL", "_HOME")) or name in ("HF_TOKEN", "GATEWRIGHT_KEY", "GATEWRIGHT_CONFIG"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, list(words), catch_exceptions=False)


GOOD = "providers: {demo: }\nmodels: {fast: {targets: [demo/demo]}}\naliases: {f: fast}\nkeys: [{name: a, key: gw-0123456789abcdef}]\n"


def test_version(run):
    """The number and nothing else, for scripts."""
    assert run("version").stdout == run("--version").stdout == f"{__version__}\n"


def test_check_tells_all_problems_and_exits_2(run, tmp_path):
    """For CI and for deploy scripts."""
    (tmp_path / "gatewright.yaml").write_text("provders: {}\nserver: {port: 0}\n")
    result = run("check")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        'gatewright.yaml:1:1 provders: unknown key; did you mean "providers"?',
        "gatewright.yaml:2:16 server.port: expected 1 or more, got 0",
    ]


def test_check_says_good_with_the_warnings(run, tmp_path):
    """Warnings go to stderr and do not fail."""
    (tmp_path / "gatewright.yaml").write_text(GOOD)
    result = run("check")
    assert (result.exit_code, result.stdout) == (0, "gatewright.yaml: good (1 provider, 1 model, 1 key)\n")
    assert "warning: gatewright.yaml:4:23 keys[0].key: a literal secret" in result.stderr
    assert "gw-0123" not in result.stderr


def test_check_without_a_file_says_where_it_looked(run):
    """There is nothing to check in an environment."""
    result = run("check")
    assert result.exit_code == 2
    assert "./gatewright.yaml" in result.stderr


def test_a_named_file_that_is_missing_is_an_error(run):
    """Never the environment instead of what was named."""
    result = run("models", "--config", "nope.yaml")
    assert result.exit_code == 2
    assert "nope.yaml:1:1 cannot be read" in result.stderr


def test_models_lists_names_aliases_and_providers(run, tmp_path):
    """For people and for machines."""
    (tmp_path / "gatewright.yaml").write_text(GOOD)
    rows = json.loads(run("models", "--json").stdout)
    assert [(row["model"], row["targets"]) for row in rows] == [
        ("fast", ["demo/demo"]),
        ("f", ["fast"]),
        ("demo/demo", ["built in"]),
    ]
    assert "fast" in run("models").stdout


def test_the_schema_is_printed_for_editors(run):
    """`gatewright config schema > gatewright.schema.json`."""
    assert json.loads(run("config", "schema").stdout)["title"] == "gatewright.yaml"


def test_connect_prints_lines_with_the_generated_key(run, tmp_path):
    """The same key each time, or clients would have to be set up anew."""
    first, second = run("connect", "curl"), run("connect", "curl")
    assert first.stdout == second.stdout
    assert (tmp_path / "home/.local/state/gatewright/client_key").read_text().strip() in first.stdout


def test_connect_write_sets_the_client_up(run, tmp_path):
    """One command and the client works."""
    (tmp_path / "gatewright.yaml").write_text(GOOD)
    result = run("connect", "claude-code", "--write", "--url", "http://gw.lan:4000/v1/")
    assert result.exit_code == 0
    assert json.loads((tmp_path / "home/.claude/settings.json").read_text())["env"] == {
        "ANTHROPIC_BASE_URL": "http://gw.lan:4000",
        "ANTHROPIC_AUTH_TOKEN": "gw-0123456789abcdef",
        "ANTHROPIC_MODEL": "fast",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "fast",
    }


def test_connect_write_refuses_what_it_cannot_keep_and_prints_the_lines(run, tmp_path):
    """A file with comments is left alone."""
    settings = tmp_path / "home/.claude/settings.json"
    settings.parent.mkdir(parents=True)
    settings.write_text("// mine\n{}")
    result = run("connect", "claude-code", "--write")
    assert result.exit_code == 1
    assert "not plain JSON" in result.stderr
    assert "ANTHROPIC_BASE_URL=" in result.stderr
    assert settings.read_text() == "// mine\n{}"


def test_connect_knows_its_clients(run):
    """A slip gets the name that was meant; a client without settings gets its lines."""
    assert 'did you mean "claude-code"?' in run("connect", "cluade-code").stderr
    result = run("connect", "curl", "--write")
    assert result.exit_code == 2
    assert "curl -N" in result.stderr
