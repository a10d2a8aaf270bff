"""Providers: the file's sections and the catalogue's rows, made into `ProviderConfig`.

One rule: a credential goes nowhere it was not meant for; the environment's key is used only with the kind's own base URL.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from gatewright.config.model import ProviderConfig, TimeoutsConfig
from gatewright.config.references import Desk
from gatewright.config.resolve_accounts import refuse_strays, resolve_accounts
from gatewright.config.resolve_credentials import Places, auth_of, is_more_than_a_key, resolve_credential
from gatewright.config.resolve_routing import resolve_probe, resolve_queue
from gatewright.config.resolve_settings import resolve_settings
from gatewright.config.schema import ProviderSection, TimeoutsOverride
from gatewright.config.secrets import Secret
from gatewright.config.suggest import hint
from gatewright.config.tree import KeyPath
from gatewright.ir.blocks import DialectName
from gatewright.providers.catalog import HOSTS, Host
from gatewright.providers.catalog.host import placeholders
from gatewright.providers.environment import first_set
from gatewright.providers.quirks import BY_NAME as QUIRKS

OWN_VERSION: dict[DialectName, tuple[str, ...]] = {"anthropic": ("/v1",), "gemini": ("/v1beta", "/v1")}
"""Ends of a base URL that these dialects' own paths bring along."""

CALLS = ("/chat/completions", "/responses", "/messages", "/completions")
"""Ends of a URL that is a call's and not a base."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

RESERVED = frozenset(
    {"v1", "v1beta", "v1alpha", "health", "ready", "chat", "responses", "messages", "models", "completions", "embeddings"}
    | {"images", "audio", "moderations", "rerank", "files", "upload", "uploads", "batches", "api", "model"}
)
"""First segments of the gateway's own paths: `/{provider}/…` pins a provider, and must not be taken for one of these."""

UNTOUCHABLE = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "accept-encoding"})
"""Headers of the connection: the transport writes them."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104 - compared with, not bound

_ROOT_BASES = frozenset(host.base_url for host in HOSTS.values())
"""Hosts whose OpenAI-style API does lie at the root."""


def resolve_providers(sections: Mapping[str, ProviderSection], timeouts: TimeoutsConfig, desk: Desk) -> dict[str, ProviderConfig]:
    """The providers that are whole; what is wrong with the others is at the desk."""
    resolved = {name: resolve_provider(name, section, timeouts, desk) for name, section in sections.items()}
    return {name: provider for name, provider in resolved.items() if provider is not None}


def resolve_provider(name: str, section: ProviderSection, timeouts: TimeoutsConfig, desk: Desk) -> ProviderConfig | None:
    path: KeyPath = ("providers", name)
    if NAME.fullmatch(name) is None:
        desk.wrong(path, 'a provider\'s name stands in paths and before "/": letters, digits, ".", "_" and "-" only', key=True)
    elif name in RESERVED:
        desk.wrong(path, f'"{name}" begins paths of the API itself; a provider needs another name', key=True)
    host = _host(name, section, path, desk)
    if host is None:
        return None
    settings = resolve_settings(section, host, path, desk)
    bases = _bases(section, host, settings, path, desk)
    auth = auth_of(section, host, desk.environ)
    credential = (
        resolve_accounts(name, section, host, path, desk)
        if auth == "account"
        else resolve_credential(section, auth, Places(tuple(bases.values()), settings), path, desk)
    )
    if auth != "account":
        refuse_strays(section, path, desk)
    api_key = None if is_more_than_a_key(section, auth) else _api_key(section, host, path, desk)
    headers = _headers(section, host, path, desk)
    ca_file = None if section.ca_file is None else desk.existing_file(section.ca_file, (*path, "ca_file"))
    proxy = section.proxy
    if proxy is not None and proxy != "direct":
        proxy = desk.url(proxy, (*path, "proxy"))
    if not section.verify_tls:
        desk.warn((*path, "verify_tls"), "certificates are not checked: anybody between can read and change what is sent")
    if not bases:
        return None
    return ProviderConfig(
        name=name,
        kind=host.name,
        dialects=tuple(bases),
        bases=bases,
        auth=auth,
        api_key=api_key,
        credential=credential,
        headers=headers,
        ca_file=ca_file,
        verify_tls=section.verify_tls,
        proxy=proxy,
        max_connections=section.max_connections,
        max_concurrent=section.max_concurrent,
        queue=resolve_queue(section, path, desk),
        probe=resolve_probe(section, path, desk),
        forwards=frozenset(host.forwards if section.forward is None else section.forward),
        stores_responses=host.stores_responses,
        quirks=_quirks(section, host, path, desk),
        settings=settings,
        timeouts=overlay(timeouts, section.timeouts),
    )


def overlay(timeouts: TimeoutsConfig, override: TimeoutsOverride) -> TimeoutsConfig:
    """The common timeouts with one provider's own over them."""
    return TimeoutsConfig(
        connect_s=timeouts.connect_s if override.connect_s is None else override.connect_s,
        headers_s=timeouts.headers_s if override.headers_s is None else override.headers_s,
        first_event_s=timeouts.first_event_s if override.first_event_s is None else override.first_event_s,
        idle_s=timeouts.idle_s if override.idle_s is None else override.idle_s,
        total_s=timeouts.total_s if override.total_s is None else override.total_s,
    )


