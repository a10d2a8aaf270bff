"""The reference of all settings."""

from pathlib import Path

from gatewright.config.reference import PLACES, reference
from gatewright.config.schema import ConfigFile
from gatewright.providers.catalog import CATALOG

PAGE = Path(__file__).parents[2] / "docs/configuration.md"


def test_the_page_in_the_repository_is_the_one_that_the_types_make():
    """`gatewright config reference > docs/configuration.md` after every change of a setting."""
    assert PAGE.read_text(encoding="utf-8") == reference()


def test_every_section_and_every_host_is_on_the_page():
    """A setting that is not documented does not exist."""
    sections = ConfigFile.model_json_schema()["$defs"]
    assert set(sections) == set(PLACES)
    page = reference()
    for section in sections.values():
        for name in section["properties"]:
            assert f"| `{name}` |" in page
    for host in CATALOG:
        assert f"| `{host.name}` |" in page
