"""Invariant's policy language: read, checked, evaluated over conversations by us. Sans I/O.

    policy = parse(text, detectors)
    policy.evaluate(messages, since=len(asked))  ─▶  Violation…

One rule: whatever a policy or a conversation holds, an evaluation ends soon, runs no code and raises nothing.
https://github.com/invariantlabs-ai/docs/blob/main/docs/guardrails/rules.md
"""

from collections.abc import Mapping, Sequence

from gatewright.invariant.policy.bounds import CHARS_GRANTED, MAX_WORK, Budget
from gatewright.invariant.policy.build import Program, build
from gatewright.invariant.policy.detectors import Detector, Detectors, Hit
from gatewright.invariant.policy.evaluate import Evaluation, Violation, parameters_of
from gatewright.invariant.policy.faults import PolicyError, Spot
from gatewright.invariant.policy.trace import Trace, message_of
from gatewright.jsontypes import JsonObject

__all__ = ["Detector", "Detectors", "Hit", "Policy", "PolicyError", "Spot", "Violation", "parse"]


class Policy:
    """A policy that can be evaluated. Immutable, and the same for every request."""

    __slots__ = ("_detectors", "_program", "text")

    def __init__(self, text: str, program: Program, detectors: Detectors) -> None:
        self.text = text
        self._program = program
        self._detectors = detectors

    def evaluate(
        self,
        messages: Sequence[JsonObject],
        *,
        since: int = 0,
        parameters: Mapping[str, object] | None = None,
        tools: Sequence[JsonObject] = (),
        work: int = MAX_WORK,
    ) -> tuple[Violation, ...]:
        """What the rules find wrong in a conversation in Invariant's form. Never raises: a failure is a `failed` violation.

        `since`: the first message that is new. Rules see all of them; told is only what the new ones bring about.
        `parameters`: what the policy may read as `input.…`, such as {"metadata": {…}}.
        `tools`: definitions, for `(tool: Tool)`; OpenAI's and MCP's form are both known.
        `work`: units that it may take, beside those that the conversation's length grants.
        """
        given = parameters_of(dict(parameters or {}))  # type: ignore[arg-type]
        found = self._all(messages, tools, given, work, since=since)
        if since <= 0:
            return tuple(violation for violation, _ in found)
        old: set[tuple[object, ...]] | None = None
        told: list[Violation] = []
        for violation, key in found:
            if violation.failed or any(message_of(place) >= since for place in violation.ranges):
                told.append(violation)
            elif violation.rule >= 0 and (self._program.rules[violation.rule].counts or not violation.ranges):
                if old is None:
                    old = {before for _, before in self._all(messages[:since], tools, given, work, since=since)}
                if key not in old:
                    told.append(violation)
        return tuple(told)

    def _all(
        self, messages: Sequence[JsonObject], tools: Sequence[JsonObject], given: JsonObject, work: int, *, since: int = 0
    ) -> list[tuple[Violation, tuple[object, ...]]]:
        trace = Trace(messages, tools)
        budget = Budget(work + trace.chars // CHARS_GRANTED)
        return Evaluation(self._program, trace, self._detectors, given, budget, since=since).run()


def parse(text: str, detectors: Detectors | None = None) -> Policy:
    """Raises PolicyError: with the line, the column, and what to do."""
    given = dict(detectors or {})
    return Policy(text, build(text, given), given)
