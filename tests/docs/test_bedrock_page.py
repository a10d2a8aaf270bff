"""Every configuration that docs/bedrock.md shows is one that loads, and every path one that is served."""

import re

import pytest

from gatewright.config import load_config
from gatewright.server.paths import match
from tests.docs.check import ROOT

PAGE = (ROOT / "docs" / "bedrock.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
VERBS = re.findall(r"/(converse(?:-stream)?|invoke(?:-with-response-stream)?)`", PAGE)


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_page_shows_loads(block, tmp_path):
    file = tmp_path / "gatewright.yaml"
    file.write_text(block)
    environ = {name: f"value-of-{name}" for name in re.findall(r"env:(\w+)", block)}
    config = load_config(file, {"GATEWRIGHT_HOME": str(tmp_path), "HOME": str(tmp_path), **environ})
    assert config.providers
    assert not config.warnings


@pytest.mark.parametrize("verb", VERBS)
def test_its_paths_are_served(verb):
    assert match("POST", f"/model/m/{verb}", ()).operation in {"generate", "invoke"}


def test_the_page_has_them():
    """Or the tests above would test nothing."""
    assert len(BLOCKS) == 2
    assert len(set(VERBS)) == 4
