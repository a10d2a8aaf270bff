"""What would become of a request, told without a server. Part of the composition root."""

import random
import time
from collections.abc import Mapping
from functools import partial

from gatewright.config import Config
from gatewright.dialects import BY_NAME
from gatewright.endpoints import endpoints_of
from gatewright.exchange import Exchange, Principal
from gatewright.jsontypes import JsonObject
from gatewright.listing import lists_of, router_of
from gatewright.pipeline.explain import Explain
from gatewright.pipeline.health import Health
from gatewright.pipeline.peek import PeekStage
from gatewright.pipeline.plan import RouteStage
from gatewright.server.paths import match
from gatewright.wire.http import Call


async def explain_request(
    config: Config, environ: Mapping[str, str], body: bytes, *, path: str = "", model: str = ""
) -> JsonObject:
    """What would become of a client's request, with nobody called. Raises Refused where it would be refused."""
    endpoints, closing = endpoints_of(config, environ)
    lists = lists_of(config, endpoints)
    await lists.close()  # what is known of models is told, and nobody is asked for more
    await lists.load_prices()
    health = Health(config.routing.breaker, time.monotonic)
    health.follow(endpoints, config.routing.breaker)
    route = RouteStage(router_of(config, endpoints, lists), random.random, BY_NAME, health, time.time)
    matched = partial(match, "POST", providers=frozenset(endpoints))
    explain = Explain(PeekStage(BY_NAME), route, health, matched, lists.load_prices)
    query = {name: value for name, value in (("path", path), ("model", model)) if value}
    asking = Exchange(
        request_id="explain",
        dialect="openai_chat",
        operation="explain",
        method="POST",
        call=Call(path="/v1/explain", body=body, query=query),
        started=time.monotonic(),
    )
    asking.principal = Principal("operator")
    try:
        return explain.explain(explain.question(asking))
    finally:
        for close in closing:
            await close()
