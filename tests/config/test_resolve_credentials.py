"""Which credential a provider's section means, and what is said of one that cannot be."""

import json

import pytest
from tests.identity import certificate_pem, service_account

from gatewright.config import load_config
from gatewright.config.credentials import ClientConfig, EntraConfig, GoogleConfig, PoolConfig
from gatewright.config.problems import ConfigError

AZURE = "kind: azure, base_url: https://mine.openai.azure.com"
VERTEX = "kind: vertex, project: p, location: global"
HOME = {"GATEWRIGHT_HOME": "/nowhere"}


def provider(tmp_path, section, **environ):
    file = tmp_path / "gatewright.yaml"
    file.write_text(f"providers: {{p: {{{section}}}}}\n")
    config = load_config(file, HOME | environ)
    return config.providers["p"]


def wrong(tmp_path, section, **environ):
    with pytest.raises(ConfigError) as raised:
        provider(tmp_path, section, **environ)
    return str(raised.value)


def test_several_keys_are_a_pool(tmp_path):
    """`api_key` may be the first of them."""
    one = provider(tmp_path, "kind: openai, api_keys: ['env:A', 'env:B']", A="sk-a", B="sk-b")
    assert isinstance(one.credential, PoolConfig)
    assert [key.reveal() for key in one.credential.keys] == ["sk-a", "sk-b"]
    assert one.api_key is None
    both = provider(tmp_path, "kind: openai, api_key: 'env:A', api_keys: ['env:B']", A="sk-a", B="sk-b").credential
    assert [key.reveal() for key in both.keys] == ["sk-a", "sk-b"]
    assert "sk-" not in repr(both)


def test_one_key_is_no_credential_of_this_kind(tmp_path):
    """The fast way stays as it is."""
    one = provider(tmp_path, "kind: openai, api_key: 'env:A'", A="sk-a")
    assert one.credential is None
    assert one.api_key.reveal() == "sk-a"


def test_the_same_key_twice_and_one_that_is_missing_are_told(tmp_path):
    """With the place in the list."""
    assert "providers.p.api_keys[1]: the same key" in wrong(tmp_path, "kind: openai, api_keys: ['env:A', 'env:A']", A="x")
    assert "providers.p.api_keys[1]: environment variable" in wrong(tmp_path, "kind: openai, api_keys: ['env:A', 'env:B']", A="x")


def test_clients_may_bring_their_own(tmp_path):
    """Then the gateway has none, and the kind's variable is left alone."""
    one = provider(tmp_path, "kind: anthropic, credentials: client", ANTHROPIC_API_KEY="sk-ant")
    assert isinstance(one.credential, ClientConfig)
    assert one.api_key is None
    assert one.auth == "x-api-key"
    assert "one of them" in wrong(tmp_path, "kind: anthropic, credentials: client, api_key: 'env:A'", A="x")
    assert "one of them" in wrong(tmp_path, "kind: anthropic, credentials: client, api_keys: ['env:A']", A="x")
    assert 'cannot travel by "auth: none"' in wrong(tmp_path, "kind: anthropic, credentials: client, auth: none")


def test_a_google_file_is_read_and_checked_at_the_start(tmp_path):
    """Named in the section, by the variable, or where gcloud keeps it."""
    text = service_account("https://oauth2.googleapis.com/token")
    (tmp_path / "sa.json").write_text(text)
    (tmp_path / "gcloud").mkdir()
    (tmp_path / "gcloud" / "application_default_credentials.json").write_text(text)
    (tmp_path / ".config" / "gcloud").mkdir(parents=True)
    (tmp_path / ".config" / "gcloud" / "application_default_credentials.json").write_text(text)
    for section, environ in (
        (f"{VERTEX}, credentials_file: sa.json", {}),
        (f"{VERTEX}, credentials_file: 'env:PLACE'", {"PLACE": str(tmp_path / "sa.json")}),
        (VERTEX, {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "sa.json")}),
        (VERTEX, {"CLOUDSDK_CONFIG": str(tmp_path / "gcloud")}),
        (VERTEX, {"HOME": str(tmp_path)}),
    ):
        one = provider(tmp_path, section, **environ)
        assert isinstance(one.credential, GoogleConfig), section
        assert one.auth == "google"
        assert one.credential.document.reveal() == text
        assert "PRIVATE" not in repr(one)
    machine = provider(tmp_path, VERTEX, GCE_METADATA_HOST="127.0.0.1:99").credential
    assert (machine.document, machine.metadata_host) == (None, "127.0.0.1:99")


def test_a_key_goes_before_an_identity(tmp_path):
    """Given in the section, or by the kind's own variable."""
    assert provider(tmp_path, f"{VERTEX}, api_key: 'env:A'", A="AIza").auth == "x-goog-api-key"
    assert provider(tmp_path, VERTEX, VERTEX_API_KEY="AIza").auth == "x-goog-api-key"
    assert provider(tmp_path, f"{VERTEX}, auth: google", VERTEX_API_KEY="AIza").auth == "google"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot read file"), ("{", "expected Google's JSON"), ("{}", "type: expected"),
        (service_account("https://x", private_key="nonsense"), "not a PEM key"), ("x" * 70000, "larger than"),
    ],
)  # fmt: skip
def test_a_google_file_that_cannot_work_is_an_error_of_the_configuration(content, said, tmp_path):
    """With file, line and key, before anything is served."""
    if content is not None:
        (tmp_path / "sa.json").write_text(content)
    told = wrong(tmp_path, f"{VERTEX}, credentials_file: sa.json")
    assert "gatewright.yaml:1:" in told
    assert "providers.p.credentials_file" in told
    assert said in told
    assert "nonsense" not in told


