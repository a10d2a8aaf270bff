"""From the configuration of providers to endpoints that can be sent to."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from urllib.parse import urlsplit

from gatewright.config import Config, ProviderConfig
from gatewright.credentials import credential_of
from gatewright.dialects import BY_NAME
from gatewright.ir.blocks import DialectName
from gatewright.logins import accounts_of
from gatewright.pipeline.admit import Gate
from gatewright.pipeline.endpoint import Endpoint
from gatewright.pipeline.shaped import ShapedEndpoint
from gatewright.providers.catalog import HOSTS
from gatewright.providers.quirks import BETAS
from gatewright.providers.quirks import BY_NAME as QUIRKS
from gatewright.providers.shapes import shapes_of
from gatewright.routing.admission import Limits
from gatewright.stores.accounts import AccountStore
from gatewright.transport import HttpTransport, Timeouts, Transport, proxy_for

Closing: TypeAlias = Callable[[], Awaitable[None]]


def endpoint_of(
    config: ProviderConfig,
    environ: Mapping[str, str],
    is_ours: Callable[[str], bool] = lambda _: False,
    book: AccountStore | None = None,
) -> Endpoint:
    """One provider, ready to be sent to. One pool per scheme, host and port. `is_ours`: whether a key is one of our clients'.
    `book`: the accounts, where it uses logins.
    """
    pools: dict[str, Transport] = {}
    transports: dict[DialectName, Transport] = {}
    paths: dict[DialectName, str] = {}
    origins: dict[DialectName, str] = {}
    for dialect, base in config.bases.items():
        url = urlsplit(base)
        origin = f"{url.scheme}://{url.netloc}"
        if origin not in pools:
            pools[origin] = transport_of(config, origin, environ)
        transports[dialect] = pools[origin]
        origins[dialect] = origin
        paths[dialect] = url.path
    timeouts = config.timeouts
    host = HOSTS[config.kind]
    shapes = shapes_of({d: s for d, s in host.shapes.items() if d in config.dialects}, config.settings)
    endpoint = (ShapedEndpoint if shapes else Endpoint)(
        name=config.name,
        dialects=config.dialects,
        transports=transports,
        base_paths=paths,
        auth=dict.fromkeys(config.dialects, config.auth),
        credential=credential_of(config, environ, is_ours, book),
        origins=origins,
        secret=config.api_key.reveal() if config.api_key else "",
        headers=tuple((name, value.reveal()) for name, value in config.headers),
        timeouts=Timeouts(
            connect_s=timeouts.connect_s,
            headers_s=timeouts.headers_s,
            first_event_s=timeouts.first_event_s,
            idle_s=timeouts.idle_s,
            total_s=timeouts.total_s,
        ),
        forwards=frozenset(config.forwards),
        stores_responses=config.stores_responses,
        speaks=host.spoken_to if host.speaks else None,
        quirks=tuple(QUIRKS[name] for name in config.quirks),
        betas=BETAS.get(host.name),
    )
    if isinstance(endpoint, ShapedEndpoint):
        endpoint.shapes = shapes
    if config.max_concurrent:
        endpoint.gate = Gate(config.name, Limits(config.max_concurrent, config.queue.size, config.queue.wait_s), time.monotonic)
    return endpoint


def transport_of(config: ProviderConfig, origin: str, environ: Mapping[str, str]) -> Transport:
    """The way to one origin of a provider."""
    if config.kind == "demo":
        from gatewright.transport.demo import DemoTransport  # noqa: PLC0415 - only where it is configured

        return DemoTransport(BY_NAME)
    proxy = proxy_for(origin, environ) if config.proxy is None else None if config.proxy == "direct" else config.proxy
    return HttpTransport(
        origin, ca_file=config.ca_file, verify=config.verify_tls, proxy=proxy, max_connections=config.max_connections
    )


def endpoints_of(
    config: Config, environ: Mapping[str, str], is_ours: Callable[[str], bool] = lambda _: False
) -> tuple[dict[str, Endpoint], list[Closing]]:
    """Every provider, and what is to be closed at the end."""
    book = accounts_of(config, environ)
    endpoints = {name: endpoint_of(provider, environ, is_ours, book) for name, provider in config.providers.items()}
    closing: list[Closing] = [endpoint.close for endpoint in endpoints.values()]
    if book is not None:
        closing.append(book.close)
    return endpoints, closing
