"""The cache as a configuration describes it: where answers lie, and the stage that asks there."""

import hashlib
import time
from collections.abc import Callable

import msgspec

from gatewright.config import Config, ProviderConfig
from gatewright.dialects import BY_NAME
from gatewright.exchange import Exchange
from gatewright.pipeline.asking import Begins
from gatewright.pipeline.cache import Cache
from gatewright.pipeline.semantic import Meanings
from gatewright.stores.answers import Answers, Shared
from gatewright.stores.kept import Kept


def answers_of(config: Config, before: Answers | None = None) -> Answers:
    """Where answers are kept. `before`: what is there now, which goes on where the shared store is the same.

    Raises ValueError where the configuration names a shared store that cannot be used.
    """
    url = "" if config.cache.url is None else config.cache.url.reveal()
    if before is not None and before.url == url:
        return before
    return Answers(config.cache.max_bytes, shared=_shared(url) if url else None, url=url)


def _shared(url: str) -> Shared:
    try:
        from gatewright.stores.answers_redis import RedisAnswers  # noqa: PLC0415 - only where it is configured
    except ImportError:
        raise ValueError("cache.url: the package `redis` is not installed: pip install 'gatewright[redis]'") from None
    return RedisAnswers(url)


def cache_of(
    config: Config,
    answers: Answers,
    keep_seals: Callable[[Exchange, list[Kept]], None],
    meanings: Meanings,
    recorder: Begins | None = None,
) -> tuple[Cache, ...]:
    """The stage; none where no model's answers are kept. `meanings`: for models that compare questions.

    Raises ValueError where a provider is to make embeddings and has none.
    """
    rules = [model.policy.cache for model in config.models.values() if model.policy.cache is not None]
    if not rules:
        return ()
    for rule in rules:
        if rule.semantic is not None:
            meanings.check(rule.semantic)
    return (
        Cache(
            BY_NAME,
            answers,
            time.time,
            hosts={name: _identity(provider) for name, provider in config.providers.items()},
            keep_seals=keep_seals,
            meanings=meanings,
            recorder=recorder,
            keeps_responses=config.responses_state.store,
            max_answer_bytes=config.server.max_answer_bytes,
        ),
    )


def _identity(provider: ProviderConfig) -> str:
    """What tells a provider from another that has its name: where it is, what it is, and what is changed for it."""
    headers = tuple((name, value.reveal()) for name, value in provider.headers)
    told = (provider.kind, provider.dialects, dict(provider.bases), provider.quirks, dict(provider.settings), headers)
    return hashlib.sha256(msgspec.json.encode(told, order="sorted")).hexdigest()[:16]
