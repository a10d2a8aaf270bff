"""Guards: the file's rules compiled, and what is wrong with them said where it stands."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gatewright.config.references import Desk
from gatewright.config.schema import ModelSection
from gatewright.config.schema_guards import GuardRuleSection, GuardsSection
from gatewright.config.secrets import is_reference
from gatewright.config.suggest import hint
from gatewright.config.tree import KeyPath
from gatewright.guards.kinds import KINDS, compile_kind
from gatewright.guards.rules import BOTH, DEFAULT_WINDOW, Compiled, Rule, Scope
from gatewright.guards.terms import Direction
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.pipeline.guard_kinds import ASKED_KINDS, read_kind
from gatewright.pipeline.guard_terms import GuardRule, GuardsConfig, GuardTerms, Maker

_WHERE: Final = re.compile(r"(?: - at)? ?`?\$((?:\.[A-Za-z_][A-Za-z0-9_]*|\[\d+\]|\[\.\.\.\])*)`?")
NO_PLACE: Final = '"{}" looks at more than one text and finds no place to redact; block, flag or log'
NOT_TOLD: Final = (
    '"{}" asks somebody who says whether, not where, so that there is nothing to redact; block, flag or log, '
    "or redact with a kind that finds the place: patterns, secrets, pii, presidio or topics"
)
_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\]")


def resolve_guards(section: GuardsSection, models: Mapping[str, ModelSection], desk: Desk) -> GuardsConfig:
    """The rules of all, then those of each model."""
    window = section.window_chars
    rules = _rules(section.rules, ("guards", "rules"), window, desk)
    for name, model in models.items():
        for one in _rules(model.guards, ("models", name, "guards"), window, desk):
            scope = msgspec.structs.replace(one.rule.scope, models=(name,))
            rules.append(msgspec.structs.replace(one, rule=msgspec.structs.replace(one.rule, scope=scope)))
    seen: set[str] = set()
    for one in rules:
        if one.rule.name in seen:
            desk.wrong(("guards", "rules"), f'two rules are called "{one.rule.name}"; nobody could tell them apart')
        seen.add(one.rule.name)
    terms = GuardTerms(window=window or _longest(rules), reasoning=section.reasoning, ending=section.ends_as)
    return GuardsConfig(rules=tuple(rules), terms=terms)


def _longest(rules: Sequence[GuardRule]) -> int:
    """Characters of the longest match that a stream may have to wait for."""
    return max([DEFAULT_WINDOW, *(one.rule.longest or 0 for one in rules if one.rule.acts)])


def _rules(sections: Sequence[GuardRuleSection], path: KeyPath, window: int | None, desk: Desk) -> list[GuardRule]:
    found = (_rule(section, (*path, i), window, desk) for i, section in enumerate(sections))
    return [one for one in found if one is not None]


def _rule(section: GuardRuleSection, path: KeyPath, window: int | None, desk: Desk) -> GuardRule | None:
    if section.kind not in KINDS and section.kind not in ASKED_KINDS:
        known = {*KINDS, *ASKED_KINDS}
        desk.wrong(
            (*path, "kind"), f'unknown kind "{section.kind}"{hint(section.kind, known)}; known: {", ".join(sorted(known))}'
        )
        return None
    settings = {name: _followed(value, (*path, name), desk) for name, value in (section.model_extra or {}).items()}
    maker: Maker | None = None
    try:
        if section.kind in KINDS:
            check = compile_kind(section.kind, settings)
        else:
            maker = read_kind(section.kind, settings)
            check = maker.compiled
    except ValueError as error:
        where, words = _place(str(error))
        desk.wrong((*path, *where), words, key=bool(where) and len(where) == 1 and where[0] not in settings)
        return None
    rule = Rule(
        name=section.name,
        kind=section.kind,
        action=section.action,
        check=check,
        directions=_directions(section, check),
        parts=frozenset(section.parts) or check.parts,
        scope=Scope(**{name: tuple(globs) for name, globs in section.scope.model_dump().items()}),
        dry=section.dry_run,
        message=section.message,
        max_chars=section.max_chars,
        reversible=section.reversible,
        concurrent=section.concurrent,
    )
    return GuardRule(rule, maker) if _makes_sense(rule, path, window, desk) else None


def _makes_sense(rule: Rule, path: KeyPath, window: int | None, desk: Desk) -> bool:
    check = rule.check
    if rule.action == "redact" and check.detector is None:
        desk.wrong((*path, "action"), (NO_PLACE if rule.kind in KINDS else NOT_TOLD).format(rule.kind))
        return False
    if rule.reversible and rule.action != "redact":
        desk.wrong((*path, "reversible"), "only what is redacted can come back", key=True)
        return False
    if check.detector is None or check.whole or not rule.acts or "answer" not in rule.directions:
        return True
    if rule.longest is None:
        desk.wrong(path, "its matches may be of any length, so that a stream could be held for ever; say max_chars")
        return False
    if window is not None and rule.max_chars is not None and rule.max_chars > window:
        desk.wrong((*path, "max_chars"), f"more than guards.window_chars, which is {window}; make that larger")
        return False
    return True


def _directions(section: GuardRuleSection, check: Compiled) -> frozenset[Direction]:
    if section.direction is None:
        return check.directions
    return BOTH if section.direction == "both" else frozenset((section.direction,))


def _followed(value: JsonValue, path: KeyPath, desk: Desk) -> JsonValue:
    """A setting with what `env:` and `file:` refer to in it."""
    if isinstance(value, str):
        return (desk.text(value, path) or "") if is_reference(value) else value
    if isinstance(value, list):
        return [_followed(item, (*path, i), desk) for i, item in enumerate(value)]
    if isinstance(value, dict):
        done: JsonObject = {name: _followed(item, (*path, name), desk) for name, item in value.items()}
        return done
    return value


def _place(words: str) -> tuple[KeyPath, str]:
    """Where within the settings an error is, and what it says without that."""
    found = _WHERE.search(words)
    if found is None:
        return (), words
    steps = tuple(int(number) if number else name for name, number in _STEP.findall(found[1]))
    return steps, (words[: found.start()] + words[found.end() :]).strip(" :") or words
