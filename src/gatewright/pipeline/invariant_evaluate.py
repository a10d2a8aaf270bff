"""Policies, parsed once and evaluated here: what Invariant's service would say, without it.

One rule: a policy that cannot be read objects to everything, and says what is wrong with it.
"""

from collections.abc import Sequence
from typing import Final

from gatewright.invariant.policy import Detectors, Policy, parse
from gatewright.invariant.policy import PolicyError as BadPolicy
from gatewright.invariant.policy.bounds import MAX_WORK
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.invariant_judge import FROM_HEADER
from gatewright.record.explorer_body import Guardrail, PolicyError

NOT_READ: Final = "Failed to create policy from policy source."
"""As Invariant's service begins to say it."""
KEPT: Final = 256
"""Policies that are kept parsed; clients bring them in headers, so there must be an end."""
WORK_OF_CLIENTS: Final = MAX_WORK // 5
"""For a policy of a header, which anybody may have written."""
MOST_TOLD: Final = 100
"""Errors of one policy."""


class Evaluator:
    """From any thread."""

    def __init__(self, detectors: Detectors, *, passes: bool = False) -> None:
        """`passes`: whether what takes too much work to judge goes on."""
        self._detectors = detectors
        self._passes = passes
        self._parsed: dict[str, Policy | BadPolicy] = {}

    def __call__(self, guardrail: Guardrail, messages: Sequence[JsonObject], since: int) -> Sequence[PolicyError]:
        """What the policy objects to. `since`: index of the first message that was not judged before."""
        policy = self._policy(guardrail.content)
        if isinstance(policy, BadPolicy):
            return (PolicyError((not_read(guardrail.content, policy),), {}, (), guardrail),)
        work = WORK_OF_CLIENTS if guardrail.id == FROM_HEADER else MAX_WORK
        found = policy.evaluate(messages, since=since, work=work)
        return [
            PolicyError(violation.args, violation.kwargs, violation.ranges, guardrail)
            for violation in found[:MOST_TOLD]
            if not (violation.failed and self._passes)
        ]

    def _policy(self, text: str) -> Policy | BadPolicy:
        known = self._parsed.get(text)
        if known is None:
            try:
                known = parse(text, self._detectors)
            except BadPolicy as error:
                known = error
            if len(self._parsed) >= KEPT:
                self._parsed.clear()
            self._parsed[text] = known
        return known


def not_read(text: str, error: BadPolicy) -> str:
    """What is wrong with a policy, with the line that is meant."""
    lines = text.splitlines()
    line = lines[error.at.line - 1].strip() if 0 < error.at.line <= len(lines) else ""
    return f"{NOT_READ} {error}: {line[:200]}" if line else f"{NOT_READ} {error}"
