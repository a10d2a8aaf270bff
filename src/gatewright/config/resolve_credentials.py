"""Credentials: what a provider's section, and for cloud identities the environment, say of them.

One rule: a section that names a credential gets that one or a problem, never another that happened to lie about.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from gatewright.config.credentials import ClientConfig, CredentialConfig, EntraConfig, GoogleConfig, PoolConfig
from gatewright.config.references import Desk
from gatewright.config.resolve_aws import AWS_KEYS, resolve_aws
from gatewright.config.schema import ProviderSection
from gatewright.config.secrets import Secret
from gatewright.config.tree import KeyPath
from gatewright.providers.auth.google_files import read_google
from gatewright.providers.auth.jwt import read_certificate
from gatewright.providers.catalog import Host
from gatewright.providers.catalog.host import Auth
from gatewright.providers.environment import first_set

GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
ENTRA_SCOPE = "https://cognitiveservices.azure.com/.default"
GCLOUD_FILE = "application_default_credentials.json"

TOKEN_AUTHS: frozenset[Auth] = frozenset(("google", "entra", "aws"))
"""Ways of travelling whose tokens are obtained, or whose calls are signed, by what stands here."""

AT_HOME: dict[Auth, tuple[str, ...]] = {
    "google": (".googleapis.com",),
    "entra": (".azure.com", ".azure.us", ".azure.cn", ".microsoft.com"),
    "aws": (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws"),
}
"""Whose hosts may be shown an identity's tokens without being asked."""

_ENTRA_KEYS = ("tenant_id", "client_id", "client_secret", "certificate_file", "federated_token_file", "authority")
_KEYS: dict[str, tuple[str, ...]] = {"google": ("credentials_file",), "entra": _ENTRA_KEYS, "aws": AWS_KEYS}
"""Settings → the one way of travelling that reads them."""


class Places(msgspec.Struct, frozen=True):
    """Where calls will go."""

    bases: tuple[str, ...]
    settings: Mapping[str, str]


def auth_of(section: ProviderSection, host: Host, environ: Mapping[str, str]) -> Auth:
    """How calls are signed: as the section says, as the credential it names must be, by a key where there is one, else by the
    identity that the host takes.
    """
    if section.auth is not None:
        return section.auth
    if section.api_key is not None or section.api_keys or section.credentials is not None:
        return host.auth
    if section.credentials_file is not None:
        return "google"
    if any(getattr(section, key) is not None for key in _ENTRA_KEYS):
        return "entra"
    if any(getattr(section, key) is not None for key in AWS_KEYS):
        return "aws"
    elsewhere = section.base_url is not None or bool(section.base_urls)
    if host.identity is None or (not elsewhere and first_set(host.env_keys, environ) is not None):
        return host.auth
    return host.identity


def is_more_than_a_key(section: ProviderSection, auth: Auth) -> bool:
    """Whether a credential of its own is made for this section; else it is one key or none."""
    return section.credentials is not None or bool(section.api_keys) or auth in TOKEN_AUTHS or auth == "account"


def resolve_credential(
    section: ProviderSection, auth: Auth, places: Places, path: KeyPath, desk: Desk
) -> CredentialConfig | None:
    """None: there is none of these, or a problem is at the desk."""
    for kind, keys in _KEYS.items():
        for key in keys:
            if auth != kind and getattr(section, key) is not None:
                desk.wrong((*path, key), f'read only with "auth: {kind}"; this provider has "auth: {auth}"', key=True)
    if section.credentials == "client":
        return _client(section, auth, path, desk)
    if section.api_keys:
        return _pool(section, path, desk)
    if auth not in TOKEN_AUTHS:
        return None
    if section.api_key is not None:
        desk.wrong((*path, "api_key"), f'a fixed key beside "auth: {auth}", which obtains tokens; one of them', key=True)
        return None
    stranger = next((base for base in places.bases if not _is_at_home(base, auth)), None)
    if section.auth is None and stranger is not None:
        desk.wrong(path, f'say "auth: {auth}" too: this identity is shown to no other host ({stranger}) unasked')
        return None
    if auth == "aws":
        return resolve_aws(section, places.settings, places.bases, path, desk)
    return _google(section, path, desk) if auth == "google" else _entra(section, path, desk)


def _is_at_home(base: str, auth: Auth) -> bool:
    return f".{urlsplit(base).hostname}".endswith(AT_HOME[auth])


def _client(section: ProviderSection, auth: Auth, path: KeyPath, desk: Desk) -> ClientConfig | None:
    for key in ("api_key", "api_keys"):
        if getattr(section, key):
            desk.wrong((*path, key), 'a key of the gateway\'s beside "credentials: client"; one of them', key=True)
            return None
    if auth in ("none", "aws", "account", "entra"):
        desk.wrong((*path, "credentials"), f'a client\'s key cannot travel by "auth: {auth}"')
        return None
    return ClientConfig()


