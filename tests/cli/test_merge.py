"""Edits of other people's settings: what was there stays."""

import json
import tomllib

import pytest

from gatewright.cli.merge import CannotMerge, merge

CODEX = {
    "model": "smart",
    "model_provider": "gatewright",
    "model_providers": {"gatewright": {"name": "Gatewright", "base_url": "http://h/v1"}},
}


def test_json_is_merged_object_by_object():
    """Permissions, hooks and other variables are somebody's work."""
    before = '{\n    "permissions": {"allow": ["Bash"]},\n    "env": {"FOO": "é", "A": "old"}\n}\n'
    after = merge(before, {"env": {"A": "new", "B": "2"}}, "json")
    assert json.loads(after) == {"permissions": {"allow": ["Bash"]}, "env": {"FOO": "é", "A": "new", "B": "2"}}
    assert list(json.loads(after)) == ["permissions", "env"]
    assert '    "env"' in after
    assert "é" in after


@pytest.mark.parametrize("text", ["// c\n{}", '{"a": 1,}', "[]", '"x"', "{", '{"a": 1, "a": 2}', "{'a': 1}"])
def test_json_that_cannot_be_kept_is_refused(text):
    """Comments and double keys would be lost without a word."""
    with pytest.raises(CannotMerge):
        merge(text, {"env": {}}, "json")


@pytest.mark.parametrize("kind", ["json", "toml", "dotenv"])
def test_a_second_time_changes_nothing(kind):
    """Running `connect --write` again is harmless."""
    changes = {"A": "x"} if kind == "dotenv" else {"a": "x", "b": {"c": {"d": "y"}}}
    once = merge("", changes, kind)
    assert merge(once, changes, kind) == once


def test_toml_keeps_comments_and_other_tables():
    """Only the lines that must change do."""
    before = (
        '# mine\nmodel = "gpt"  # best\napproval_policy = \'never\'\n\n[model_providers.other]\nname = "o"\n\n'
        '[ model_providers."gatewright" ] # here\nname = "old"\nhttp_headers = { a = "b" }\n\n[mcp_servers.x]\nargs = ["[a]",\n  "model = 1"]\n'
    )
    after = merge(before, CODEX, "toml")
    document = tomllib.loads(after)
    assert document["model"] == "smart"
    assert document["model_provider"] == "gatewright"
    assert document["model_providers"]["gatewright"] == {
        "name": "Gatewright",
        "base_url": "http://h/v1",
        "http_headers": {"a": "b"},
    }
    assert document["mcp_servers"] == tomllib.loads(before)["mcp_servers"]
    assert document["approval_policy"] == "never"
    assert 'model = "smart"  # best' in after
    assert set(before.splitlines()) - set(after.splitlines()) == {'model = "gpt"  # best', 'name = "old"'}


def test_toml_begins_from_nothing():
    """The first settings file of a new machine."""
    assert tomllib.loads(merge("", CODEX, "toml")) == CODEX


@pytest.mark.parametrize(
    "text",
    [
        "model_providers = { gatewright = { name = 'x' } }",
        "model_providers.gatewright.name = 'x'",
        'model = """\nlong\n"""',
        "model = ",
        "[[model_providers]]\nname = 'x'",
        "model_providers = 5",
        "a = '''\n[model_providers.gatewright]\n'''",
    ],
)
def test_toml_of_another_shape_is_refused(text):
    """What the lines alone do not show is read back and compared."""
    with pytest.raises(CannotMerge):
        merge(text, CODEX, "toml")


def test_dotenv_replaces_lines_and_appends_the_rest():
    """A variable that stands twice would win over ours."""
    before = "# mine\nexport FOO=1\nKEY=old\nexport KEY=older\n"
    assert merge(before, {"KEY": "new", "URL": "http://h:1", "NAME": "a b"}, "dotenv") == (
        "# mine\nexport FOO=1\nKEY=new\nURL=http://h:1\nNAME='a b'\n"
    )
    with pytest.raises(CannotMerge):
        merge("", {"KEY": "a'b c"}, "dotenv")
