"""What the environment says of providers."""

from gatewright.providers.environment import discover


def test_hosts_come_in_catalogue_order_with_the_names_of_their_variables():
    """Values stay where they are; only names are handed on."""
    found = discover({"MISTRAL_API_KEY": "sk-m", "OPENAI_API_KEY": "sk-o", "OLLAMA_BASE_URL": " http://h:1/v1 "})
    assert [(f.host.name, f.key_name, f.base_url) for f in found] == [
        ("openai", "OPENAI_API_KEY", None),
        ("mistral", "MISTRAL_API_KEY", None),
        ("ollama", None, "http://h:1/v1"),
        ("demo", None, None),
    ]
    assert "sk-" not in repr(found)


def test_a_local_server_needs_a_base_url_and_a_remote_one_a_key():
    """A key for a local server alone says nothing of where it is."""
    assert [f.host.name for f in discover({"OLLAMA_API_KEY": "k", "OPENAI_BASE_URL": "http://h/v1"})] == ["demo"]
