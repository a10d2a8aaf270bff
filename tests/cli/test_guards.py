"""What `gatewright guards test` says of rules, and of files that are wrong."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gatewright.cli.commands import app

DOCUMENTED = Path(__file__).parents[2] / "docs" / "guards.md"
CONFIG = """
providers: {anthropic: {api_key: sk-x}}
guards:
  rules:
    - {name: plans, kind: patterns, patterns: ['secret plan'], direction: request}
    - {name: greetings, kind: patterns, patterns: [hello], direction: answer, action: flag}
    - {name: red, kind: patterns, patterns: [plan], scope: {teams: [red]}, action: log}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Holds cases against a configuration; gives the command's result."""
    monkeypatch.setenv("GATEWRIGHT_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(cases: str, config: str = CONFIG):
        (tmp_path / "gatewright.yaml").write_text(config)
        (tmp_path / "cases.yaml").write_text(cases)
        return CliRunner().invoke(app, ["guards", "test", "cases.yaml"])

    return run


def test_cases_that_are_as_expected_end_well(run):
    got = run("""
cases:
  - {name: a, text: the secret plan, expect: {plans: block}}
  - {name: b, text: a plan, expect: pass}
  - {name: c, text: a plan, team: red, expect: {red: log}}
  - {name: d, answer: hello you, expect: {greetings: flag}}
  - {name: e, text: hello you}
  - name: f
    dialect: anthropic
    request: {model: m, max_tokens: 5, messages: [{role: user, content: [{type: text, text: secret plan}]}]}
    expect: {plans: block}
""")
    assert got.exit_code == 0, got.output
    assert "6 of 6 cases as expected" in got.output


def test_an_expectation_that_is_not_met_is_shown_and_ends_with_1(run):
    got = run("cases: [{name: quiet, text: the secret plan}, {name: loud, text: hi, expect: {plans: block}}]")
    assert got.exit_code == 1
    assert "0 of 2 cases as expected" in got.output
    assert re.search(r"no +quiet +pass +plans: block", got.output)
    assert re.search(r"no +loud +plans: block +pass", got.output)


def test_a_file_that_is_wrong_says_where(run):
    got = run("cases:\n  - {name: a, text: x, expext: pass}\n  - {name: b, dialect: klingon}\n")
    assert got.exit_code == 2
    assert "cases.yaml:2:5" in got.output
    assert "expext" in got.output
    assert "cases.yaml:3:24" in got.output


def test_a_request_that_is_none_is_told_as_a_case_that_failed(run):
    got = run("cases: [{name: a, dialect: anthropic, request: {model: m, max_tokens: 5, messages: 3}}]")
    assert got.exit_code == 1
    assert "messages" in got.output


def test_the_documented_file_and_cases_agree(run, tmp_path):
    """docs/guards.md shows a configuration and a file of cases for it."""
    page = DOCUMENTED.read_text(encoding="utf-8")
    config, cases = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    got = run(cases, config + "\nproviders: {anthropic: {api_key: sk-x}}\n")
    assert got.exit_code == 0, got.output
