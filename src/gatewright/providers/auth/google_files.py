"""Google's credential files: which kinds there are and what must be in each.

One rule: what cannot work is said when the file is read, as a ValueError that names fields and never their values.
https://google.aip.dev/auth/4110 https://google.aip.dev/auth/4117
"""

from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from gatewright.jsontypes import JsonObject
from gatewright.providers.auth.jwt import read_private_key
from gatewright.wire.json import BadJson, decode_object

TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address


class ServiceAccount(msgspec.Struct, frozen=True):
    """A key of its own: it signs an assertion and gets a token for it."""

    email: str
    key: rsa.RSAPrivateKey
    """Read once: checking its primes takes 40 ms."""
    key_id: str
    token_uri: str
    quota_project: str = ""

    def __repr__(self) -> str:
        return f"ServiceAccount({self.email})"


class AuthorizedUser(msgspec.Struct, frozen=True):
    """A person's login (`gcloud auth application-default login`): a refresh token."""

    client_id: str
    client_secret: str
    refresh_token: str
    token_uri: str
    account: str
    quota_project: str = ""

    def __repr__(self) -> str:
        return f"AuthorizedUser({self.account})"


class SubjectFrom(msgspec.Struct, frozen=True):
    """Where a workload finds the token of its own identity provider."""

    file: str = ""
    url: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    json_field: str = ""
    """Empty: the text is the token."""

    def __repr__(self) -> str:
        return f"SubjectFrom({self.file or self.url})"


class ExternalAccount(msgspec.Struct, frozen=True):
    """Workload identity federation: another provider's token is exchanged."""

    audience: str
    subject_token_type: str
    token_url: str
    subject: SubjectFrom
    impersonation_url: str = ""
    lifetime_s: int = 3600
    quota_project: str = ""


class Impersonated(msgspec.Struct, frozen=True):
    """Another account's rights, borrowed by the one within."""

    source: "ServiceAccount | AuthorizedUser | ExternalAccount"
    impersonation_url: str
    delegates: tuple[str, ...] = ()
    quota_project: str = ""


GoogleFile: TypeAlias = ServiceAccount | AuthorizedUser | ExternalAccount | Impersonated


def read_google(text: str) -> GoogleFile:
    """A credential file's content. Raises ValueError."""
    try:
        document = decode_object(text.encode())
    except BadJson as error:
        raise ValueError(f"expected Google's JSON credentials, got something that is {error}") from None
    return _read(document, "")


def _read(document: JsonObject, within: str) -> GoogleFile:
    kind = document.get("type")
    quota = str(document.get("quota_project_id") or "")
    match kind:
        case "service_account":
            return ServiceAccount(
                _text(document, "client_email", within),
                read_private_key(_text(document, "private_key", within)),
                str(document.get("private_key_id") or ""),
                _url(document.get("token_uri") or TOKEN_URI, f"{within}token_uri"),
                quota,
            )
        case "authorized_user":
            return AuthorizedUser(
                _text(document, "client_id", within),
                _text(document, "client_secret", within),
                _text(document, "refresh_token", within),
                _url(document.get("token_uri") or TOKEN_URI, f"{within}token_uri"),
                str(document.get("account") or "the gcloud user"),
                quota,
            )
        case "external_account":
            impersonation = document.get("service_account_impersonation_url")
            options = document.get("service_account_impersonation")
            lifetime = options.get("token_lifetime_seconds") if isinstance(options, dict) else None
            return ExternalAccount(
                _text(document, "audience", within),
                _text(document, "subject_token_type", within),
                _url(_text(document, "token_url", within), f"{within}token_url"),
                _subject(document.get("credential_source")),
                _url(impersonation, f"{within}service_account_impersonation_url") if impersonation else "",
                lifetime if isinstance(lifetime, int) and 0 < lifetime <= 43_200 else 3600,
                quota,
            )
        case "impersonated_service_account" if not within:
            source = document.get("source_credentials")
            if not isinstance(source, dict):
                raise ValueError('missing "source_credentials"')  # noqa: TRY004 - the file is wrong, not the caller
            delegates = document.get("delegates")
            return Impersonated(
                _inner(_read(source, "source_credentials.")),
                _url(_text(document, "service_account_impersonation_url", ""), "service_account_impersonation_url"),
                tuple(str(name) for name in delegates) if isinstance(delegates, list) else (),
                quota,
            )
        case _:
            known = '"service_account", "authorized_user", "external_account" or "impersonated_service_account"'
            got = f'"{kind}"' if isinstance(kind, str) and len(kind) < 60 else "none of them"
            raise ValueError(f"{within}type: expected {known}, got {got}")


def _inner(source: GoogleFile) -> "ServiceAccount | AuthorizedUser | ExternalAccount":
    assert not isinstance(source, Impersonated), "an impersonation within another is refused before"
    return source


def _subject(source: object) -> SubjectFrom:
    if not isinstance(source, dict):
        raise ValueError('missing "credential_source"')  # noqa: TRY004 - the file is wrong, not the caller
    form = source.get("format")
    field = ""
    if isinstance(form, dict) and form.get("type") == "json":
        field = str(form.get("subject_token_field_name") or "")
        if not field:
            raise ValueError('credential_source.format: missing "subject_token_field_name"')
    if isinstance(file := source.get("file"), str) and file:
        return SubjectFrom(file=file, json_field=field)
    if isinstance(url := source.get("url"), str) and url and "environment_id" not in source:
        headers = source.get("headers")
        pairs = tuple((str(n), str(v)) for n, v in headers.items()) if isinstance(headers, dict) else ()
        return SubjectFrom(url=_url(url, "credential_source.url"), headers=pairs, json_field=field)
    raise ValueError('credential_source: expected "file" or "url"; AWS, certificate and executable sources are not supported')


def _text(document: JsonObject, field: str, within: str) -> str:
    value = document.get(field)
    if not isinstance(value, str) or not value:
        raise ValueError(f'missing "{within}{field}"')
    return value


def _url(value: object, field: str) -> str:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError(f"{field}: expected a URL")
    return str(value)
