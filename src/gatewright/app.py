"""The composition root: Config -> endpoints, stores, stages, gateway. The only reader of Config.

`generation_of()` builds the house, or the next one out of what serves now; who serves it, and until when: `serving.py`.
"""

import random
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from gatewright.admin.stage import AdminApi, TellProblems
from gatewright.admitting import Directory, behind_issuers
from gatewright.bookkeeping import books_of
from gatewright.caching import answers_of, cache_of
from gatewright.config import Config, ProviderConfig
from gatewright.config.credentials import ClientConfig
from gatewright.costing import has_money, prices_of
from gatewright.dialects import BY_NAME
from gatewright.endpoints import endpoint_of, transport_of
from gatewright.exchange import Next, Operation, Stage
from gatewright.exploring import exploring_of, invariant_endpoints, pinned_by_paths, pushes, with_invariant
from gatewright.guarding import guards_of
from gatewright.house import Generation
from gatewright.limiting import counters_of, limited, now_us
from gatewright.listing import ladder_providers, lists_of, router_of, stage_of
from gatewright.logins import accounts_of
from gatewright.measuring import Measures
from gatewright.pipeline import Stacks, compose
from gatewright.pipeline.admin import Reload, ReloadDesk
from gatewright.pipeline.attempt import Attempt
from gatewright.pipeline.attempts import Attempts
from gatewright.pipeline.beside import Beside
from gatewright.pipeline.count import CountTokens
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.pipeline.explain import Explain
from gatewright.pipeline.forward import Forward
from gatewright.pipeline.forward_to import ForwardTo
from gatewright.pipeline.guard_kinds import Means
from gatewright.pipeline.health import Health
from gatewright.pipeline.health_report import HealthReport
from gatewright.pipeline.invoke import CountInput, Framing, Invoke
from gatewright.pipeline.live_lists import LiveLists
from gatewright.pipeline.peek import PeekStage
from gatewright.pipeline.plan import RouteStage
from gatewright.pipeline.probes import Probe, Probes
from gatewright.pipeline.resume import Resume
from gatewright.pipeline.semantic import Meanings
from gatewright.pipeline.settle import Settle
from gatewright.pipeline.show_cost import ShowCost
from gatewright.pipeline.state import StateStage
from gatewright.pipeline.stored import StoredResponses
from gatewright.pipeline.usage_report import UsageReport
from gatewright.providers.oauth.credential import AccountsCredential
from gatewright.record.ledger import Ledger
from gatewright.server.gateway import Gateway
from gatewright.server.paths import match
from gatewright.stores.kept import KeptStore
from gatewright.tracing import Tracing
from gatewright.transport.fetch import MediaFetcher

_STORED: Final[tuple[Operation, ...]] = ("get_response", "delete_response", "cancel_response", "list_input_items")


def _kept_endpoint(before: Generation | None, config: ProviderConfig) -> Endpoint | None:
    """The endpoint of a provider that has not changed, with its connections, tokens and resting keys. None: it is built anew.

    So is one that reads a file which the configuration only names, and one that must know the client keys.
    """
    if before is None or before.config.providers.get(config.name) != config:
        return None
    return None if config.ca_file is not None or isinstance(config.credential, ClientConfig) else before.endpoints[config.name]


