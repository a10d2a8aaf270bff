"""Settings files are written whole or not at all."""

import json
import stat
from datetime import UTC, datetime

import pytest

from gatewright.cli.clients import Edit
from gatewright.cli.files import apply
from gatewright.cli.merge import CannotMerge

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)


def edit(path):
    return Edit(path=path, format="json", changes={"env": {"KEY": "gw-1"}})


def test_a_new_file_is_its_owners_alone(tmp_path):
    """A key stands in it."""
    path = tmp_path / "deep" / "settings.json"
    assert apply(edit(path), NOW) == ("written", None)
    assert json.loads(path.read_text()) == {"env": {"KEY": "gw-1"}}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert apply(edit(path), NOW) == ("unchanged", None)


def test_the_former_file_is_kept_beside_it(tmp_path):
    """Going back is one move."""
    path = tmp_path / "settings.json"
    path.write_text('{"a": 1}')
    path.chmod(0o644)
    outcome, copy = apply(edit(path), NOW)
    assert (outcome, copy.name, copy.read_text()) == ("written", "settings.json.before-gatewright-20261121-103000", '{"a": 1}')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([path.name, copy.name])


def test_a_link_stays_a_link(tmp_path):
    """Dotfiles live elsewhere."""
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("{}")
    link.symlink_to(real)
    apply(edit(link), NOW)
    assert link.is_symlink()
    assert json.loads(real.read_text()) == {"env": {"KEY": "gw-1"}}


@pytest.mark.parametrize("content", [b"// mine\n{}", b"\xff\xfe"])
def test_what_cannot_be_parsed_is_left_alone(tmp_path, content):
    """And the message names the file."""
    path = tmp_path / "settings.json"
    path.write_bytes(content)
    with pytest.raises(CannotMerge, match=r"settings\.json"):
        apply(edit(path), NOW)
    assert path.read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1
