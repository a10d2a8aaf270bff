"""Credentials that are more than one fixed header, as the gateway uses them: frozen, resolved, checked.

One rule: every file and variable is read here but those that their issuer rewrites while the gateway runs.
"""

from typing import TypeAlias

import msgspec

from gatewright.config.secrets import Secret


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


CredentialConfig: TypeAlias = PoolConfig | ClientConfig | GoogleConfig | EntraConfig
