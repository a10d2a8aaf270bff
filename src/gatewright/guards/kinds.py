"""Kinds of rules: their names, and where each is compiled.

A kind's function takes the rule's own settings (those beside `name`, `kind`, `action`, `direction`, …, as JSON) and gives a
`Compiled`; what is wrong with them it says in a ValueError, with `$.path` in it as msgspec writes it, where it knows one.

One rule: a kind is imported when a rule names it, so that nobody pays for what is not used. What must wait, and so cannot live
here, has its rows in `pipeline/guard_kinds.py`.
"""

from collections.abc import Callable
from importlib import import_module
from typing import TypeAlias, cast

from gatewright.guards.rules import Compiled
from gatewright.jsontypes import JsonObject

Compile: TypeAlias = Callable[[JsonObject], Compiled]

KINDS: dict[str, str] = {
    "cel": "gatewright.guards.detect.cel:compiled",
    "flows": "gatewright.guards.detect.flows:compiled",
    "injection_hints": "gatewright.guards.detect.injection:compiled",
    "invariant": "gatewright.guards.policy_rule:compiled",
    "lengths": "gatewright.guards.detect.lengths:compiled",
    "patterns": "gatewright.guards.detect.patterns:compiled",
    "pii": "gatewright.guards.detect.pii:compiled",
    "presidio": "gatewright.guards.detect.presidio:compiled",
    "secrets": "gatewright.guards.detect.secrets:compiled",
    "tools": "gatewright.guards.detect.tools:compiled",
    "topics": "gatewright.guards.detect.topics:compiled",
}
"""Name → `module:function`, the function a `Compile`."""


def compile_kind(kind: str, settings: JsonObject) -> Compiled:
    """Raises KeyError for a kind that is none, ValueError for settings that are wrong, and for an extra that is not installed."""
    module, _, function = KINDS[kind].partition(":")
    compiled: Compile = cast("Compile", getattr(import_module(module), function))
    return compiled(settings)
