"""A credential file that cannot work is told when it is read, by its fields and without its secrets."""

import json

import pytest
from tests.identity import pem_of, rsa_key, service_account

from gatewright.providers.auth.google_files import AuthorizedUser, ExternalAccount, Impersonated, ServiceAccount, read_google

USER = {"type": "authorized_user", "client_id": "c", "client_secret": "shh", "refresh_token": "1//r"}
EXTERNAL = {
    "type": "external_account", "audience": "a", "subject_token_type": "t", "token_url": "https://sts/x", "credential_source": {"file": "/f"},
}  # fmt: skip


def borrowed(source):
    return {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": "https://i/x",
        "source_credentials": source,
    }


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        (json.loads(service_account("https://oauth2.googleapis.com/token")), ServiceAccount), (USER, AuthorizedUser),
        (EXTERNAL, ExternalAccount), (borrowed(USER), Impersonated), (borrowed(EXTERNAL), Impersonated),
    ],
)  # fmt: skip
def test_what_gcloud_writes_is_read(document, kind):
    """The four kinds."""
    file = read_google(json.dumps(document))
    assert type(file) is kind
    for secret in ("shh", "1//r", "PRIVATE"):
        assert secret not in repr(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected Google's JSON"),
        ("<html>", "expected Google's JSON"),
        ("[]", "expected Google's JSON"),
        ("{}", "type: expected"),
        ('{"type": "authorized_users"}', 'got "authorized_users"'),
        (json.dumps(USER | {"refresh_token": ""}), 'missing "refresh_token"'),
        (json.dumps(USER | {"token_uri": "nonsense"}), "token_uri: expected a URL"),
        (service_account("https://x", private_key="-----BEGIN PRIVATE KEY-----\nnonsense"), "not a PEM key"),
        (service_account("https://x", client_email=None), 'missing "client_email"'),
        (json.dumps(EXTERNAL | {"credential_source": {"executable": {"command": "x"}}}), "not supported"),
        (json.dumps(EXTERNAL | {"credential_source": {"environment_id": "aws1", "url": "http://x/y"}}), "not supported"),
        (json.dumps(EXTERNAL | {"credential_source": None}), 'missing "credential_source"'),
        (json.dumps(EXTERNAL | {"credential_source": {"file": "/f", "format": {"type": "json"}}}), "subject_token_field_name"),
        (json.dumps(borrowed({"type": "authorized_user"})), 'missing "source_credentials.client_id"'),
        (json.dumps(borrowed(borrowed(USER))), "source_credentials.type: expected"),
        (json.dumps(borrowed(None)), 'missing "source_credentials"'),
    ],
)
def test_what_cannot_work_is_said(text, said):
    """Field and expectation; nothing of the content."""
    with pytest.raises(ValueError, match=said) as raised:
        read_google(text)
    for secret in ("shh", "nonsense\n", "BEGIN"):
        assert secret not in str(raised.value)


def test_a_service_accounts_key_is_one():
    """It signs."""
    file = read_google(service_account("https://x/token"))
    assert pem_of(file.key) == pem_of(rsa_key())
