"""In which order the lines of a block are looked at.

    (a: ToolCall) -> (b: ToolOutput)        bind a · a is tool:x · bind b · a -> b · "y" in b.content
    a is tool:x                       ─▶
    "y" in b.content

One rule: a condition is looked at as soon as all it speaks of is bound, so that most candidates are dropped before they are
combined. The lines may stand in any order; among conditions theirs is kept.
"""

from collections.abc import Iterator, Mapping
from typing import NoReturn, TypeAlias

import msgspec

from gatewright.invariant.policy.faults import PolicyError, suggest
from gatewright.invariant.policy.syntax import (
    Among,
    Assign,
    Binder,
    Call,
    Comprehension,
    Expression,
    Flow,
    Name,
    Node,
    Quantified,
)


class Bind(Node, frozen=True):
    """Try every value of a type in the conversation."""

    name: str
    type: str
    own: tuple[Expression, ...] = ()
    """Conditions that speak of it alone: a value that breaks one is tried once, not for every other variable's value again."""


class Draw(Node, frozen=True):
    """Try every value of a type in a list."""

    name: str
    type: str
    source: Expression


class Let(Node, frozen=True):
    name: str
    value: Expression


class Test(Node, frozen=True):
    condition: Expression


class Counted(Node, frozen=True):
    """A quantifier, planned."""

    quantified: Quantified
    steps: "tuple[Step, ...]"


Step: TypeAlias = Bind | Draw | Let | Test | Counted


class Scope(msgspec.Struct, frozen=True):
    """What a block may speak of: its variables and their types (empty: any), and the names of the whole policy."""

    variables: Mapping[str, str]
    names: frozenset[str]


def plan(body: tuple[Expression, ...], scope: Scope, *, all_first: bool = False) -> tuple[Step, ...]:
    """Raises PolicyError for a name that nothing binds. `all_first`: every variable is bound before any condition (`forall`)."""
    return _Planner(body, scope, all_first=all_first).plan()


def bound_types(body: tuple[Expression, ...]) -> dict[str, str]:
    """Every variable that a block's own lines bind, and its type."""
    types: dict[str, str] = {}
    for line in body:
        for binder in _binders(line):
            known = types.setdefault(binder.name, binder.type)
            if known != binder.type:
                raise PolicyError(
                    binder.at, f'"{binder.name}" is a {known} already and cannot be a {binder.type}', "use another name"
                )
        if isinstance(line, Assign):
            if line.name in types:
                raise PolicyError(line.at, f'"{line.name}" is bound twice', "use another name")
            types[line.name] = ""
    return types