def _pool(section: ProviderSection, path: KeyPath, desk: Desk) -> PoolConfig | None:
    written = [*((section.api_key, ("api_key",)),), *((key, ("api_keys", i)) for i, key in enumerate(section.api_keys))]
    keys: list[Secret] = []
    whole = True
    for key, at in written:
        if key is None:
            continue
        secret = desk.secret(key, (*path, *at))
        if secret is None:
            whole = False
        elif secret in keys:
            desk.wrong((*path, *at), "the same key as one before it")
            whole = False
        else:
            keys.append(secret)
    return PoolConfig(keys=tuple(keys)) if whole else None


def _google(section: ProviderSection, path: KeyPath, desk: Desk) -> GoogleConfig | None:
    """`credentials_file`, then Application Default Credentials: https://cloud.google.com/docs/authentication/application-default-credentials."""
    scope = section.scope or GOOGLE_SCOPE
    environ = desk.environ
    at: KeyPath = path
    if section.credentials_file is not None:
        at = (*path, "credentials_file")
        written = desk.text(section.credentials_file, at) if section.credentials_file.startswith("env:") else None
        place: str | None = written or section.credentials_file
    elif named := environ.get("GOOGLE_APPLICATION_CREDENTIALS", "").strip():
        place = named
    else:
        folder = environ.get("CLOUDSDK_CONFIG", "").strip()
        home = environ.get("HOME", "").strip()
        default = Path(folder) / GCLOUD_FILE if folder else Path(home or "/") / ".config" / "gcloud" / GCLOUD_FILE
        place = str(default) if (folder or home) and default.is_file() else None
    if place is None:
        host = environ.get("GCE_METADATA_HOST", "").strip() or "metadata.google.internal"
        return GoogleConfig(scope=scope, metadata_host=host)
    text = desk.text(f"file:{place.removeprefix('file:')}", at)
    if text is None:
        return None
    try:
        read_google(text)
    except ValueError as error:
        desk.wrong(at, f'file "{place}": {error}')
        return None
    return GoogleConfig(document=Secret(text), source=f'file "{Path(place).name}"', scope=scope)


def _entra(section: ProviderSection, path: KeyPath, desk: Desk) -> EntraConfig | None:
    """The section's own words first; then the variables of the Azure SDKs, in their order; then a managed identity."""
    environ = desk.environ
    problems = len(desk.problems)

    def said(key: str, variable: str) -> str:
        written = getattr(section, key)
        if written is None:
            return environ.get(variable, "").strip()
        return desk.text(written, (*path, key)) or ""

    tenant, client = said("tenant_id", "AZURE_TENANT_ID"), said("client_id", "AZURE_CLIENT_ID")
    authority = said("authority", "AZURE_AUTHORITY_HOST") or "https://login.microsoftonline.com"
    if "://" not in authority:
        authority = f"https://{authority}"
    secret: Secret | None = None
    certificate: Secret | None = None
    token_file: str | None = None
    own = (section.client_secret, section.certificate_file, section.federated_token_file)
    if sum(word is not None for word in own) > 1:
        desk.wrong(path, "more than one of client_secret, certificate_file and federated_token_file; expected one")
    if section.client_secret is not None:
        secret = desk.secret(section.client_secret, (*path, "client_secret"))
    elif section.certificate_file is not None:
        certificate = _certificate(section.certificate_file, (*path, "certificate_file"), desk)
    elif section.federated_token_file is not None:
        token_file = desk.existing_file(section.federated_token_file, (*path, "federated_token_file"))
    elif tenant and client:
        if text := environ.get("AZURE_CLIENT_SECRET", "").strip():
            secret = Secret(text)
        elif place := environ.get("AZURE_CLIENT_CERTIFICATE_PATH", "").strip():
            certificate = _certificate(place, path, desk)
        elif place := environ.get("AZURE_FEDERATED_TOKEN_FILE", "").strip():
            token_file = desk.existing_file(place, path)
    if (secret or certificate or token_file) and not (tenant and client):
        missing = "tenant_id" if not tenant else "client_id"
        desk.wrong(path, f'missing key "{missing}" (or set AZURE_{missing.upper()}): an application needs both', key=True)
    if len(desk.problems) > problems:
        return None
    header = environ.get("IDENTITY_HEADER", "").strip()
    return EntraConfig(
        tenant=tenant,
        client=client,
        secret=secret,
        certificate=certificate,
        token_file=token_file,
        authority=authority.rstrip("/"),
        scope=section.scope or ENTRA_SCOPE,
        identity_endpoint=environ.get("IDENTITY_ENDPOINT", "").strip() if header else "",
        identity_header=Secret(header) if header else None,
        metadata_host=environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", "").strip().rstrip("/") or "http://169.254.169.254",
    )


def _certificate(place: str, at: KeyPath, desk: Desk) -> Secret | None:
    text = desk.text(f"file:{place}", at)
    if text is None:
        return None
    try:
        read_certificate(text)
    except ValueError as error:
        desk.wrong(at, f'file "{place}": {error}')
        return None
    return Secret(text)
