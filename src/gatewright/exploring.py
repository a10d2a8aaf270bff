"""From the configuration to what stands in for Invariant's gateway: endpoints, stacks, who judges, whom traces are pushed to."""

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from gatewright.config import Config
from gatewright.config.invariant import InvariantConfig
from gatewright.dialects import BY_NAME
from gatewright.exchange import Check, Stage
from gatewright.invariant.messages import messages_of
from gatewright.invariant.metadata import metadata_of
from gatewright.pipeline import Stacks, compose
from gatewright.pipeline.authenticate import Authenticate
from gatewright.pipeline.endpoint import Endpoint
from gatewright.pipeline.guard import Guard
from gatewright.pipeline.guard_book import RuleBook
from gatewright.pipeline.guard_terms import GuardTerms
from gatewright.pipeline.invariant import Desk, InvariantKeys, InvariantModels, InvariantStacks, VersionedEndpoint
from gatewright.pipeline.invariant_evaluate import Evaluator
from gatewright.pipeline.invariant_guard import AskPolicies, Policed, Push, rule_of
from gatewright.pipeline.invariant_judge import Judge, LocalJudge, RemoteJudge
from gatewright.pipeline.invariant_keys import BroughtKey
from gatewright.pipeline.invariant_paths import PINS, ROOT
from gatewright.pipeline.invariant_policies import Sources
from gatewright.pipeline.invariant_trace import Heard
from gatewright.record.explorer import Counts, Explorer
from gatewright.record.explorer_link import Link
from gatewright.tracing import Tracing


class Exploring:
    """The ways to Explorer and to the service that judges, and what is known from there: as long as the section is the same."""

    def __init__(self, section: InvariantConfig, environ: Mapping[str, str]) -> None:
        self.section = section
        self.own_key = "" if section.key is None else section.key.reveal()
        self._links = [Link(section.explorer_url, environ)]
        self.explorer = Explorer(self._links[0], time.monotonic, size=section.queue)
        self.sources = Sources(
            self._links[0],
            time.monotonic,
            file=section.policy,
            ttl_s=section.policies_ttl_s,
            deadline_s=section.deadline_s,
            passes=section.passes,
        )
        self.judge: Judge
        if section.remote:
            self._links.append(Link(section.guardrails_url, environ))
            self.judge = RemoteJudge(self._links[1], time.monotonic, deadline_s=section.deadline_s, passes=section.passes)
        else:
            from gatewright.guards.policy_rule import bound  # noqa: PLC0415 - only where policies are evaluated here

            self.judge = LocalJudge(
                Evaluator(bound(), passes=section.passes), deadline_s=section.deadline_s, passes=section.passes
            )

    def stages(self, guards: Sequence[Guard]) -> tuple[Stage, ...]:
        """From the policies to what keeps the answer. `guards`: the choke point of other paths, where there is one.

        Whatever ends here ends as an error, because Invariant's words are one.
        """
        book = guards[0].book if guards else RuleBook((), GuardTerms())
        guard = Guard(BY_NAME, RuleBook(book.rules, msgspec.structs.replace(book.terms, ending="error")))
        push = Push(self.explorer, self.judge, BY_NAME, messages_of, metadata_of, pushes=self.section.push, own_key=self.own_key)
        rule = rule_of(AskPolicies(BY_NAME, self.judge, messages_of, self.own_key))
        return Policed(BY_NAME, self.sources, rule, push), guard, Heard()

    async def close(self) -> None:
        await self.explorer.close()
        self.judge.close()
        for link in self._links:
            await link.close()


def exploring_of(config: Config, environ: Mapping[str, str], before: Exploring | None) -> Exploring | None:
    """What the configuration asks for; where it asks for the same as before, that. None: nothing."""
    section = config.invariant
    if not section.enabled:
        return None
    return before if before is not None and before.section == section else Exploring(section, environ)


def pushes(exploring: Exploring | None, tracing: Tracing) -> dict[str, int]:
    """What became of conversations for Explorer, of Invariant's paths and of all others. Empty: none are pushed."""
    counts = [it.counts for it in (None if exploring is None else exploring.explorer, tracing.explorer) if it is not None]
    if not counts:
        return {}
    return {name: sum(getattr(one, name) for one in counts) for name in Counts.__struct_fields__}


def invariant_endpoints(config: Config, endpoints: Mapping[str, Endpoint], is_ours: Callable[[str], bool]) -> dict[str, Endpoint]:
    """The endpoints, those of Invariant's paths made ready for the keys and headers that are brought there."""
    if not config.invariant.enabled:
        return dict(endpoints)
    ready = dict(endpoints)
    for name in PINS & ready.keys():
        endpoint = VersionedEndpoint(ready[name])
        endpoint.credential = BroughtKey(name, config.providers[name].auth, is_ours=is_ours)
        ready[name] = endpoint
    return ready


def pinned_by_paths(config: Config, endpoints: Mapping[str, Endpoint]) -> frozenset[str]:
    """The providers that a path's first segment may name; and, where they are served, the root of Invariant's paths."""
    return frozenset(endpoints) - PINS | {ROOT} if config.invariant.enabled else frozenset(endpoints)


def with_invariant(
    exploring: Exploring | None,
    stacks: Stacks,
    *,
    above: Sequence[Stage],
    authenticate: Authenticate,
    before: Sequence[Stage | Check],
    guards: Sequence[Guard],
    asked: Sequence[Stage | Check],
    endpoints: Mapping[str, Endpoint],
) -> Stacks:
    """The stacks; where they are served, with those of Invariant's paths.

    `above`: what stands above who calls; `before`: between that and the policies; `asked`: from the cache to the attempts.
    """
    if exploring is None:
        return stacks
    keys = InvariantKeys(authenticate, open_to_all=exploring.section.open, own_key=exploring.own_key)
    stacks.by_operation["invariant"] = compose([Desk()])
    return InvariantStacks(
        stacks,
        generate=compose([*above, keys, *before, *exploring.stages(guards), *asked]),
        models=compose([*above, keys, InvariantModels(BY_NAME, endpoints)]),
    )
