"""Rules, compiled: what each looks for, in whom, and what follows.

    kind + settings ─▶ Compiled ─┐
    name, action, scope, dry ────┴▶ Rule

One rule: a rule is a value, the same for every request. What it runs is one of three: a `Detector` sees one text, a `Judge` a
whole conversation, an `Asked` somebody who must be waited for.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

import msgspec

from gatewright.guards.terms import Action, Detector, Direction, Finding, Judge, Part, Text
from gatewright.ir.request import Request
from gatewright.ir.response import Response

BOTH: frozenset[Direction] = frozenset(("request", "answer"))
PARTS: frozenset[Part] = frozenset(("system", "user", "assistant", "reasoning", "tool_call", "tool_result", "tool", "other"))
DEFAULT_WINDOW = 512
"""Characters of an answer that may wait for what follows."""


class Asker(Protocol):
    """For whose request it is asked: the `Exchange`, which nothing at this height may know."""

    request_id: str


class Asked(Protocol):
    """Somebody who must be waited for: a webhook, a model. Keeps its own deadline and says itself what a failure means.

    Its findings, as a judge's, say `kind`, `message` and, where known, `path`, `start`, `end`; `rule`, `action`, `direction` and
    `dry` are set by who asks. A check that failed is a finding of kind `unanswered` (fail closed) or none (fail open).
    """

    async def ask(self, request: Request, answer: Response | None, texts: Sequence[Text], asker: Asker) -> Sequence[Finding]:
        """`texts`: what the rule looks at; of the request before the call (`answer` None), of the answer after it. Never raises.

        Cancelled when the verdict is not wanted any more.
        """
        ...


class Compiled(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind makes of its settings. One of the first three is set."""

    detector: Detector | None = None
    judge: Judge | None = None
    asked: Asked | None = None
    longest: int | None = None
    """Of a detector: characters of its longest match. None: it has no bound of its own; the rule's `max_chars` must give one."""
    whole: bool = False
    """Of a detector: what it finds depends on the whole text (a score, a length). An answer's text is held to its end then."""
    parts: frozenset[Part] = PARTS
    """What it looks at where the rule does not say. Of an answer, only these are held back for it: a judge of `tool_call` alone
    lets the text flow."""
    directions: frozenset[Direction] = BOTH
    """Where it makes sense where the rule does not say."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """For whose requests a rule is. Globs; empty: for all; several fields must all fit."""

    teams: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    """Of a key: its id or its name."""
    tags: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """As the client writes them, aliases resolved or not."""
    operations: tuple[str, ...] = ()
    """`generate`, `invoke`, `forward`, … or the path of a forwarded endpoint."""

    def fits(
        self,
        *,
        teams: Iterable[str],
        keys: Iterable[str],
        tags: Iterable[str],
        models: Iterable[str] | None,
        operations: Iterable[str],
    ) -> bool:
        """`models`: None where nobody knows; then the rule holds."""
        return (
            _any(self.teams, teams)
            and _any(self.keys, keys)
            and _any(self.tags, tags)
            and (models is None or _any(self.models, models))
            and _any(self.operations, operations)
        )


EVERYBODY = Scope()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, ready to be asked."""

    name: str
    kind: str
    action: Action
    check: Compiled
    directions: frozenset[Direction] = BOTH
    parts: frozenset[Part] = PARTS
    scope: Scope = EVERYBODY
    dry: bool = False
    """It only tries out: its findings are told to the operator, and nothing is done."""
    message: str = ""
    """What a client is told when it blocks. Empty: that this rule did."""
    max_chars: int | None = None
    """Of a detector without a bound of its own: a possible match that is longer counts as one."""
    reversible: bool = False
    """Of `redact` in a request: placeholders go out, and where the answer says them the originals come back."""
    concurrent: bool = True
    """Of an `Asked`: it is asked while the upstream already works; nothing of the answer leaves before it has spoken."""

    @property
    def acts(self) -> bool:
        """Whether it changes what is said; what only tells needs hold nothing back."""
        return not self.dry and self.action in ("block", "redact")

    @property
    def longest(self) -> int | None:
        """Most characters of a match that need be waited for. None: it has no bound, and all must be held."""
        bounds = [bound for bound in (self.check.longest, self.max_chars) if bound is not None]
        return min(bounds) if bounds else None


def _any(globs: tuple[str, ...], names: Iterable[str]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for name in names for glob in globs)
