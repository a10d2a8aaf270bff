"""Bifrost's config.json: clients go on asking for provider/model."""

import json

import pytest
from tests.importing.bench import carry, reasons

from gatewright.importing import CannotImport
from gatewright.importing.bifrost import slug

AZURE = {
    "keys": [
        {
            "name": "Azure US 1",
            "value": "env.AZ_US",
            "models": ["gpt-4.1", "gpt-5"],
            "weight": 1,
            "azure_key_config": {
                "endpoint": "https://orca-us.openai.azure.com/",
                "api_version": "2025-03-01-preview",
                "deployments": {"gpt-4.1": "my-41", "gpt-5": "gpt-5"},
            },
        },
        {
            "name": "azure",
            "value": "env.AZ_EU",
            "models": ["gpt-4.1"],
            "weight": 0.5,
            "azure_key_config": {"endpoint": "https://orca-eu.openai.azure.com/", "api_version": "2025-03-01-preview"},
        },
    ]
}


def bifrost(providers, **more):
    return carry("bifrost", json.dumps({"providers": providers, **more}), file="config.json")


def test_several_keys_for_one_place_are_a_pool():
    """In turn, whatever their weights, and that is told."""
    keys = [{"name": n, "value": f"env.K{n}", "models": ["*"], "weight": w} for n, w in (("1", 0.7), ("2", 0.3))]
    network = {"default_request_timeout_in_seconds": 30, "max_retries": 2, "extra_headers": {"x-a": "b"}, "max_conns_per_host": 7}
    config, draft = bifrost({"openai": {"keys": keys, "network_config": network}})
    provider = config.providers["openai"]
    assert provider.credential is not None
    assert (provider.timeouts.headers_s, provider.max_connections) == (30, 7)
    assert [(n, v.reveal()) for n, v in provider.headers] == [("x-a", "b")]
    assert set(reasons(draft)) == {"providers.openai.keys[0]", "providers.openai.network_config.max_retries"}


def test_keys_for_several_places_become_providers_behind_the_old_names():
    """None of them may have the old name itself: it would take every model before the weights were asked."""
    config, draft = bifrost({"azure": AZURE})
    assert set(config.providers) == {"azure-us-1", "azure-2"}
    assert [(t.provider, t.model, t.weight) for t in config.models["azure/gpt-4.1"].targets] == [
        ("azure-us-1", "my-41", 2),
        ("azure-2", "gpt-4.1", 1),
    ]
    assert [(t.provider, t.model) for t in config.models["azure/gpt-5"].targets] == [("azure-us-1", "gpt-5")]
    assert config.providers["azure-2"].settings["api_version"] == "2025-03-01-preview"
    assert reasons(draft) == {}


def test_keys_for_every_model_become_a_pattern():
    """With the aliases of each before it."""
    region = lambda name, aliases: {  # noqa: E731 - data
        "name": name,
        "models": ["*"],
        "aliases": aliases,
        "bedrock_key_config": {"region": name, "access_key": "env.A", "secret_key": "env.S"},
    }
    config, _ = bifrost(
        {"bedrock": {"keys": [region("us-east-1", {"opus": "us.anthropic.claude-opus-4-1"}), region("eu-west-1", {})]}}
    )
    assert [t.provider for t in config.models["bedrock/*"].targets] == ["us-east-1", "eu-west-1"]
    assert [t.model for t in config.models["bedrock/opus"].targets] == ["us.anthropic.claude-opus-4-1"]


def test_a_key_for_some_models_is_told():
    """Here a provider answers for all that it has."""
    config, draft = bifrost({"openai": {"keys": [{"value": "env.K", "models": ["gpt-5"]}]}})
    assert config.models == {}
    assert list(reasons(draft)) == ["providers.openai.keys[0].models"]


def test_aliases_of_a_single_key_are_models():
    """Under the provider's name, as clients ask for them."""
    keys = [{"value": "env.K", "models": ["*"], "aliases": {"fast": "gpt-5-mini", "same": "same"}}]
    config, _ = bifrost({"openai": {"keys": keys}})
    assert {name: model.targets[0].model for name, model in config.models.items()} == {"openai/fast": "gpt-5-mini"}


def test_own_servers_and_own_names():
    """Bifrost adds the version to a bare base URL; a provider of its own says whom it is like."""
    config, _ = bifrost(
        {
            "My_vLLM": {
                "keys": [{"value": "dummy"}],
                "network_config": {"base_url": "http://10.0.0.1:8000"},
                "custom_provider_config": {"base_provider_type": "openai"},
            },
            "ollama": {"keys": [{"value": "", "ollama_key_config": {"url": {"value": "http://localhost:11434"}}}]},
            "anthropic": {
                "keys": [{"value": {"env_var": "env.K", "from_env": True}}],
                "network_config": {"base_url": "https://a.example.com"},
            },
        }
    )
    assert {name: provider.base_url for name, provider in config.providers.items()} == {
        "My_vLLM": "http://10.0.0.1:8000/v1",
        "ollama": "http://localhost:11434/v1",
        "anthropic": "https://a.example.com",
    }
    assert config.providers["My_vLLM"].kind == "openai"
    assert config.providers["anthropic"].api_key.reveal() == "value-of-K"


def test_virtual_keys_are_client_keys():
    """With the models that they may use; what is switched off, or has no value in the file, is told."""
    keys = [
        {
            "name": "a",
            "value": "sk-bf-0123456789",
            "provider_configs": [{"provider": "openai", "allowed_models": ["gpt-5"]}],
            "rate_limit": {},
        },
        {
            "name": "a",
            "value": "env.VK",
            "is_active": True,
            "provider_configs": [{"provider": "openai"}, {"provider": "elevenlabs"}],
        },
        {"name": "off", "value": "sk-bf-off", "is_active": False},
        {"name": "none"},
    ]
    providers = {"openai": {"keys": [{"value": "env.K"}]}, "elevenlabs": {"keys": []}}
    config, draft = bifrost(
        providers, governance={"virtual_keys": keys, "budgets": []}, plugins=[], client={"max_request_body_size_mb": 2}
    )
    assert [(key.name, key.models) for key in config.keys] == [("a", ("openai/gpt-5",)), ("a-2", ("openai/*",))]
    assert config.server.max_body_bytes == 2 << 20
    assert set(reasons(draft)) == {
        "providers.elevenlabs",
        "governance.virtual_keys[0].rate_limit",
        "governance.virtual_keys[1].provider_configs[1]",
        "governance.virtual_keys[2]",
        "governance.virtual_keys[3]",
        "governance.budgets",
        "plugins",
    }
    assert "sk-bf" not in str(reasons(draft))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{}", "c.json:1:1 expected a configuration, got an empty file"),
        ('{"client": {}}', 'c.json:1:1 expected Bifrost\'s configuration: a mapping with "providers"'),
        ('{\n\t"providers": {"openai": []}}', "c.json:2:26 providers.openai: expected a mapping, got a list"),
        ('{\n"providers": {"openai": {"keys": [1]}}}', "c.json:2:35 providers.openai.keys[0]: expected a mapping, got a number"),
    ],
)
def test_what_is_no_bifrost_configuration_is_told_with_its_place(text, complaint):
    """Tabs count as one column, as editors count them."""
    with pytest.raises(CannotImport) as caught:
        carry("bifrost", text, file="c.json")
    assert str(caught.value) == complaint


def test_names_for_paths():
    """Whatever a key was called."""
    assert [slug(text) for text in ("Azure US/1", "  ", "--a.b--", "ключ")] == ["Azure-US-1", "", "a.b", ""]