def _host(name: str, section: ProviderSection, path: KeyPath, desk: Desk) -> Host | None:
    kind = section.kind or name
    host = HOSTS.get(kind)
    if host is None and section.kind is None:
        desk.wrong(path, f'missing key "kind" (such as openai): "{name}" is no catalogue name{hint(name, HOSTS)}', key=True)
    elif host is None:
        near = hint(kind, HOSTS) or '; docs/providers lists them, and "custom" is any other'
        desk.wrong((*path, "kind"), f'unknown kind "{kind}"{near}')
    return host


def warn_of_self(providers: Mapping[str, ProviderConfig], host: str, port: int, desk: Desk) -> None:
    """Warns where a provider's base URL is the address that the gateway itself will listen on: calls would go in a circle."""
    for name, provider in providers.items():
        if any(is_own(base, host, port) for base in provider.bases.values()):
            desk.warn(
                ("providers", name, "base_url"), f"points at port {port} of this machine, where this gateway itself listens"
            )


def is_own(url: str, host: str, port: int) -> bool:
    """Whether a URL leads to `host:port` of this machine. `url` must be one (see `url_fault`)."""
    parts = urlsplit(url)
    return parts.port == port and parts.hostname in {*LOOPBACK, host}


def _bases(
    section: ProviderSection, host: Host, settings: Mapping[str, str], path: KeyPath, desk: Desk
) -> dict[DialectName, str]:
    """Dialect → base URL, the preferred dialect first; empty when there is a problem."""
    dialects = tuple(section.dialects or ()) or _spoken(host, section.base_url)
    for i, dialect in enumerate(dialects):
        if dialect in dialects[:i]:
            desk.wrong((*path, "dialects", i), f'"{dialect}" is listed twice')
    for dialect in section.base_urls:
        if dialect not in dialects:
            desk.wrong(
                (*path, "base_urls", dialect), f"a base for a dialect that the provider does not speak: {dialects}", key=True
            )
    base_url: str | None = host.placed(settings)
    if section.base_url is not None:
        base_url = desk.url(section.base_url, (*path, "base_url"))
    if base_url is None:
        return {}
    bases: dict[DialectName, str] = {}
    for dialect in dialects:
        written = section.base_urls.get(dialect)
        if written is not None:
            at: KeyPath = (*path, "base_urls", dialect)
            base = desk.url(written, at)
        elif base_url:
            at = (*path, "base_url")
            base = host.base_of(dialect, base_url)
        else:
            if (missing := _no_base(host, settings, path, desk)) is not None:
                desk.wrong(path, missing)
            return {}
        if base is not None:
            bases[dialect] = _check_base(dialect, base, host, at, desk)
    return bases if len(bases) == len(dialects) else {}


