"""Accounts that people log in with: how to log in to a provider, as its kind knows and its section says.

One rule: a login is whole or a problem: one way to begin it, one to end it, and a client to do so.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from gatewright.config.credentials import AccountsConfig
from gatewright.config.model import ProviderConfig
from gatewright.config.references import Desk
from gatewright.config.schema import OAuthSection, ProviderSection
from gatewright.config.tree import KeyPath
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.providers.catalog import Host
from gatewright.providers.oauth.descriptions import BY_NAME, Description
from gatewright.stores.logins import logged_in

_URLS = ("device_url", "authorize_url", "token_url")
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
_KEPT_SECRETS = ("api_key", "api_keys", "credentials")


def resolve_accounts(name: str, section: ProviderSection, host: Host, path: KeyPath, desk: Desk) -> AccountsConfig | None:
    """None: a problem is at the desk."""
    for key in _KEPT_SECRETS:
        if getattr(section, key):
            desk.wrong(
                (*path, key), 'a key beside "auth: account", which uses logins; say "auth: bearer" to use the key', key=True
            )
            return None
    known = BY_NAME.get(host.login) or Description(name=name, title=host.title)
    description = _overlaid(known, section.oauth, (*path, "oauth"), desk) if section.oauth is not None else known
    if description is None:
        return None
    missing = [key for key in ("token_url", "client_id") if not getattr(description, key)]
    if not description.flows:
        missing.insert(0, "device_url or authorize_url")
    if missing:
        desk.wrong(path, f'"auth: account" needs under "oauth": {", ".join(missing)}')
        return None
    return AccountsConfig(description=description, rotation=section.rotation or "sticky")


def warn_of_missing_logins(providers: Mapping[str, ProviderConfig], state_dir: str, desk: Desk) -> None:
    """Providers that cannot answer yet, because nobody has logged in to them."""
    wanting = [name for name, provider in providers.items() if isinstance(provider.credential, AccountsConfig)]
    present = logged_in(Path(state_dir)) if wanting else ()
    for name in wanting:
        if name not in present:
            desk.warn(("providers", name), f"nobody is logged in yet; log in with: gatewright login {name}")


def refuse_strays(section: ProviderSection, path: KeyPath, desk: Desk) -> None:
    """Settings of accounts at a provider that has none."""
    for key in ("rotation", "oauth"):
        if getattr(section, key) is not None:
            desk.wrong((*path, key), 'read only with "auth: account"', key=True)


def _in_the_clear(url: JsonValue) -> bool:
    parts = urlsplit(str(url))
    return parts.scheme == "http" and parts.hostname not in _THIS_MACHINE


def _overlaid(known: Description, section: OAuthSection, path: KeyPath, desk: Desk) -> Description | None:
    changes: JsonObject = {}
    whole = True
    for key in _URLS:
        if (written := getattr(section, key)) is not None:
            changes[key] = desk.url(written, (*path, key))
            whole = whole and changes[key] is not None
            if key != "authorize_url" and _in_the_clear(changes[key]):
                desk.warn((*path, key), "not https: codes and tokens travel in the clear")
    if section.client_id is not None:
        changes["client_id"] = desk.text(section.client_id, (*path, "client_id"))
        whole = whole and changes["client_id"] is not None
    if section.client_secret is not None:
        secret = desk.secret(section.client_secret, (*path, "client_secret"))
        changes["client_secret"] = secret.reveal() if secret is not None else ""
        whole = whole and secret is not None
    if not whole:
        return None
    described = msgspec.structs.replace(known, **changes)
    if section.scopes is not None:
        described = msgspec.structs.replace(described, scopes=tuple(section.scopes))
    if section.parameters is not None:
        described = msgspec.structs.replace(described, parameters=section.parameters)
    if section.identity is not None:
        described = msgspec.structs.replace(described, identity=section.identity)
    if section.bearer is not None:
        if "{access_token}" not in section.bearer:
            desk.wrong((*path, "bearer"), 'expected "{access_token}" in it')
            return None
        described = msgspec.structs.replace(described, bearers=(section.bearer, "{access_token}"))
    if section.redirect_port is not None:
        described = msgspec.structs.replace(described, redirect_port=section.redirect_port)
    if section.refresh_ahead_s is not None:
        described = msgspec.structs.replace(described, refresh_ahead_s=section.refresh_ahead_s)
    return described
