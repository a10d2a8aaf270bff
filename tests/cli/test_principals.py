"""`gatewright keys`, `teams`, `limits`, `budgets`, `audit`: on the database itself, with or without a running gateway."""

import json
import re

import pytest
import typer
from typer.testing import CliRunner

from gatewright.cli import administration

YAML = """
providers: {demo: {kind: demo}}
teams: {house: {}}
keys: [{name: root, key: gw-root-key-of-the-file, role: admin}]
"""
app = typer.Typer()
administration.add_to(app)


@pytest.fixture
def run(tmp_path, monkeypatch):
    file = tmp_path / "gatewright.yaml"
    file.write_text(YAML)
    monkeypatch.setenv("GATEWRIGHT_CONFIG", str(file))
    monkeypatch.setenv("GATEWRIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: str, code: int = 0):
        got = CliRunner().invoke(app, [*words])
        assert got.exit_code == code, got.output
        return got

    return call


def told(got) -> object:
    return json.loads(got.stdout)


def test_a_key_from_the_first_to_the_last(run):
    """Made and shown once, listed with those of the file, rotated, disabled, enabled, revoked; names serve as ids do."""
    made = run("keys", "create", "ci", "--model", "demo/*", "--expires", "30d")
    assert "only time" in made.stderr
    secret = re.search(r"gw-[\w-]{43}", made.stdout)[0]
    listed = told(run("keys", "list", "--format", "json"))
    assert [(key["name"], key["declared"], key["status"]) for key in listed] == [
        ("root", True, "active"),
        ("ci", False, "active"),
    ]
    rotated = told(run("keys", "rotate", "ci", "--overlap", "24h", "--format", "json"))
    assert rotated["key"] != secret
    assert rotated["previous_ends"]
    assert told(run("keys", "disable", "ci", "--format", "json"))["status"] == "disabled"
    assert told(run("keys", "enable", listed[1]["id"], "--format", "json"))["status"] == "active"
    shown = told(run("keys", "show", "ci", "--format", "json"))
    assert (shown["models"], shown["expires"]) == (["demo/*"], listed[1]["expires"]), "what was not changed is as it was"
    assert told(run("keys", "revoke", "ci", "--format", "json"))["status"] == "revoked"
    for words in (("rotate", "ci"), ("enable", "ci"), ("create", "ci"), ("revoke", "root"), ("show", "nobody")):
        run("keys", *words, code=1)
    everything = "".join(run(*words).output for words in (("keys", "list"), ("keys", "show", "ci"), ("audit",)))
    assert "revoked" in everything
    assert secret not in everything
    assert rotated["key"] not in everything


def test_groups_and_what_is_granted(run):
    """Whoever has members stays; what is granted is told as the configuration would write it; the log has every change."""
    run("organizations", "create", "acme")
    run("teams", "create", "red", "--organization", "acme", "--model", "gpt-*")
    run("users", "create", "ann@example.com", "--team", "red", "--metadata", "desk=4")
    run("keys", "create", "hers", "--user", "ann@example.com")
    limit = told(
        run("limits", "create", "--level", "key", "--id", "hers", "--per", "minute", "--requests", "3", "--format", "json")
    )
    assert (limit["per"], limit["requests"]) == ("minute", 3)
    budget = told(run("budgets", "create", "0.5", "--level", "team", "--id", "red", "--per", "30d", "--format", "json"))
    assert (budget["per"], budget["dollars"]) == ({"rolling": "30d"}, 0.5)
    assert "gpt-*" in run("teams", "list").stdout
    assert "minute" in run("limits", "list").stdout
    run("teams", "remove", "red", code=1)
    run("teams", "remove", "house", code=1)
    run("limits", "remove", limit["id"])
    run("teams", "disable", "red")
    assert told(run("teams", "show", "red", "--format", "json"))["models"] == ["gpt-*"]
    log = told(run("audit", "--format", "json"))
    assert [(line["action"], line["kind"]) for line in log][-2:] == [("delete", "limits"), ("update", "teams")]
    assert {line["via"] for line in log} == {"cli"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("keys", "create", "a b"), "name"),
        (("keys", "create", "a", "--role", "boss"), "role"),
        (("keys", "create", "a", "--expires", "soon"), "30d"),
        (("keys", "create", "a", "--metadata", "x"), "name=value"),
        (("keys", "rotate", "a", "--overlap", "1y"), "24h"),
        (("budgets", "create", "5", "--per", "year"), "per"),
    ],
)
def test_what_makes_no_sense_is_told(run, words, said):
    """With what was expected; nothing is made."""
    assert said in run(*words, code=2).stderr