def _spoken(host: Host, base_url: str | None) -> tuple[DialectName, ...]:
    """What a host is taken to speak, the dialect for clients of any other first.

    Behind a base URL of somebody else's stands, nearly always, a Chat Completions server (docs/adr/0005).
    """
    if base_url is not None and base_url.rstrip("/") != host.base_url and "openai_chat" in host.dialects:
        return ("openai_chat", *(dialect for dialect in host.dialects if dialect != "openai_chat"))
    return host.dialects


def _no_base(host: Host, settings: Mapping[str, str], path: KeyPath, desk: Desk) -> str | None:
    """What a base URL would be made with, where it is missing. None: something stands there, and was found wrong already."""
    placed = placeholders(host.base_url)
    missing = [setting for setting in host.settings if setting.name in placed and setting.name not in settings]
    if not missing:
        return f'missing key "base_url": kind "{host.name}" has none of its own'
    if desk.told(path, tuple(setting.name for setting in missing)):
        return None
    told = " and ".join(
        f'"{setting.name}" ({setting.what}{"; or set " if setting.env else ""}{" or ".join(setting.env)})' for setting in missing
    )
    return f'missing key {told}, or "base_url": {host.title} has no address without'


def _check_base(dialect: DialectName, base: str, host: Host, path: KeyPath, desk: Desk) -> str:
    """The base that calls of this dialect are added to. Common slips are mended and warned about."""
    if dialect in host.shapes:  # people copy what follows from the vendor's pages
        return next((base.removesuffix(end) for end in host.own_paths if base.endswith(end)), base)
    for end in OWN_VERSION.get(dialect, ()):
        if base.endswith(end):
            desk.warn(path, f'"{end}" is left out: paths of the {dialect} dialect bring it along')
            return base.removesuffix(end)
    slip = next((end for end in CALLS if base.endswith(end)), None)
    if slip is not None:
        desk.wrong(path, f'expected a base URL, got that of a call; leave out "{slip}"')
    elif dialect.startswith("openai_") and not urlsplit(base).path and base not in _ROOT_BASES:
        desk.warn(path, f"{base} has no path; the base of an OpenAI-style API mostly ends in /v1")
    return base


def _api_key(section: ProviderSection, host: Host, path: KeyPath, desk: Desk) -> Secret | None:
    if section.api_key is not None:
        return desk.secret(section.api_key, (*path, "api_key"))
    if section.base_url is not None or section.base_urls or host.key == "none":
        return None
    name = first_set(host.env_keys, desk.environ)
    if name is not None:
        return Secret(desk.environ[name].strip())
    if host.key == "required" and not section.headers and not desk.told(path, ("api_key", "api_keys", "credentials")):
        desk.wrong(path, f'missing key "api_key" (or set {" or ".join(host.env_keys)}): {host.title} answers nobody without')
    return None


def _quirks(section: ProviderSection, host: Host, path: KeyPath, desk: Desk) -> tuple[str, ...]:
    if section.quirks is None:
        return host.quirks
    for i, name in enumerate(section.quirks):
        if name not in QUIRKS:
            desk.wrong((*path, "quirks", i), f'unknown quirk "{name}"{hint(name, QUIRKS)}')
    return tuple(dict.fromkeys(section.quirks))


def _headers(section: ProviderSection, host: Host, path: KeyPath, desk: Desk) -> tuple[tuple[str, Secret], ...]:
    headers: list[tuple[str, Secret]] = []
    for name, written in section.headers.items():
        at: KeyPath = (*path, "headers", name)
        if not all(c.isascii() and (c.isalnum() or c in "!#$%&'*+-.^_`|~") for c in name):
            desk.wrong(at, "not a header's name", key=True)
            continue
        if name.lower() in UNTOUCHABLE:
            desk.wrong(at, "belongs to the connection and cannot be set", key=True)
            continue
        value = desk.text(written.reveal(), at)
        if value is not None and not (value.isascii() and value.isprintable()):
            desk.wrong(at, "a header's value may hold printable ASCII only")
        elif value is not None:
            headers.append((name.lower(), Secret(value)))
    said = {name for name, _ in headers}
    return (*((name, Secret(value)) for name, value in host.headers if name not in said), *headers)
