"""Models and aliases: names that must lead somewhere.

One rule: names are looked up among all that the file declares, also what is wrong in itself, so that one slip is told once.
"""

from collections.abc import Iterable, Mapping, Sequence

from gatewright.config.model import ModelConfig
from gatewright.config.references import Desk
from gatewright.config.resolve_routing import resolve_policy, resolve_when, warn_of_idle_rules
from gatewright.config.schema import LadderSection, ModelSection
from gatewright.config.schema_routing import FallbackSection, TargetSection
from gatewright.config.suggest import hint
from gatewright.config.tree import KeyPath
from gatewright.pipeline.policy import DEFAULT, Policy, RouteTarget, SemanticRule, Tier
from gatewright.providers.catalog import HOSTS
from gatewright.providers.facts import Facts
from gatewright.providers.ladder import Ladder

_OF_ONE = ("target", "weight", "priority", "context", "capabilities", "when")


class Names:
    """What the file declares, whole or not."""

    def __init__(self, tree: Mapping[str, object]) -> None:
        self.providers = _keys_of(tree.get("providers"))
        self.models = _keys_of(tree.get("models"))
        self.aliases = _keys_of(tree.get("aliases"))

    def leads(self, name: str) -> bool:
        """Whether a client's request for this model goes somewhere."""
        return name in self.models or name in self.aliases or self._fits_wildcard(name) or self._is_pinned(name)

    def _is_pinned(self, name: str) -> bool:
        provider, slash, model = name.partition("/")
        return bool(slash and model) and provider in self.providers

    def _fits_wildcard(self, name: str) -> bool:
        return any(fits(pattern, name) for pattern in self.models if "*" in pattern)

    def near(self, name: str) -> str:
        return hint(name, (*self.models, *self.aliases))


def fits(pattern: str, name: str) -> bool:
    """Whether `name` is what a pattern with one `*` (any text, at least one character) stands for."""
    start, _, end = pattern.partition("*")
    return len(name) > len(start) + len(end) and name.startswith(start) and name.endswith(end)


def _keys_of(section: object) -> tuple[str, ...]:
    return tuple(section) if isinstance(section, dict) else ()


def resolve_models(
    sections: Mapping[str, ModelSection], names: Names, desk: Desk, common: Policy = DEFAULT
) -> dict[str, ModelConfig]:
    """`common`: what holds for every model, where it says nothing of its own."""
    models: dict[str, ModelConfig] = {}
    for name, section in sections.items():
        path: KeyPath = ("models", name)
        if name.count("*") > 1:
            desk.wrong(path, 'at most one "*" can be carried over to the target', key=True)
        targets = section.targets or []
        if not targets and section.ladder is None and not {"targets", "ladder"} & desk.keys_at(path):
            desk.wrong(path, 'missing key "targets" (or "ladder")')
        elif targets and section.ladder is not None:
            desk.wrong((*path, "ladder"), '"targets" say already where calls go; one of the two', key=True)
        tiers = (
            Tier(tuple(_targets(name, targets, (*path, "targets"), names, desk)), section.strategy),
            *_fallback(name, section.fallback, (*path, "fallback"), names, desk),
        )
        models[name] = ModelConfig(
            name=name,
            tiers=tiers,
            policy=resolve_policy(section, common, _semantic(section, path, names, desk)),
            losses=section.losses,
            overrides=section.overrides.model_dump(exclude_none=True),
            defaults=section.defaults.model_dump(exclude_none=True),
            ladder=None if section.ladder is None else _ladder(section.ladder, (*path, "ladder"), names, desk),
            facts=Facts(
                context=section.context,
                max_output=section.max_output,
                capabilities=None if section.capabilities is None else tuple(dict.fromkeys(section.capabilities)),
            ),
        )
        _check_weights(targets, (*path, "targets"), desk)
        warn_of_idle_rules(tiers, section, path, desk)
    return models


def _semantic(section: ModelSection, path: KeyPath, names: Names, desk: Desk) -> SemanticRule | None:
    if section.cache is None or section.cache.semantic is None:
        return None
    said, at = section.cache.semantic, (*path, "cache", "semantic", "embeddings")
    provider, slash, model = said.embeddings.partition("/")
    if not (slash and provider and model):
        desk.wrong(at, f'expected "provider/model", got "{said.embeddings}"')
        return None
    if provider not in names.providers:
        _unknown_provider(provider, at, names, desk)
        return None
    return SemanticRule(provider, model, said.threshold, said.dimensions)


def _check_weights(targets: Sequence[TargetSection], path: KeyPath, desk: Desk) -> None:
    if targets and not any(target.weight for target in targets):
        desk.wrong(path, "every weight is 0: no target would ever be chosen")


