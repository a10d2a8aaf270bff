"""A policy's text ─▶ a `Policy` that can be evaluated.

One rule: a policy that is built holds nothing unknown: parsed, checked, planned, and free of circles.
"""

from collections.abc import Mapping

import msgspec

from gatewright.invariant.policy.check import QUANTIFIERS, Checker, Names
from gatewright.invariant.policy.detectors import Detectors
from gatewright.invariant.policy.faults import PolicyError, Spot
from gatewright.invariant.policy.functions import FUNCTIONS
from gatewright.invariant.policy.parser import parse_statements
from gatewright.invariant.policy.plan import Step, plan
from gatewright.invariant.policy.syntax import (
    Call,
    Constant,
    Constants,
    Expression,
    Import,
    Name,
    Node,
    Predicate,
    Quantified,
    Raise,
)


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One `raise`."""

    number: int
    """From 0, in the order of the policy."""
    at: Spot
    error: str
    """The class that is raised: `PolicyViolation` where the policy names none."""
    arguments: tuple[Expression, ...]
    named: tuple[tuple[str, Expression], ...]
    steps: tuple[Step, ...]
    counts: bool
    """Whether a quantifier is in it, or in a predicate: then new messages may tell of old ones."""


class BuiltPredicate(msgspec.Struct, frozen=True):
    parameters: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """All of a policy, ready."""

    rules: tuple[Rule, ...]
    predicates: Mapping[str, BuiltPredicate]
    constants: Mapping[str, Expression]
    functions: Mapping[str, str]
    """Name in the policy → name in the library, for names that were imported as another."""
    modules: frozenset[str]


def build(text: str, detectors: Detectors) -> Program:
    """Raises PolicyError."""
    statements = parse_statements(text)
    names = Names(detectors)
    declared: dict[str, Spot] = {}
    for one in statements:
        match one:
            case Import():
                names.take_import(one)
            case Constants() | Predicate():
                _declare(one, declared, names)
    checker = Checker(names)
    constants = {one.name: one.value for one in statements if isinstance(one, Constants)}
    for value in constants.values():
        checker.lone(value, {})
    predicates = {one.name: one for one in statements if isinstance(one, Predicate)}
    built = {name: _predicate(one, checker) for name, one in predicates.items()}
    _refuse_circles(constants, predicates)
    counting = _counting(predicates)
    raises = [one for one in statements if isinstance(one, Raise)]
    if not raises:
        at = statements[-1].at if statements else Spot(1, 1)
        raise PolicyError(at, "holds no rule", 'write `raise "what is wrong" if:` and the conditions below it, indented')
    return Program(
        rules=tuple(_rule(number, one, checker, counting) for number, one in enumerate(raises)),
        predicates=built,
        constants=constants,
        functions=dict(names.aliases),
        modules=frozenset(names.modules),
    )


def _declare(one: Constants | Predicate, declared: dict[str, Spot], names: Names) -> None:
    if one.name in declared:
        raise PolicyError(one.at, f'"{one.name}" is declared already at {declared[one.name]}', "use another name")
    if one.name in FUNCTIONS or one.name in QUANTIFIERS or one.name in ("match", "find", "input") or one.name in names.detectors:
        raise PolicyError(one.at, f'"{one.name}" is a word of the language', "use another name")
    declared[one.name] = one.at
    if isinstance(one, Predicate):
        names.predicates[one.name] = one.parameters
    else:
        names.constants.add(one.name)


def _predicate(one: Predicate, checker: Checker) -> BuiltPredicate:
    parameters = dict(one.parameters)
    if len(parameters) < len(one.parameters):
        raise PolicyError(one.at, f'two parameters of "{one.name}" have one name')
    checker.block(one.body, parameters)
    return BuiltPredicate(one.parameters, plan(one.body, checker.scope(parameters)))


def _rule(number: int, one: Raise, checker: Checker, counting: frozenset[str]) -> Rule:
    variables = checker.block(one.body, {})
    error = "PolicyViolation"
    arguments: tuple[Expression, ...] = (one.what,)
    named: tuple[tuple[str, Expression], ...] = ()
    match one.what:
        case Call(function=Name(name=name), arguments=given, named=words) if name in checker.names.errors:
            error, arguments, named = name, given, words
        case Name(name=name) if name in checker.names.errors:
            error, arguments = name, ()
        case Call(function=Name(name=name)) | Name(name=name) if name[:1].isupper() and name not in variables:
            raise PolicyError(
                one.what.at, f'there is no error "{name}"', f'write raise PolicyViolation("…") if: or import {name}'
            )
    for argument in (*arguments, *(value for _, value in named)):
        checker.lone(argument, variables)
    return Rule(
        number=number,
        at=one.at,
        error=error,
        arguments=arguments,
        named=named,
        steps=plan(one.body, checker.scope({})),
        counts=_counts(one.body, counting),
    )


def _called(one: object) -> set[str]:
    """Names of functions and of constants that an expression speaks of."""
    found: set[str] = set()
    waiting: list[object] = [one]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):
            waiting += part
        elif isinstance(part, Name):
            found.add(part.name)
        elif isinstance(part, Node) and not isinstance(part, Constant):
            waiting += [getattr(part, field) for field in part.__struct_fields__]
    return found


def _refuse_circles(constants: Mapping[str, Expression], predicates: Mapping[str, Predicate]) -> None:
    """A predicate that asks itself would never end. Kahn's way: what can be ordered is taken away, what stays is a circle."""
    needs: dict[str, set[str]] = {name: _called(value) for name, value in constants.items()}
    needs |= {name: _called(one.body) for name, one in predicates.items()}
    left = {name: needs[name] & set(needs) for name in needs}
    while True:
        free = [name for name, others in left.items() if not others]
        if not free:
            break
        for name in free:
            del left[name]
        for others in left.values():
            others.difference_update(free)
    if left:
        name = min(left)
        at = predicates[name].at if name in predicates else constants[name].at
        raise PolicyError(at, f'"{name}" needs itself, by way of {", ".join(sorted(left[name]))}', "break the circle")


def _counting(predicates: Mapping[str, Predicate]) -> frozenset[str]:
    """Predicates with a quantifier in them, or in one that they ask."""
    found = {name for name, one in predicates.items() if _counts(one.body, frozenset())}
    while True:
        more = {name for name, one in predicates.items() if name not in found and _called(one.body) & found}
        if not more:
            return frozenset(found)
        found |= more


def _counts(body: tuple[Expression, ...], counting: frozenset[str]) -> bool:
    return any(isinstance(line, Quantified) for line in body) or bool(_called(body) & counting)
