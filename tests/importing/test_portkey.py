"""Portkey's gateway configs: one route for whatever clients ask for."""

import json

import pytest
from tests.importing.bench import carry, reasons

from gatewright.importing import CannotImport


def portkey(document):
    return carry("portkey", json.dumps(document), file="config.json")


def route(config):
    model = config.models["*"]
    return (
        [(f"{t.provider}/{t.model}", t.weight) for t in model.targets],
        [f"{t.provider}/{t.model}" for t in model.fallback],
    )


def test_one_provider_takes_every_model():
    """Without a model of its own the star carries over."""
    config, _ = portkey({"provider": "openai", "api_key": "sk-x"})
    assert route(config) == ([("openai/*", 1)], [])


def test_shares_and_turns():
    """Load balancing inside a fallback: shares among the first, all others after them."""
    config, draft = portkey(
        {
            "strategy": {"mode": "fallback", "on_status_codes": [429]},
            "retry": {"attempts": 3},
            "targets": [
                {
                    "strategy": {"mode": "loadbalance"},
                    "targets": [
                        {"provider": "openai", "apiKey": "sk-a", "weight": 0.75, "overrideParams": {"model": "gpt-4o"}},
                        {"provider": "groq", "api_key": "gsk", "weight": 0.25, "override_params": {"model": "llama"}},
                    ],
                },
                {"provider": "mistral-ai", "api_key": "k", "override_params": {"model": "large"}, "cache": {"mode": "simple"}},
                {"provider": "together-ai", "api_key": "k", "override_params": {"model": "qwen"}},
            ],
        }
    )
    assert route(config) == ([("openai/gpt-4o", 3), ("groq/llama", 1)], ["mistral/large", "together/qwen"])
    assert set(reasons(draft)) == {"strategy.on_status_codes", "retry", "targets[1].cache"}


def test_azure_by_deployment_and_settings_in_both_spellings():
    """Camel case and snake case mean the same."""
    for target in (
        {"provider": "azure-openai", "apiKey": "k", "resourceName": "res", "deploymentId": "dep", "apiVersion": "2024-10-21"},
        {"provider": "azure-openai", "api_key": "k", "resource_name": "res", "deployment_id": "dep", "api_version": "2024-10-21"},
    ):
        config, draft = portkey({"targets": [target], "strategy": {"mode": "single"}})
        assert route(config) == ([("azure/dep", 1)], [])
        assert config.providers["azure"].settings == {"resource": "res", "api_version": "2024-10-21"}
        assert reasons(draft) == {}


@pytest.mark.parametrize("target", [{"virtual_key": "anthropic-prod-1a2b"}, {"provider": "@anthropic-prod-1a2b"}])
def test_keys_in_the_vault_are_told(target):
    """The kind is read off the name; the key must come from somewhere else now."""
    config, draft = portkey({"targets": [target]})
    assert config.providers["anthropic-prod-1a2b"].kind == "anthropic"
    assert config.providers["anthropic-prod-1a2b"].api_key.reveal() == "sk-anthropic"
    assert "vault" in reasons(draft)["targets[0]"]


def test_overrides_hold_where_all_targets_have_the_same():
    """Else nobody has them, and each is told: a model has one set."""
    same = [{"provider": p, "api_key": "k", "override_params": {"temperature": 0, "stop": ["X"]}} for p in ("openai", "groq")]
    config, draft = portkey({"targets": same, "strategy": {"mode": "loadbalance"}})
    assert config.models["*"].overrides == {"temperature": 0, "stop": ["X"]}
    assert reasons(draft) == {}
    config, draft = portkey({"targets": [same[0], {"provider": "groq", "api_key": "k"}]})
    assert config.models["*"].overrides == {}
    assert list(reasons(draft)) == ["targets[0].override_params"]


def test_hosts_and_waiting():
    """A base URL of its own; milliseconds become seconds."""
    config, _ = portkey(
        {"provider": "openai", "custom_host": "https://m.example.com/v1", "api_key": "k", "request_timeout": 30000}
    )
    assert config.providers["openai"].base_url == "https://m.example.com/v1"
    assert config.providers["openai"].timeouts.headers_s == 30


def test_nobody_here_hosts_that():
    """The others are carried all the same."""
    config, draft = portkey({"targets": [{"provider": "stability-ai", "api_key": "x"}, {"provider": "groq", "api_key": "k"}]})
    assert route(config)[0] == [("groq/*", 1)]
    assert "stability-ai" in reasons(draft)["targets[0]"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1}', 'c.json:1:1 expected a Portkey config: a mapping with "targets" or "provider"'),
        ("[]", "c.json:1:1 expected a mapping of settings, got a list"),
        ('{"targets": {}}', "c.json:1:13 targets: expected a list, got a mapping"),
        ('{"targets": [{"weight": "x", "provider": "openai"}]}', "c.json:1:25 targets[0].weight: expected a number, got text"),
    ],
)
def test_what_is_no_portkey_config_is_told_with_its_place(text, complaint):
    """As for every file."""
    with pytest.raises(CannotImport) as caught:
        carry("portkey", text, file="c.json")
    assert str(caught.value) == complaint
