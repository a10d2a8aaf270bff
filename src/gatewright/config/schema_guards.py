"""The shape of guards: rules over what is asked and what is answered.

One rule: a rule's own settings stand beside its name and kind; which they are is the kind's to say (docs/guards-kinds.md).
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from gatewright.config.section import Count, Name, Section
from gatewright.guards.terms import Part

Window = Annotated[int, Field(ge=16, le=1 << 20)]


class ScopeSection(Section):
    """For whose requests a rule is: all that is said must fit. Names with `*` for any text."""

    teams: list[Name] = []
    """By name or id."""
    keys: list[Name] = []
    """By name or id."""
    tags: list[Name] = []
    """Of keys."""
    models: list[Name] = []
    """As clients name them, or as they are named under `models`."""
    operations: list[Name] = []
    """`generate`, `invoke`, `count_tokens`, `forward`, …, or paths such as `/v1/embeddings`."""


class GuardRuleSection(Section):
    """One rule. Beside these it has the settings of its kind."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)

    name: Name
    """What findings, logs and refusals call it."""
    kind: Name
    """What it looks for, and how: `patterns`, `secrets`, `pii`, …"""
    action: Literal["block", "redact", "flag", "log"] = "block"
    """Refuse, replace, tell the client in a header, or tell the operator alone."""
    direction: Literal["request", "answer", "both"] | None = None
    """Where it looks. Default: as its kind does, which is mostly both."""
    parts: list[Part] = []
    """In whose texts it looks. Default: in all that its kind can look at."""
    scope: ScopeSection = ScopeSection()
    dry_run: bool = False
    """Only tell what would be done."""
    message: str = ""
    """What the client is told when it blocks. Default: which rule did."""
    max_chars: Count | None = None
    """Of a kind that finds matches of any length: what may be one for longer counts as one."""
    reversible: bool = False
    """With `redact`: placeholders go out, and in the answer the originals come back."""
    concurrent: bool = True
    """Of a kind that asks somebody: while the upstream works already; nothing of the answer leaves before the verdict."""


class GuardsSection(Section):
    """Rules over what is asked and answered, on every endpoint, in every dialect and in every stream."""

    window_chars: Window | None = None
    """Most characters of a streamed answer that wait for what follows, so that nothing of a match leaves. A match that could be
    longer ends the stream. Default: as many as the longest match of the rules has, at least 512."""
    reasoning: Literal["check", "pass", "drop"] = "check"
    """A model's reasoning: looked at as its words are, passed on unseen, or kept from the client."""
    ends_as: Literal["error", "refusal"] = "error"
    """What a client gets that a rule stopped: its dialect's error, or an answer in which the model declines."""
    rules: list[GuardRuleSection] = []
    """In their order; all have their say."""