def _fallback(name: str, sections: Iterable[FallbackSection], path: KeyPath, names: Names, desk: Desk) -> Iterable[Tier]:
    """A tier for each entry: one target, or several with a strategy."""
    for i, section in enumerate(sections):
        at: KeyPath = (*path, i)
        said = desk.keys_at(at)
        if section.targets is None and section.target is None:
            if not {"target", "targets"} & said:
                desk.wrong(at, 'missing key "target" (or "targets", for a tier of several)')
            continue
        if section.targets is None:
            if "strategy" in said:
                desk.wrong((*at, "strategy"), 'one target needs no order; list several under "targets"', key=True)
            one = TargetSection.model_construct(**{key: getattr(section, key) for key in _OF_ONE})
            if (target := _target(name, one, at, names, desk)) is not None:
                yield Tier((target,))
            continue
        for key in sorted(said & {"target", "weight", "priority", "context", "capabilities"}):
            desk.wrong((*at, key), 'belongs to one target; this entry is a tier of several "targets"', key=True)
        _check_weights(section.targets, (*at, "targets"), desk)
        tier = tuple(_targets(name, section.targets, (*at, "targets"), names, desk))
        yield Tier(tier, section.strategy, resolve_when(section.when, (*at, "when"), desk))


def _ladder(section: LadderSection, path: KeyPath, names: Names, desk: Desk) -> Ladder | None:
    if section.provider not in names.providers:
        _unknown_provider(section.provider, (*path, "provider"), names, desk)
        return None
    return Ladder(
        provider=section.provider,
        vendors=tuple(section.vendors),
        families=tuple(family.lower() for family in section.families),
        preferred=tuple(section.preferred),
    )


def _unknown_provider(provider: str, path: KeyPath, names: Names, desk: Desk) -> None:
    if provider in HOSTS:
        desk.wrong(path, f'provider "{provider}" is not configured; add it under "providers"')
    else:
        desk.wrong(path, f'unknown provider "{provider}"{hint(provider, names.providers)}')


def _targets(name: str, sections: Iterable[TargetSection], path: KeyPath, names: Names, desk: Desk) -> Iterable[RouteTarget]:
    for i, section in enumerate(sections):
        target = _target(name, section, (*path, i), names, desk)
        if target is not None:
            yield target


def _target(name: str, section: TargetSection, path: KeyPath, names: Names, desk: Desk) -> RouteTarget | None:
    provider, slash, model = section.target.partition("/")
    if not slash or not provider or not model:
        also = (
            f'; "{section.target}" is another model, and models do not lead to models' if section.target in names.models else ""
        )
        desk.wrong(path, f'expected "provider/model", got "{section.target}"{also}')
        return None
    if "*" in provider:
        desk.wrong(path, 'the provider must be named; "*" can stand in the model\'s part only')
        return None
    if provider not in names.providers:
        _unknown_provider(provider, path, names, desk)
        return None
    if model.count("*") > 1:
        desk.wrong(path, 'at most one "*" can be carried over from the model\'s name')
        return None
    if "*" in model and "*" not in name:
        desk.wrong(path, f'a "*" in the target needs one in the model\'s name, which is "{name}"')
        return None
    return RouteTarget(
        provider=provider,
        model=model,
        weight=section.weight,
        priority=section.priority,
        context=section.context,
        capabilities=None if section.capabilities is None else tuple(dict.fromkeys(section.capabilities)),
        when=resolve_when(section.when, (*path, "when"), desk),
    )


def resolve_aliases(aliases: Mapping[str, str], names: Names, desk: Desk) -> dict[str, str]:
    """Each alias with the name that it leads to in the end."""
    resolved: dict[str, str] = {}
    for alias in aliases:
        path: KeyPath = ("aliases", alias)
        if alias in names.models:
            desk.wrong(path, f'"{alias}" is a model as well; which one is meant?', key=True)
            continue
        if "*" in alias:
            desk.wrong(path, 'an alias is one name; write a model with "*" instead', key=True)
            continue
        seen = [alias]
        goal = aliases[alias]
        while goal in aliases and goal not in seen:
            seen.append(goal)
            goal = aliases[goal]
        if goal in seen:
            desk.wrong(path, f"an alias that leads back to itself: {' → '.join([*seen, goal])}")
        elif "*" in goal:
            desk.wrong(path, f'"{goal}" is a pattern; an alias leads to one name')
        elif not names.leads(goal):
            if aliases[alias] == goal:  # else the alias that names it has told
                desk.wrong(path, f'unknown model "{goal}"{names.near(goal)}')
        else:
            resolved[alias] = goal
    return resolved
