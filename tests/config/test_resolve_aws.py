"""AWS credentials and regions, from the section, AWS's own files and its variables."""

import pytest

from gatewright.config import from_environment, load_config
from gatewright.config.credentials import AwsConfig
from gatewright.config.problems import ConfigError

HOST = "https://bedrock-runtime.{}.amazonaws.com"


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".aws").mkdir()
    return tmp_path


@pytest.fixture
def load(home):
    def load(told, **environ):
        file = home / "gatewright.yaml"
        file.write_text(f"providers: {{bedrock: {{{told}}}}}")
        return load_config(file, {"GATEWRIGHT_HOME": str(home), "HOME": str(home), **environ})

    return load


def complaint(load, told, **environ):
    with pytest.raises(ConfigError) as caught:
        load(told, **environ)
    (line,) = str(caught.value).splitlines()
    return line


def test_a_region_is_all_that_a_machine_with_a_role_needs(load):
    """Keys are asked for when they are needed, from AWS's own chain."""
    provider = load("region: eu-west-1").providers["bedrock"]
    assert provider.auth == "aws"
    assert provider.credential == AwsConfig(region="eu-west-1")
    assert set(provider.bases.values()) == {HOST.format("eu-west-1")}
    assert load("", AWS_REGION="us-east-2").providers["bedrock"].credential == AwsConfig(region="us-east-2")


def test_everything_that_may_be_said(load):
    told = (
        "region: eu-west-1, access_key_id: env:ID, secret_access_key: env:KEY, session_token: env:TOKEN, "
        "role_arn: 'arn:aws:iam::123456789012:role/x', external_id: e, role_session_name: s"
    )
    found = load(told, ID="AKIA1", KEY="shh-key", TOKEN="shh-token").providers["bedrock"].credential
    assert isinstance(found, AwsConfig)
    revealed = [secret.reveal() for secret in (found.access_key_id, found.secret_access_key, found.session_token)]
    assert revealed == ["AKIA1", "shh-key", "shh-token"]
    assert (found.role_arn, found.external_id, found.role_session_name) == ("arn:aws:iam::123456789012:role/x", "e", "s")
    assert "shh" not in repr(found)


def test_the_region_of_a_profile_and_of_a_host(load, home):
    """Said once, it need not be said again."""
    (home / ".aws" / "config").write_text("[default]\nregion=eu-north-1\n[profile work]\nregion=ap-south-1\n")
    assert load("").providers["bedrock"].base_url == HOST.format("eu-north-1")
    assert load("profile: work").providers["bedrock"].base_url == HOST.format("ap-south-1")
    assert load("", AWS_PROFILE="work").providers["bedrock"].base_url == HOST.format("ap-south-1")
    there = load(f"base_url: '{HOST.format('us-west-2')}'", AWS_REGION="eu-west-3").providers["bedrock"].credential
    assert there == AwsConfig(region="us-west-2")


def test_an_api_key_is_a_bearer_token(load):
    """From the section or the variable that AWS's SDKs read; then nothing is signed."""
    for provider in (
        load("region: eu-west-1, api_key: abc").providers["bedrock"],
        load("region: eu-west-1", AWS_BEARER_TOKEN_BEDROCK="abc").providers["bedrock"],
    ):
        assert (provider.auth, provider.credential) == ("bearer", None)
        assert provider.api_key.reveal() == "abc"


def test_named_keys_are_used_though_a_token_lies_about(load):
    told = "region: eu-west-1, access_key_id: AKIA1, secret_access_key: env:KEY"
    assert load(told, KEY="k", AWS_BEARER_TOKEN_BEDROCK="abc").providers["bedrock"].auth == "aws"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("", "region"),
        ("region: eu-centrl-1", 'no AWS region that is known here; did you mean "eu-central-1"'),
        ("region: Frankfurt", '"Frankfurt" is no AWS region'),
        ("region: Frankfurt, api_key: k", '"Frankfurt" is no AWS region'),
        ("region: eu-west-1, profile: wrok", "no AWS profile 'wrok'"),
        ("region: eu-west-1, access_key_id: AKIA", 'missing key "secret_access_key"'),
        ("region: eu-west-1, secret_access_key: env:KEY", 'missing key "access_key_id"'),
        ("region: eu-west-1, session_token: env:KEY", 'belongs to an "access_key_id"'),
        ("region: eu-west-1, role_arn: admin", 'expected "arn:aws:iam::<12 digits>:role/<name>", got "admin"'),
        ("region: eu-west-1, external_id: e", 'belongs to a "role_arn"'),
        ("region: eu-west-1, profile: work, access_key_id: A, secret_access_key: env:KEY", "one of them"),
        (f"region: eu-west-1, base_url: '{HOST.format('us-west-2')}'", "calls go to a host of us-west-2"),
        ("region: eu-west-1, base_url: 'https://elsewhere.example'", 'say "auth: aws" too'),
        ("auth: aws, base_url: 'https://elsewhere.example'", 'missing key "region"'),
        ("region: eu-west-1, api_key: k, profile: work", 'read only with "auth: aws"'),
    ],
)
def test_slips_are_told_with_their_place(load, home, told, words):
    """At the start, and not at the first call. An unknown region is a warning: there may be new ones."""
    (home / ".aws" / "config").write_text("[profile work]\noutput=json\n")
    if "eu-centrl-1" in told:
        assert words in load(told).warnings[0]
        return
    line = complaint(load, told, KEY="shh-value")
    assert words in line
    assert "gatewright.yaml:1:" in line
    assert "shh-value" not in line


def test_without_a_file_bedrocks_own_names_lead_to_it(home):
    """boto3 code keeps its model ids."""
    config = from_environment(
        {"HOME": str(home), "GATEWRIGHT_HOME": str(home), "AWS_BEARER_TOKEN_BEDROCK": "k", "AWS_REGION": "eu-west-1"}
    )
    assert config.providers["bedrock"].base_url == HOST.format("eu-west-1")
    for pattern in ("anthropic.claude-*", "eu.anthropic.claude-*", "amazon.nova-*", "arn:aws:bedrock:*"):
        (target,) = config.models[pattern].targets
        assert (target.provider, target.model) == ("bedrock", pattern)
