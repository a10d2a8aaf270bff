"""`gatewright import` as a person runs it."""

import os
import re
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gatewright.cli.commands import app
from gatewright.cli.import_config import stand_in
from gatewright.config.tree import read_yaml

FILES = Path(__file__).parents[1] / "importing" / "files"
GOOD = "model_list: [{model_name: m, litellm_params: {model: gpt-4o, api_key: os.environ/MY_KEY}}]\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command in an empty folder."""
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL", "_HOME")) or name == "GATEWRIGHT_CONFIG":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return lambda *words, **more: CliRunner().invoke(app, ["import", *words], catch_exceptions=False, **more)


def test_the_file_goes_to_stdout_and_everything_for_people_to_stderr(run, tmp_path):
    """So that it can be piped; the summary names what must be set, and no problem that setting it will solve."""
    (tmp_path / "config.yaml").write_text(GOOD)
    result = run("litellm", "config.yaml")
    assert result.exit_code == 0
    assert read_yaml(result.stdout).value == {
        "providers": {"openai": {"api_key": "env:MY_KEY"}},
        "models": {"m": {"targets": ["openai/gpt-4o"]}},
    }
    assert result.stderr == "stdout: 1 provider, 1 model, 0 keys\n\nSet for the gateway: MY_KEY\n"


def test_the_result_passes_the_check(run, tmp_path, monkeypatch):
    """What was written is what `check` reads."""
    (tmp_path / "config.yaml").write_text(GOOD)
    assert run("litellm", "config.yaml", "-o", "gatewright.yaml").exit_code == 0
    assert stat.S_IMODE((tmp_path / "gatewright.yaml").stat().st_mode) == 0o600
    monkeypatch.setenv("MY_KEY", "sk-1")
    checked = CliRunner().invoke(app, ["check"], catch_exceptions=False)
    assert (checked.exit_code, checked.stdout) == (0, "gatewright.yaml: good (1 provider, 1 model, 0 keys)\n")


def test_nothing_is_overwritten_unasked(run, tmp_path):
    """The old file stays until --force."""
    (tmp_path / "config.yaml").write_text(GOOD)
    (tmp_path / "out.yaml").write_text("mine")
    result = run("litellm", "config.yaml", "-o", "out.yaml")
    assert (result.exit_code, (tmp_path / "out.yaml").read_text()) == (2, "mine")
    assert "--force" in result.stderr
    assert run("litellm", "config.yaml", "-o", "out.yaml", "--force").exit_code == 0
    assert "openai" in (tmp_path / "out.yaml").read_text()


def test_from_stdin(run):
    """For pipes from a cluster's configuration map."""
    result = run("litellm", "-", input=GOOD)
    assert result.exit_code == 0
    assert result.stdout.startswith("# Made from stdin (LiteLLM)")


@pytest.mark.parametrize(
    ("gateway", "file"), [("litellm", "litellm.yaml"), ("bifrost", "bifrost.json"), ("portkey", "portkey.json")]
)
def test_the_summary_lists_what_was_left_with_its_line(run, gateway, file):
    """`file:line:col path: why`; secrets of the source are in the result alone."""
    result = run(gateway, str(FILES / file))
    assert result.exit_code == 0
    listed = [line for line in result.stderr.splitlines() if line.startswith(f"  {FILES / file}:")]
    assert len(listed) == int(re.search(r"Not carried over \((\d+)\)", result.stderr)[1]) > 3
    assert all(re.match(r"  .+:\d+:\d+ \S+: .+", line) for line in listed)
    assert "Still to be mended" not in result.stderr
    for secret in ("secretpw", "sk-ant-literal", "sk-az", "sk-bf-test"):
        assert secret not in result.stderr
    assert "secretpw" not in result.stdout


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("litellm", "nowhere.yaml"), "nowhere.yaml:1:1 cannot be read: No such file or directory"),
        (("litellm", "bad.yaml"), "bad.yaml:2:4 model_list: expected a list, got a mapping"),
        (("bifrost", "bad.yaml"), "bad.yaml:1:1 expected Bifrost's configuration"),
        (("litellm", "config.yaml", "-o", "nowhere/out.yaml"), "nowhere/out.yaml cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_told_and_ends_with_2(run, tmp_path, words, complaint):
    """One line with file and place, and nothing on stdout."""
    (tmp_path / "bad.yaml").write_text("model_list:\n   {a: 1}\n")
    (tmp_path / "config.yaml").write_text(GOOD)
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(complaint)


def test_what_no_variable_will_mend_is_told(run):
    """The operator hears of it before `check` says so."""
    text = "model_list: [{model_name: m, litellm_params: {model: openai/x, api_key: k, api_base: 'ftp://h'}}]"
    assert "Still to be mended:\n  gatewright.yaml:4:" in run("litellm", "-", input=text).stderr


def test_stand_ins_are_of_the_kind_that_the_name_promises():
    """A region looks like one; two keys are two."""
    assert stand_in("AWS_REGION_NAME") == "us-east-1"
    assert stand_in("AZURE_API_BASE").startswith("https://")
    assert stand_in("A_KEY") != stand_in("B_KEY")
