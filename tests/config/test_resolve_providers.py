"""Providers, from the file's section and the catalogue's row."""

import pytest

from gatewright.config import ConfigError, load_config
from gatewright.config.model import TimeoutsConfig
from gatewright.config.resolve_providers import RESERVED, is_own, overlay
from gatewright.config.schema import TimeoutsOverride
from gatewright.providers.catalog import HOSTS


def test_an_override_changes_only_what_it_says():
    """The rest stays as it is for all."""
    assert overlay(TimeoutsConfig(idle_s=7), TimeoutsOverride(connect_s=1)) == TimeoutsConfig(idle_s=7, connect_s=1)


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("http://127.0.0.1:4000", True),
        ("http://localhost:4000/v1", True),
        ("http://10.0.0.5:4000", True),
        ("http://127.0.0.1:4001", False),
        ("http://elsewhere:4000", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_the_gateways_own_address_is_known(url, own):
    """Calls to it would go in a circle."""
    assert is_own(url, "10.0.0.5", 4000) == own


def test_no_catalogue_name_is_a_reserved_path():
    """`/{provider}/…` must work for all of them."""
    assert not RESERVED & set(HOSTS)


def test_quirks_are_those_of_the_kind_or_those_that_are_named(tmp_path):
    """A name that nobody knows is a slip."""
    file = tmp_path / "gatewright.yaml"
    environ = {"GATEWRIGHT_HOME": str(tmp_path)}
    file.write_text(
        "providers: {groq: {api_key: k}, it: {kind: custom, base_url: 'http://h/v1', quirks: [max-tokens, max-tokens]}}"
    )
    providers = load_config(file, environ).providers
    assert providers["groq"].quirks == HOSTS["groq"].quirks
    assert providers["it"].quirks == ("max-tokens",)
    file.write_text("providers: {groq: {api_key: k, quirks: [max-token]}}")
    with pytest.raises(ConfigError, match='unknown quirk "max-token"; did you mean "max-tokens"'):
        load_config(file, environ)
