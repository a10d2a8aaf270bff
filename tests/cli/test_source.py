"""Which configuration a command works with."""

from pathlib import Path

import pytest
import typer

from gatewright.cli.source import BAD_CONFIG, find_file, read_config


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    """A folder without a configuration, and an environment that names none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEWRIGHT_CONFIG", raising=False)
    monkeypatch.setenv("GATEWRIGHT_KEY", "gw-0123456789abcdef")


def test_the_named_file_wins_then_the_variable_then_the_folder(monkeypatch):
    """And with none of them the environment counts."""
    assert find_file(None) is None
    Path("gatewright.yaml").write_text("")
    assert find_file(None) == Path("gatewright.yaml")
    monkeypatch.setenv("GATEWRIGHT_CONFIG", "other.yaml")
    assert find_file(None) == Path("other.yaml")
    assert find_file(Path("named.yaml")) == Path("named.yaml")


def test_a_state_folder_that_cannot_be_made_is_said(monkeypatch, capsys):
    """Containers often have no home that can be written."""
    Path("file").write_text("")
    monkeypatch.delenv("GATEWRIGHT_KEY")
    monkeypatch.setenv("GATEWRIGHT_HOME", "file/state")
    with pytest.raises(typer.Exit) as caught:
        read_config(None)
    assert caught.value.exit_code == BAD_CONFIG
    assert "set GATEWRIGHT_HOME" in capsys.readouterr().err
