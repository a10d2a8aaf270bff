"""`gatewright explain` tells a person, or a script, what would become of a request; without a server, without a call."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gatewright.cli.commands import app

CONFIG = """
providers:
  anthropic: {api_key: sk-ant-0123}
  near: {kind: openai, base_url: "http://127.0.0.1:9/v1", dialects: [openai_chat], api_key: sk-near}
models:
  smart:
    strategy: priority
    targets: [{target: near/small, context: 20}, {target: anthropic/claude-sonnet-4-5, priority: 1}]
    fallback: [near/big]
aliases: {s: smart}
keys: [{name: k, key: gw-0123456789abcdef}]
"""
REQUEST = {
    "model": "s",
    "max_tokens": 100,
    "system": "be brief",
    "top_k": 3,
    "messages": [{"role": "user", "content": "x" * 400}],
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GATEWRIGHT_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "gatewright.yaml").write_text(CONFIG)
    (tmp_path / "request.json").write_text(json.dumps(REQUEST))
    return lambda *words, stdin=None: CliRunner().invoke(app, ["explain", *words], input=stdin, catch_exceptions=False)


def test_a_person_sees_a_table(run):
    """Order, way, price, why; who was skipped; what would be lost."""
    result = run("request.json")
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "s → smart: a request in the words of anthropic, about 110 tokens, answers of at most 100"
    assert "1. anthropic/claude-sonnet-4-5 1 anthropic, as it is closed 0.00033 0.00183 the lowest number" in lines
    assert any(
        line.startswith("2. near/big 2 openai_chat, translated closed when what stands before has failed") for line in lines
    )
    assert "near/small about 110 tokens do not fit into its 20" in lines
    assert any(line.startswith("near/big top_k:") for line in lines)
    assert "sk-" not in result.stdout


def test_a_script_gets_json(run):
    """The same document as from a running gateway; the request may come from standard input, and for another model."""
    result = run("-", "--format", "json", "--model", "near/big", stdin=json.dumps(REQUEST))
    told = json.loads(result.stdout)
    assert (told["object"], told["route"], [t["target"] for t in told["targets"]]) == ("explanation", "near/big", ["near/big"])


def test_the_path_says_whose_words_they_are(run):
    """Where the fields could be two dialects'."""
    plain = json.dumps({"model": "s", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]})
    assert json.loads(run("-", "-f", "json", stdin=plain).stdout)["dialect"] == "openai_chat"
    assert json.loads(run("-", "-f", "json", "--path", "/v1/messages", stdin=plain).stdout)["dialect"] == "anthropic"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("request.json", "-m", "nowhere"), "refused with 404: The model 'nowhere' is not served here."),
        (("absent.json",), "absent.json cannot be read: No such file or directory"),
        (("request.json", "--path", "/v1/files"), "refused with 400: ?path=/v1/files is no model call"),
    ],
)
def test_what_cannot_be_told_is_an_error(run, words, said):
    """On stderr, and not with exit code 0."""
    result = run(*words)
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert result.stdout == ""


def test_a_request_that_nobody_would_take_fails(run):
    """For scripts that check a configuration."""
    request = {**REQUEST, "model": "only", "messages": [{"role": "user", "content": "x" * 4000}]}
    only = "  only: {targets: [{target: near/a, context: 10}, {target: near/b, context: 20}]}"
    Path("gatewright.yaml").write_text(CONFIG.replace("models:", f"models:\n{only}"), encoding="utf-8")
    result = run("-", stdin=json.dumps(request))
    assert result.exit_code == 1
    assert "No target of 'only' is for this request." in result.stdout
