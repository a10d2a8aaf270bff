"""Routing: the file's sections on choosing, retrying, resting, hedging and caching, made into the rules' own values.

One rule: what a model does not say again is as `routing` has it.
"""

from collections.abc import Iterable

import msgspec

from gatewright.config.model import CacheConfig, ProbeConfig, QueueConfig, RoutingConfig
from gatewright.config.redis_url import redis_url
from gatewright.config.references import Desk
from gatewright.config.schema import ModelSection, ProviderSection
from gatewright.config.schema_routing import BreakerSection, CacheSection, RetryOverride, RoutingSection, WhenSection
from gatewright.config.tree import KeyPath
from gatewright.pipeline.conditions import Hours, When, read_hours
from gatewright.pipeline.policy import CacheRule, Policy, SemanticRule, Tier
from gatewright.routing.breaker import Rule as BreakerRule
from gatewright.routing.hedge import Rule as HedgeRule
from gatewright.routing.retry import Rule as RetryRule


def resolve_routing(section: RoutingSection) -> RoutingConfig:
    """What holds for every model."""
    policy = Policy(
        retry=RetryRule(**section.retry.model_dump()), deadline_s=section.deadline_s, affinity=frozenset(section.affinity)
    )
    return RoutingConfig(policy=policy, breaker=None if section.breaker is None else _breaker(section.breaker))


def _breaker(section: BreakerSection) -> BreakerRule:
    return BreakerRule(**section.model_dump())


def resolve_policy(section: ModelSection, common: Policy, semantic: SemanticRule | None = None) -> Policy:
    """A model's own rules, over the common ones. `semantic`: of its cache."""
    hedge = None if section.hedge is None else HedgeRule(**section.hedge.model_dump())
    return Policy(
        retry=_retry(section.retry, common.retry),
        deadline_s=common.deadline_s if section.deadline_s is None else section.deadline_s,
        affinity=common.affinity if section.affinity is None else frozenset(section.affinity),
        hedge=hedge,
        on_cut=section.on_cut,
        cache=None if section.cache is None else CacheRule(ttl_s=section.cache.ttl_s, semantic=semantic),
    )


def _retry(section: RetryOverride, common: RetryRule) -> RetryRule:
    said = section.model_dump(exclude_none=True)
    return msgspec.structs.replace(common, **said) if said else common


def resolve_when(section: WhenSection | None, path: KeyPath, desk: Desk) -> When | None:
    """None: it asks for nothing."""
    if section is None:
        return None
    when = When(
        dialects=frozenset(section.dialects),
        needs=frozenset(section.needs),
        tags=frozenset(section.tags),
        headers=tuple((name.lower(), pattern) for name, pattern in section.headers.items()),
        hours=tuple(_hours(section.hours, (*path, "hours"), desk)),
    )
    for name in section.headers:
        if not all(c.isascii() and (c.isalnum() or c in "!#$%&'*+-.^_`|~") for c in name):
            desk.wrong((*path, "headers", name), "not a header's name", key=True)
    return None if when == When() else when


def _hours(written: Iterable[str], path: KeyPath, desk: Desk) -> Iterable[Hours]:
    for i, text in enumerate(written):
        try:
            yield read_hours(text)
        except ValueError as error:
            desk.wrong((*path, i), str(error))


def warn_of_idle_rules(tiers: tuple[Tier, ...], section: ModelSection, path: KeyPath, desk: Desk) -> None:
    """Warns of what is written and can never have an effect."""
    targets = [target for tier in tiers for target in tier.targets]
    if section.hedge is not None and len(targets) == 1:
        desk.warn((*path, "hedge"), "there is no second target that could be asked")
    if section.strategy != "weighted" and section.targets is not None and len(section.targets) == 1:
        desk.warn((*path, "strategy"), f'one target needs no order; "{section.strategy}" has no effect')
    if section.strategy != "priority" and any(target.priority for target in section.targets or ()):
        desk.warn((*path, "targets"), f'priorities count for the strategy "priority" only; this one is "{section.strategy}"')


def resolve_cache(section: CacheSection, desk: Desk) -> CacheConfig:
    return CacheConfig(max_bytes=section.max_bytes, url=redis_url(section.url, ("cache", "url"), desk))


def resolve_queue(section: ProviderSection, path: KeyPath, desk: Desk) -> QueueConfig:
    if not section.max_concurrent and "queue" in desk.keys_at(path):
        desk.warn((*path, "queue"), 'nothing ever waits without "max_concurrent"')
    return QueueConfig(size=section.queue.size, wait_s=section.queue.wait_s)


def resolve_probe(section: ProviderSection, path: KeyPath, desk: Desk) -> ProbeConfig | None:
    """None: no probes are made."""
    probe = section.probe
    if not probe.every_s:
        return None
    if probe.model is None:
        desk.wrong((*path, "probe"), 'missing key "model": a probe is a call, and needs a model')
        return None
    return ProbeConfig(every_s=probe.every_s, model=probe.model)