def test_an_application_of_entra_id(tmp_path):
    """From the section, or from the variables of Azure's SDKs in their order."""
    (tmp_path / "app.pem").write_text(certificate_pem())
    (tmp_path / "federated").write_text("jwt")
    pem, token = str(tmp_path / "app.pem"), str(tmp_path / "federated")
    who = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c"}
    every = {"AZURE_CLIENT_SECRET": "shh", "AZURE_CLIENT_CERTIFICATE_PATH": pem, "AZURE_FEDERATED_TOKEN_FILE": token}
    for section, environ, found in (
        (f"{AZURE}, tenant_id: t, client_id: c, client_secret: 'env:S'", {"S": "shh"}, "secret"),
        (f"{AZURE}, tenant_id: t, client_id: 'env:C', certificate_file: app.pem", {"C": "c"}, "certificate"),
        (f"{AZURE}, tenant_id: t, client_id: c, federated_token_file: federated", every, "token_file"),
        (AZURE, who | every, "secret"),
        (AZURE, who | {k: v for k, v in every.items() if k != "AZURE_CLIENT_SECRET"}, "certificate"),
        (AZURE, who | {"AZURE_FEDERATED_TOKEN_FILE": token}, "token_file"),
    ):
        one = provider(tmp_path, section, **environ)
        entra = one.credential
        assert isinstance(entra, EntraConfig), section
        assert one.auth == "entra"
        assert (entra.tenant, entra.client) == ("t", "c")
        assert [name for name in ("secret", "certificate", "token_file") if getattr(entra, name)] == [found]
        assert "shh" not in repr(one)
        assert "PRIVATE" not in repr(one)


def test_a_managed_identity_is_what_is_left(tmp_path):
    """With App Service's endpoint where the environment has one."""
    entra = provider(tmp_path, f"{AZURE}, auth: entra").credential
    assert (entra.secret, entra.certificate, entra.token_file, entra.identity_endpoint) == (None, None, None, "")
    assert entra.metadata_host == "http://169.254.169.254"
    entra = provider(tmp_path, AZURE, IDENTITY_ENDPOINT="http://127.0.0.1:41/msi/token", IDENTITY_HEADER="proof").credential
    assert (entra.identity_endpoint, entra.identity_header.reveal()) == ("http://127.0.0.1:41/msi/token", "proof")


def test_sovereign_clouds(tmp_path):
    """Authority and scope."""
    one = provider(
        tmp_path,
        f"{AZURE}, auth: entra, scope: https://cognitiveservices.azure.us/.default",
        AZURE_AUTHORITY_HOST="login.microsoftonline.us",
    )
    assert one.credential.authority == "https://login.microsoftonline.us"
    assert one.credential.scope == "https://cognitiveservices.azure.us/.default"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (f"{AZURE}, client_id: c, client_secret: 'env:S'", 'missing key "tenant_id" (or set AZURE_TENANT_ID)'),
        (f"{AZURE}, tenant_id: t, client_secret: 'env:S'", 'missing key "client_id"'),
        (f"{AZURE}, tenant_id: t, client_id: c, client_secret: 'env:S', certificate_file: x", "expected one"),
        (f"{AZURE}, tenant_id: t, client_id: c, certificate_file: none.pem", "cannot read file"),
        (f"{AZURE}, tenant_id: t, client_id: c, certificate_file: gatewright.yaml", "got no certificate"),
        (f"{AZURE}, tenant_id: t, client_id: c, federated_token_file: none", "cannot read file"),
        (f"{AZURE}, auth: entra, api_key: 'env:S'", "one of them"),
        ("kind: openai, api_key: 'env:S', tenant_id: t", 'read only with "auth: entra"'),
        ("kind: openai, api_key: 'env:S', credentials_file: x", 'read only with "auth: google"'),
        ("kind: vertex, project: p, location: global, base_url: https://proxy.example", 'say "auth: google" too'),
        ("kind: azure, base_url: https://proxy.example/x, tenant_id: t", 'say "auth: entra" too'),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_said(section, said, tmp_path):
    """All at once with the rest of the file, and no secret in it."""
    told = wrong(tmp_path, section, S="shh-secret")
    assert said in told
    assert "shh-secret" not in told


def test_an_identity_is_shown_elsewhere_when_the_operator_says_so(tmp_path):
    """A proxy of one's own before Vertex AI."""
    one = provider(tmp_path, "kind: vertex, project: p, location: global, base_url: https://proxy.example, auth: google")
    assert isinstance(one.credential, GoogleConfig)


def test_a_user_of_gclouds(tmp_path):
    """Its file needs no key that can sign."""
    login = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    (tmp_path / "adc.json").write_text(json.dumps(login))
    assert provider(tmp_path, f"{VERTEX}, credentials_file: adc.json").credential.source == 'file "adc.json"'
