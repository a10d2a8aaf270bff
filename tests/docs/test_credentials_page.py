"""Every configuration that docs/credentials.md shows is one that loads."""

import re

import pytest

from gatewright.config import load_config
from tests.docs.check import ROOT
from tests.identity import service_account

PAGE = (ROOT / "docs" / "credentials.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_what_the_page_shows_loads(block, tmp_path):
    """With the variables and files that it names."""
    (tmp_path / "service-account.json").write_text(service_account("https://oauth2.googleapis.com/token"))
    file = tmp_path / "gatewright.yaml"
    file.write_text(block)
    environ = {name: f"value-of-{name}" for name in re.findall(r"env:(\w+)", block)}
    config = load_config(file, {"GATEWRIGHT_HOME": str(tmp_path), **environ})
    assert config.providers
    assert not config.warnings


def test_the_page_has_them():
    """Or the test above would test nothing."""
    assert len(BLOCKS) == 5