class _Planner:
    def __init__(self, body: tuple[Expression, ...], scope: Scope, *, all_first: bool) -> None:
        self.all_first = all_first
        self.own = bound_types(body)
        self.bound = set(scope.variables)
        self.visible = Scope({**scope.variables, **self.own}, scope.names)
        self.binding: list[Step] = []
        self.conditions: list[tuple[Step, frozenset[str]]] = []
        self.steps: list[Step] = []
        seen = set(scope.variables)
        for line in body:
            self._line(line, seen)

    def _line(self, line: Expression, seen: set[str]) -> None:
        for binder in _binders(line):
            if binder.name not in seen and not isinstance(line, Among):
                self.binding.append(Bind(binder.at, binder.name, binder.type))
                seen.add(binder.name)
        match line:
            case Binder():
                return
            case Among(at, binder, source):
                self.binding.append(Draw(at, binder.name, binder.type, source))
                seen.add(binder.name)
            case Assign(at, name, value):
                self.conditions.append((Let(at, name, value), self._needs(value)))
            case Flow(at, op, left, right):
                flow = Flow(at, op, Name(left.at, left.name), Name(right.at, right.name))
                self.conditions.append((Test(at, flow), frozenset((left.name, right.name)) & frozenset(self.visible.variables)))
            case Quantified():
                steps = plan(line.body, self.visible, all_first=line.kind == "forall")
                inner = bound_types(line.body)
                needs = frozenset(name for one in line.body for name in names_in(one)) - frozenset(inner)
                self.conditions.append((Counted(line.at, line, steps), needs & frozenset(self.visible.variables)))
            case _:
                self.conditions.append((Test(line.at, line), self._needs(line)))

    def _needs(self, line: Expression) -> frozenset[str]:
        return names_in(line) & frozenset(self.visible.variables)

    def plan(self) -> tuple[Step, ...]:
        binding, conditions = self.binding, self.conditions
        while binding or conditions:
            ready = None
            if not (self.all_first and binding):
                ready = next((one for one in conditions if one[1] <= self.bound), None)
            if ready is not None:
                conditions.remove(ready)
                self._take(ready[0])
                continue
            step = next((one for one in binding if self._drawable(one)), None)
            if step is not None:
                binding.remove(step)
                self._take(step)
                continue
            ready = next((one for one in conditions if isinstance(one[0], Let) and one[1] <= self.bound), None)
            if ready is None:
                self._circle(binding, conditions)
            conditions.remove(ready)
            self._take(ready[0])
        return tuple(self.steps)

    def _drawable(self, step: Step) -> bool:
        return not isinstance(step, Draw) or self._needs(step.source) <= self.bound

    def _take(self, step: Step) -> None:
        if isinstance(step, Bind) and self.bound and not self.all_first:
            alone = frozenset((step.name,))
            own = tuple(one.condition for one, needs in self.conditions if isinstance(one, Test) and needs == alone)
            step = Bind(step.at, step.name, step.type, own)
        self.steps.append(step)
        if isinstance(step, Bind | Draw | Let):
            self.bound.add(step.name)

    def _circle(self, binding: list[Step], conditions: list[tuple[Step, frozenset[str]]]) -> NoReturn:
        step = binding[0] if binding else conditions[0][0]
        raise PolicyError(step.at, "this line and another need one another's variables", "bind one of them on its own")


def _binders(line: Expression) -> Iterator[Binder]:
    match line:
        case Binder():
            yield line
        case Among():
            yield line.binder
        case Flow():
            for side in (line.left, line.right):
                if isinstance(side, Binder):
                    yield side


def names_in(expression: Node) -> frozenset[str]:
    """Names that an expression speaks of, functions it calls apart. Without recursion: an expression may be any height."""
    found: set[str] = set()
    waiting: list[tuple[object, frozenset[str]]] = [(expression, frozenset())]
    while waiting:
        one, own = waiting.pop()
        if isinstance(one, tuple):
            waiting += [(part, own) for part in one]
        elif isinstance(one, Name):
            if one.name not in own:
                found.add(one.name)
        elif isinstance(one, Comprehension):
            waiting.append((one.source, own))
            waiting += [(part, own | {one.name}) for part in (one.item, one.condition) if part is not None]
        elif isinstance(one, Call) and isinstance(one.function, Name):
            waiting += [(one.arguments, own), (one.named, own)]
        elif isinstance(one, Quantified):
            waiting.append((one.body, own | frozenset(bound_types(one.body))))
        elif isinstance(one, Node):
            waiting += [(getattr(one, field), own) for field in one.__struct_fields__]
    return frozenset(found)


def height_of(expression: Node) -> int:
    """Levels within an expression. Without recursion."""
    highest = 0
    waiting: list[tuple[object, int]] = [(expression, 1)]
    while waiting:
        one, level = waiting.pop()
        highest = max(highest, level)
        if isinstance(one, tuple):
            waiting += [(part, level) for part in one]
        elif isinstance(one, Node):
            waiting += [(getattr(one, field), level + 1) for field in one.__struct_fields__]
    return highest


def unknown(name: str, scope: Scope) -> str:
    return suggest(name, (*scope.variables, *scope.names))