def generation_of(config: Config, environ: Mapping[str, str], before: Generation | None = None) -> Generation:  # noqa: PLR0915 - the house, top to bottom
    """What `config` describes. `before`: what serves now; it is not touched, but what goes on unchanged is taken from it."""
    directory = Directory(config) if before is None else before.directory
    authenticate = directory.stage(config, environ)
    book = None if before is None else before.book
    if book is None:
        book = accounts_of(config, environ)
    endpoints = {
        name: _kept_endpoint(before, provider) or endpoint_of(provider, environ, authenticate.is_ours, book)
        for name, provider in config.providers.items()
    }
    endpoints = invariant_endpoints(config, endpoints, authenticate.is_ours)
    prices = prices_of(config) if before is None else before.prices
    lists = lists_of(config, endpoints, partial(transport_of, environ=environ), prices=prices)
    router = router_of(config, endpoints, lists)
    books = books_of(config, prices.price) if before is None else before.books
    usage = books.usage
    recorder = usage if isinstance(usage, Ledger) else None
    measures = Measures(config, books, environ) if before is None else before.measures
    settle = Settle(BY_NAME, measures.recorder(config), ShowCost(prices, now_us))
    peek = PeekStage(BY_NAME)
    health = Health(config.routing.breaker, time.monotonic) if before is None else before.health
    if before is None:
        health.follow(endpoints, config.routing.breaker)
    route = RouteStage(router, random.random, BY_NAME, health, time.time)
    if before is None:
        kept = KeptStore(Path(config.server.state_dir) / "kept.db", max_rows=config.responses_state.max_items)
    else:
        kept = before.kept
    media = config.media_fetch
    fetcher = MediaFetcher(allow_hosts=media.allow_hosts, max_bytes=media.max_bytes) if media.enabled else None
    attempt = Attempt(BY_NAME, kept, fetcher, config.server.max_answer_bytes)
    tracing = Tracing(config, environ, prices.price) if before is None else before.tracing
    traced = tracing.stages(config, attempt)
    answers = answers_of(config, None if before is None else before.answers)
    attempts = Attempts(attempt, health, random.random, recorder)
    policies = (config.routing.policy, *(model.policy for model in config.models.values()))
    resume = (Resume(BY_NAME, time.monotonic),) if any(policy.on_cut == "resume" for policy in policies) else ()
    limit = limited(config, counters := counters_of(config, None if before is None else before.counters), prices)
    beside = Beside(limit[0].limits)
    means = Means(
        environ=environ,
        endpoints=endpoints,
        dialects=BY_NAME,
        health=health,
        settles=usage,
        recorder=recorder,
        attempt=attempt,
        beside=beside,
    )
    guards = guards_of(config.guards, means)
    asked: tuple[Stage, ...] = (
        *cache_of(
            config,
            answers,
            attempt.keep_seals,
            Meanings(endpoints, BY_NAME, health, usage, recorder, beside=beside),
            recorder,
        ),
        *resume,
        attempts,
    )
    stored = config.responses_state
    state = StateStage(kept, stored.ttl_s, time.time, enabled=stored.store, health=health, limits=limit[0].limits)
    matched = partial(match, "POST", providers=frozenset(endpoints))
    explain = Explain(peek, route, health, matched, lists.load_prices, state=state)
    lists.known.subscribe(route.forget)
    models = compose([settle, authenticate, stage_of(router, lists)])
    desk = ReloadDesk() if before is None else before.desk
    stacks: dict[Operation, Next] = {
        "generate": compose([*traced, settle, authenticate, peek, route, *limit, *guards.generate, *asked]),
        "invoke": compose(
            [
                *traced,
                Framing(BY_NAME, time.monotonic),
                settle,
                authenticate,
                Invoke(BY_NAME),
                peek,
                route,
                *limit,
                *guards.generate,
                *asked,
            ]
        ),
        "count_tokens": compose(
            [*traced, settle, authenticate, peek, route, *limit, *guards.generate, CountTokens(attempt, health)]
        ),
        "count_input": compose(
            [
                *traced,
                settle,
                authenticate,
                CountInput(BY_NAME),
                peek,
                route,
                *limit,
                *guards.generate,
                CountTokens(attempt, health),
            ]
        ),
        "forward": compose(
            [
                *traced,
                settle,
                authenticate,
                ForwardTo(BY_NAME, router),
                *limit,
                *guards.forward,
                Forward(attempt, health, config.server.scheme, recorder),
            ]
        ),
        "explain": compose([settle, authenticate, explain]),
        "list_models": models,
        "get_model": models,
        "usage": compose([settle, authenticate, UsageReport(books.reports)]),
        "target_health": compose([settle, authenticate, HealthReport(router, health)]),
        "reload": compose([settle, authenticate, Reload(desk, directory.noted)]),
        "admin": compose([TellProblems(), authenticate, AdminApi(directory, tracing.reading)]),
    }
    stacks |= measures.stack(config, settle, authenticate)
    for operation in _STORED:
        held = () if operation == "cancel_response" else limit  # who stops a call must not have to wait for that
        stacks[operation] = compose(
            [settle, authenticate, *held, StoredResponses(state, attempt, endpoints, health, guards.screen)]
        )
    gateway = Gateway(
        stacks=with_invariant(
            exploring := exploring_of(config, environ, None if before is None else before.exploring),
            behind_issuers(
                Stacks(
                    stacks,
                    responses=compose([*traced, settle, authenticate, peek, route, *limit, state, *guards.generate, *asked]),
                    otherwise=compose([settle, authenticate]),
                ),
                authenticate,
            ),
            above=(*traced, settle),
            authenticate=authenticate,
            before=(peek, route, *limit),
            guards=guards.generate,
            asked=asked,
            endpoints=endpoints,
        ),
        dialects=BY_NAME,
        providers=pinned_by_paths(config, endpoints),
        max_body_bytes=config.server.max_body_bytes,
        max_concurrent=config.server.max_concurrent,
        keepalive_s=config.server.keepalive_s,
        behind_proxies=bool(authenticate.trusted),
    )
    _have_prices(config, lists, gateway)
    probed = ((endpoints[name], provider.probe) for name, provider in config.providers.items() if provider.probe is not None)
    probes = Probes(
        tuple(Probe(Candidate(endpoint, probe.model), probe.every_s) for endpoint, probe in probed),
        attempts.asking,
        usage,
        random.random,
    )
    gateway.starting.append(probes.start)
    measures.measure(config, gateway, endpoints, health)
    measures.tracing = tracing
    measures.explorer_pushes = partial(pushes, exploring, tracing)
    if climbed := ladder_providers(config):
        gateway.starting.append(partial(lists.keep, climbed))
    gateway.starting.append(tracing.start)
    for endpoint in endpoints.values():
        if isinstance(endpoint.credential, AccountsCredential):
            gateway.starting.append(endpoint.credential.start)
    return Generation(
        config=config,
        gateway=gateway,
        endpoints=endpoints,
        lists=lists,
        authenticate=authenticate,
        directory=directory,
        books=books,
        kept=kept,
        answers=answers,
        book=book,
        desk=desk,
        health=health,
        probes=probes,
        stop=attempts.stop,
        prices=prices,
        counters=counters,
        tracing=tracing,
        measures=measures,
        exploring=exploring,
        opened=means.opened,
    )


def _have_prices(config: Config, lists: LiveLists, gateway: Gateway) -> None:
    """Have the price list read in time for whoever asks for prices."""
    if any(tier.strategy == "cheapest" for model in config.models.values() for tier in model.tiers):
        lists.prices.load()  # before the first request: it would be served by whoever comes first
    elif has_money(config):
        gateway.starting.append(lists.load_prices_soon)
