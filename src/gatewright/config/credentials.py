"""Credentials that are more than one fixed header, as the gateway uses them: frozen, resolved, checked.

One rule: every file and variable is read here but those that their issuer rewrites while the gateway runs.
"""

from typing import TypeAlias

import msgspec

from gatewright.config.secrets import Secret
from gatewright.providers.oauth.descriptions import Description
from gatewright.providers.oauth.rotation import Rotation


class PoolConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Several fixed keys, used in turn."""

    keys: tuple[Secret, ...]


class ClientConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The client brings its own key; the gateway has none."""


class GoogleConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A Google account that asks for access tokens."""

    document: Secret | None = None
    """The JSON of a credentials file. None: the metadata server is asked."""
    source: str = "the metadata server"
    """Where it is from, for messages."""
    scope: str = ""
    metadata_host: str = "metadata.google.internal"


class EntraConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An application or a managed identity of Entra ID. With neither secret, certificate nor token file: a managed identity."""

    tenant: str = ""
    client: str = ""
    secret: Secret | None = None
    certificate: Secret | None = None
    """PEM: the certificate and its private key."""
    token_file: str | None = None
    """Absolute path; rewritten by its issuer, read at each refresh."""
    authority: str = "https://login.microsoftonline.com"
    scope: str = ""
    identity_endpoint: str = ""
    """Of App Service and its like. Empty: the instance metadata service is asked."""
    identity_header: Secret | None = None
    metadata_host: str = "http://169.254.169.254"


class AccountsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Accounts that people log in with, kept in the state folder."""

    description: Description
    rotation: Rotation = "sticky"


class AwsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An AWS account that signs each call. With neither keys nor a profile: AWS's own chain of sources."""

    region: str
    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    profile: str = ""
    role_arn: str = ""
    """Assumed with whatever keys there are."""
    external_id: str = ""
    role_session_name: str = ""


CredentialConfig: TypeAlias = PoolConfig | ClientConfig | GoogleConfig | EntraConfig | AwsConfig | AccountsConfig
