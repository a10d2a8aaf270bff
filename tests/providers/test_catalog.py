"""The catalogue of hosts: rows that can be relied upon."""

from urllib.parse import urlsplit

import pytest

from gatewright.providers.catalog import CATALOG, HOSTS

REMOTE = [host for host in CATALOG if host.key == "required"]


def test_names_are_unique():
    """The name is the key of the configuration."""
    assert len(HOSTS) == len(CATALOG)


def test_no_variable_belongs_to_two_hosts():
    """A key must not reach a host it was not made for."""
    names = [name for host in CATALOG for name in (*host.env_keys, *host.env_base_urls)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("host", CATALOG, ids=lambda host: host.name)
def test_rows_are_whole(host):
    """Each says what it speaks, and bases only for dialects that it speaks."""
    assert host.dialects
    assert len(set(host.dialects)) == len(host.dialects)
    assert set(host.bases) <= set(host.dialects)
    assert (host.auth == "none") == (host.key == "none")
    assert not host.base_url.endswith("/")


@pytest.mark.parametrize("host", REMOTE, ids=lambda host: host.name)
def test_remote_hosts_are_reached_by_tls_and_found_by_environment(host):
    """A credential never travels in the clear."""
    for dialect in host.dialects:
        assert urlsplit(host.base_of(dialect, host.base_url)).scheme == "https"
    assert host.env_keys
    assert host.env_base_urls
    assert host.docs.startswith("https://")


@pytest.mark.parametrize(
    ("name", "dialect", "base"),
    [
        ("openai", "openai_chat", "https://api.openai.com/v1"),
        ("anthropic", "anthropic", "https://api.anthropic.com"),
        ("gemini", "gemini", "https://generativelanguage.googleapis.com"),
        ("openrouter", "anthropic", "https://openrouter.ai/api"),
        ("deepseek", "anthropic", "https://api.deepseek.com/anthropic"),
        ("fireworks", "anthropic", "https://api.fireworks.ai/inference"),
        ("moonshot", "anthropic", "https://api.moonshot.ai/anthropic"),
        ("zai", "anthropic", "https://api.z.ai/api/anthropic"),
        ("ollama", "anthropic", "http://127.0.0.1:11434"),
    ],
)
def test_bases_are_those_the_vendors_document(name, dialect, base):
    """Written out, because a relative reference is easily one segment wrong."""
    host = HOSTS[name]
    assert host.base_of(dialect, host.base_url) == base
