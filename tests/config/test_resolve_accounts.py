"""Accounts that people log in with, as a section says."""

import pytest

from gatewright.config import ConfigError, load_config
from gatewright.config.credentials import AccountsConfig
from gatewright.providers.oauth.descriptions import BY_NAME


@pytest.fixture
def load(tmp_path):
    def load(text, **environ):
        file = tmp_path / "gatewright.yaml"
        file.write_text(f"providers: {{{text}}}")
        return load_config(file, {"GATEWRIGHT_HOME": str(tmp_path), **environ})

    return load


def test_the_catalogues_login_needs_no_words(load):
    """The row says it all; the headers that the API wants come along."""
    provider = load("ob1: ").providers["ob1"]
    assert provider.credential == AccountsConfig(description=BY_NAME["ob1"], rotation="sticky")
    assert provider.api_key is None
    assert [(name, value.reveal()) for name, value in provider.headers] == [
        ("http-referer", "https://github.com/delta-hq/ob1"),
        ("x-title", "OB1 CLI"),
    ]


def test_a_header_of_the_section_wins(load):
    """In place of the row's, not beside it."""
    provider = load("ob1: {headers: {X-Title: Mine}}").providers["ob1"]
    assert [(name, value.reveal()) for name, value in provider.headers if name == "x-title"] == [("x-title", "Mine")]


def test_everything_can_be_said_otherwise(load):
    """Another identity server, another client; references are followed."""
    config = load(
        "mine: {kind: ob1, rotation: round-robin, oauth: {device_url: 'env:DEVICE', token_url: 'http://127.0.0.1:1/t', "
        "authorize_url: 'http://127.0.0.1:1/a', client_id: env:CLIENT, client_secret: env:SECRET, scopes: [a, b], "
        "parameters: {audience: x}, redirect_port: 8123, identity: {org_id: org.id}, bearer: '{access_token}/{org_id}', refresh_ahead_s: 60}}",
        DEVICE="http://127.0.0.1:1/d",
        CLIENT="my-client",
        SECRET="hush",
    )
    credential = config.providers["mine"].credential
    description = credential.description
    assert credential.rotation == "round-robin"
    assert (description.device_url, description.token_url) == ("http://127.0.0.1:1/d", "http://127.0.0.1:1/t")
    assert (description.client_id, description.client_secret) == ("my-client", "hush")
    assert description.flows == ("device", "browser")
    assert (description.scopes, description.parameters) == (("a", "b"), {"audience": "x"})
    assert (description.redirect_port, description.refresh_ahead_s) == (8123, 60)
    assert description.bearers == ("{access_token}/{org_id}", "{access_token}")
    assert "hush" not in repr(config)


def test_a_provider_that_the_catalogue_does_not_know_can_have_logins(load):
    """A company's own identity server before a server of its own."""
    config = load(
        "own: {kind: custom, base_url: 'http://gpu/v1', auth: account, "
        "oauth: {authorize_url: 'https://id/a', token_url: 'https://id/t', client_id: c}}"
    )
    description = config.providers["own"].credential.description
    assert (description.name, description.flows, description.bearers) == ("own", ("browser",), ("{access_token}",))


@pytest.mark.parametrize(
    ("text", "told_so"),
    [
        ("ob1: {api_key: x}", 'providers.ob1.api_key: a key beside "auth: account"'),
        ("ob1: {credentials: client}", 'providers.ob1.credentials: a key beside "auth: account"'),
        ("openai: {api_key: x, rotation: random}", 'providers.openai.rotation: read only with "auth: account"'),
        ("openai: {api_key: x, oauth: {client_id: x}}", 'providers.openai.oauth: read only with "auth: account"'),
        (
            "c: {kind: custom, base_url: 'http://h/v1', auth: account}",
            'providers.c: "auth: account" needs under "oauth": device_url or authorize_url, token_url, client_id',
        ),
        ("ob1: {oauth: {token_url: 'htp://x'}}", "providers.ob1.oauth.token_url: expected an http:// or https:// URL"),
        ("ob1: {oauth: {client_id: env:NOPE}}", 'providers.ob1.oauth.client_id: environment variable "NOPE" is not set'),
        ("ob1: {oauth: {client_secret: env:NOPE}}", 'providers.ob1.oauth.client_secret: environment variable "NOPE" is not set'),
        ("ob1: {oauth: {bearer: x}}", 'providers.ob1.oauth.bearer: expected "{access_token}" in it'),
        ("ob1: {rotation: sometimes}", 'providers.ob1.rotation: expected "sticky" or "round-robin" or "random"'),
    ],
)
def test_problems_have_their_place(text, told_so, load):
    """Before anything is served."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert told_so in str(caught.value)


def test_tokens_in_the_clear_are_warned_about(load):
    """To this machine they may travel so."""
    warned = load("ob1: {oauth: {token_url: 'http://id.example/t'}}").warnings
    assert any("ob1.oauth.token_url" in line and "in the clear" in line for line in warned)
    assert not any("in the clear" in line for line in load("ob1: {oauth: {token_url: 'http://127.0.0.1/t'}}").warnings)


def test_a_provider_that_nobody_has_logged_in_to_is_warned_about(load):
    """It answers nothing yet; `gatewright check` and the banner say what to do."""
    warnings = load("mine: {kind: ob1}").warnings
    assert [line.partition(" ")[2] for line in warnings] == [
        "providers.mine: nobody is logged in yet; log in with: gatewright login mine"
    ]
