"""Models, put together: what their names mean, who is asked for lists of them and how, whose prices hold.

Part of the composition root.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from gatewright.config import Config, ProviderConfig
from gatewright.costing import list_names, prices_of
from gatewright.endpoints import endpoints_of, transport_of
from gatewright.exchange import Principal
from gatewright.pipeline.endpoint import Endpoint
from gatewright.pipeline.live_lists import ListCall, LiveLists, list_call, list_call_elsewhere
from gatewright.pipeline.model_shapes import Shown
from gatewright.pipeline.models import Models
from gatewright.pipeline.route import Route, Router
from gatewright.providers.catalog import HOSTS
from gatewright.providers.known_models import KnownModels
from gatewright.providers.pricing import Prices
from gatewright.stores.document import Document
from gatewright.transport import Transport

FILE_NAME: Final = "model-lists.json"
"""In the state folder: the lists as they were last known, for the first requests after a restart."""
MAX_BYTES: Final = 64 << 20


def lists_of(
    config: Config,
    endpoints: Mapping[str, Endpoint],
    transport_to: Callable[[ProviderConfig, str], Transport] | None = None,
    *,
    live: bool | None = None,
    prices: Prices | None = None,
) -> LiveLists:
    """What asks providers for their models. `live`: all of them, or those alone that a ladder needs; None: as configured.
    `transport_to`: the way to a provider's other hosts. `prices`: those of this gateway, which may be loaded already.
    """
    climbed = ladder_providers(config)
    everybody = config.model_lists.live if live is None else live
    asked: dict[str, ListCall] = {}
    prices = prices_of(config) if prices is None else prices
    for name, provider in config.providers.items():
        host = HOSTS[provider.kind]
        call = list_call(host, provider.dialects)
        if call is None and transport_to is not None:
            call = list_call_elsewhere(host, provider.dialects, provider.settings, provider.base_url)
        if call is not None and provider.kind != "demo" and (everybody or name in climbed):
            asked[name] = call
    known = KnownModels(asked, refresh_s=config.model_lists.refresh_s)
    identities = {name: f"{config.providers[name].kind} {config.providers[name].base_url}" for name in asked}
    document = Document(Path(config.server.state_dir) / FILE_NAME, max_bytes=MAX_BYTES)
    if (before := document.read()) is not None:
        known.unpack(before, identities)
    return LiveLists(
        endpoints=endpoints,
        calls=asked,
        known=known,
        prices=prices.book,
        price_names=list_names(config),
        stated=prices.stated,
        now=time.monotonic,
        remember=document.write,
        identities=identities,
        way_to=None if transport_to is None else lambda name, origin: transport_to(config.providers[name], origin),
    )


def ladder_providers(config: Config) -> tuple[str, ...]:
    """Those whose lists decide where names lead."""
    return tuple({model.ladder.provider: None for model in config.models.values() if model.ladder is not None})


def router_of(config: Config, endpoints: Mapping[str, Endpoint], lists: LiveLists) -> Router:
    """What the models' names mean that a client may ask for."""
    routes = {
        name: Route(
            name=name,
            tiers=model.tiers,
            policy=model.policy,
            losses=model.losses,
            overrides=model.overrides,
            defaults=model.defaults,
            ladder=model.ladder,
            facts=model.facts,
        )
        for name, model in config.models.items()
    }
    listed = ["demo/demo"] if "demo" in endpoints else []
    return Router(
        endpoints=endpoints,
        routes=routes,
        aliases=config.aliases,
        listed=listed,
        models_of=lists.models_of,
        policy=config.routing.policy,
        facts_of=lists.facts_of,
    )


def stage_of(router: Router, lists: LiveLists) -> Models:
    """The stage that answers list requests, told of every change."""
    stage = Models(router, lists.known, lists.price_of, lists.poke)
    lists.known.subscribe(stage.forget)
    return stage


async def models_now(router: Router, lists: LiveLists) -> tuple[tuple[Shown, ...], Mapping[str, str]]:
    """What can be asked for, every provider asked anew; and which of them could not be, and why."""
    await lists.refresh(lists.known.providers())
    shown = tuple(Models(router, lists.known, lists.price_of).shown(Principal("operator")))
    problems = {provider: lists.known.problem(provider) for provider in lists.known.providers()}
    return shown, {provider: problem for provider, problem in problems.items() if problem}


async def list_models(config: Config, environ: Mapping[str, str]) -> tuple[tuple[Shown, ...], Mapping[str, str]]:
    """What can be asked for, every provider asked anew; and which of them could not be, and why."""
    endpoints, closing = endpoints_of(config, environ)
    lists = lists_of(config, endpoints, partial(transport_of, environ=environ), live=True)
    try:
        return await models_now(router_of(config, endpoints, lists), lists)
    finally:
        for close in (lists.close, *closing):
            await close()
