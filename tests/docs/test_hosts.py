"""The pages of the hosts: made from their rows, and true."""

import re

import pytest

from gatewright.config import load_config
from gatewright.providers.catalog import CATALOG
from tests.docs.hosts import page, pages


@pytest.mark.parametrize("host", CATALOG, ids=lambda host: host.name)
def test_the_configuration_that_a_page_shows_is_one(host, tmp_path):
    """An operator copies it, sets the variable that it names, and is done."""
    file = tmp_path / "gatewright.yaml"
    file.write_text(re.findall(r"```yaml\n(.*?)```", page(host), re.DOTALL)[0])
    environ = {"GATEWRIGHT_HOME": str(tmp_path), **dict.fromkeys(host.env_keys[:1], "key-1234567890123456")}
    config = load_config(file, environ)
    assert config.providers[host.name].kind == host.name


def test_every_host_has_a_line_and_a_page():
    """In the catalogue's order."""
    made = pages()
    assert set(made) == {"providers/README.md", *(f"providers/{host.name}.md" for host in CATALOG)}
    assert re.findall(r"^\| \[`([^`]+)`\]", made["providers/README.md"], re.MULTILINE) == [host.name for host in CATALOG]
