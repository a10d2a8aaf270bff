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


def test_a_cloud_is_found_when_all_is_said_that_it_needs():
    """A key alone leads nowhere where the base URL is made of a name."""
    key = {"AZURE_OPENAI_API_KEY": "k"}
    assert [f.host.name for f in discover(key)] == ["demo"]
    assert [f.host.name for f in discover(key | {"AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com"})] == ["azure", "demo"]
    assert [f.host.name for f in discover(key | {"AZURE_OPENAI_RESOURCE": "r"})] == ["azure", "demo"]


def test_an_identity_is_used_where_the_environment_means_it():
    """And where the project is known; a file of credentials for something else is no wish to call models."""
    file = {"GOOGLE_APPLICATION_CREDENTIALS": "/k.json"}
    assert [f.host.name for f in discover(file)] == ["demo"]
    assert [(f.host.name, f.key_name) for f in discover(file | {"GOOGLE_CLOUD_PROJECT": "p"})] == [
        ("vertex", None),
        ("demo", None),
    ]


def test_bedrock_is_meant_by_its_own_key_or_by_claude_codes_word_for_it():
    """Keys of an AWS account alone are for anything."""
    account = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"}
    assert [f.host.name for f in discover(account)] == ["demo"]
    assert [(f.host.name, f.key_name) for f in discover(account | {"CLAUDE_CODE_USE_BEDROCK": "1"})] == [
        ("bedrock", None),
        ("demo", None),
    ]
    keyed = {"AWS_BEARER_TOKEN_BEDROCK": "k", "AWS_DEFAULT_REGION": "eu-west-1"}
    assert [(f.host.name, f.key_name) for f in discover(keyed)] == [("bedrock", "AWS_BEARER_TOKEN_BEDROCK"), ("demo", None)]
