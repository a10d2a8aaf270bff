"""The catalogue of hosts: rows that can be relied upon."""

from urllib.parse import urlsplit

import pytest

from gatewright.providers.catalog import CATALOG, HOSTS
from gatewright.providers.catalog.host import placeholders

REMOTE = [host for host in CATALOG if host.key == "required"]


def test_names_are_unique():
    """The name, and every other word for a host, is the key of the configuration."""
    assert len(HOSTS) == sum(1 + len(host.aliases) for host in CATALOG)
    assert all(HOSTS[word] is host for host in CATALOG for word in (host.name, *host.aliases))


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
    assert all(urlsplit(place).scheme == "https" for place in host.places.values())
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
        ("sambanova", "anthropic", "https://api.sambanova.ai"),
        ("novita", "anthropic", "https://api.novita.ai/anthropic"),
        ("deepinfra", "anthropic", "https://api.deepinfra.com/anthropic"),
        ("zai-coding", "anthropic", "https://api.z.ai/api/anthropic"),
        ("alibaba", "anthropic", "https://dashscope-intl.aliyuncs.com/apps/anthropic"),
        ("alibaba", "openai_responses", "https://dashscope-intl.aliyuncs.com/api/v2/apps/protocols/compatible-mode/v1"),
    ],
)
def test_bases_are_those_the_vendors_document(name, dialect, base):
    """Written out, because a relative reference is easily one segment wrong."""
    host = HOSTS[name]
    assert host.base_of(dialect, host.base_url) == base


@pytest.mark.parametrize("host", CATALOG, ids=lambda host: host.name)
def test_what_a_base_url_needs_is_a_setting(host):
    """A placeholder that nothing can fill would make a host nobody can reach."""
    settings = {setting.name for setting in host.settings}
    assert set(placeholders(host.base_url)) <= settings
    assert all(setting.what for setting in host.settings)
    assert set(host.shapes) <= set(host.dialects)


@pytest.mark.parametrize(
    ("name", "settings", "base"),
    [
        ("vertex", {"location": "europe-west4"}, "https://europe-west4-aiplatform.googleapis.com"),
        ("vertex", {"location": "global"}, "https://aiplatform.googleapis.com"),
        ("vertex", {"location": "eu"}, "https://aiplatform.eu.rep.googleapis.com"),
        ("vertex", {}, ""),
        ("azure", {"resource": "acme"}, "https://acme.openai.azure.com"),
        ("azure", {}, ""),
        ("groq", {}, "https://api.groq.com/openai/v1"),
    ],
)
def test_settings_stand_in_the_base_url(name, settings, base):
    """Nothing is made up where one is missing."""
    assert HOSTS[name].placed(settings) == base


@pytest.mark.parametrize(
    ("name", "model", "spoken"),
    [
        ("vertex", "claude-sonnet-4-5@20250929", ("anthropic",)),
        ("openai", "gpt-5.1-codex-max", ("openai_responses",)),
        ("openai", "gpt-5-pro", ("openai_responses",)),
        ("openai", "gpt-4o-mini-search-preview", ("openai_chat",)),
        ("openai", "gpt-5-mini", ("openai_responses", "openai_chat")),
        ("openai", "gemini-2.5-pro", ("openai_responses", "openai_chat")),
        ("vertex", "gemini-2.5-pro", ("gemini",)),
        ("vertex", "meta/llama-4", ("openai_chat",)),
        ("snowflake", "claude-sonnet-4-5", ("anthropic", "openai_chat")),
        ("snowflake", "llama4-maverick", ("openai_chat",)),
        ("groq", "claude-x", ("openai_chat", "openai_responses")),
    ],
)
def test_a_model_is_spoken_to_as_it_can_be(name, model, spoken):
    """Of the host's dialects those that the model has."""
    host = HOSTS[name]
    assert host.spoken_to(model, host.dialects) == spoken


def test_a_rule_never_leaves_a_model_without_a_dialect():
    """What the operator says of dialects holds before the rule."""
    assert HOSTS["vertex"].spoken_to("claude-x", ("gemini",)) == ("gemini",)
