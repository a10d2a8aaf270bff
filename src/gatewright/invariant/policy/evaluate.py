"""Rules over one conversation: which assignments of their variables satisfy all their lines.

    steps ─▶ bind, try, go back ─▶ an assignment ─▶ Violation with the places it is about

One rule: an evaluation ends: its work is counted, its depth is bounded, nothing it does can reach out of it.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from gatewright.invariant.policy.bounds import MAX_KEPT, MAX_VIOLATIONS, Budget
from gatewright.invariant.policy.build import Program, Rule
from gatewright.invariant.policy.detectors import Detectors
from gatewright.invariant.policy.expression_values import ExpressionValues
from gatewright.invariant.policy.faults import Failed
from gatewright.invariant.policy.functions import truth
from gatewright.invariant.policy.operations import drawn
from gatewright.invariant.policy.plan import Bind, Counted, Draw, Let, Step, Test
from gatewright.invariant.policy.syntax import Expression, Quantified
from gatewright.invariant.policy.trace import Contents, Thing, Trace, Value, message_of, texts_of
from gatewright.jsontypes import JsonObject, JsonValue

_NESTED = 6
"""Levels of a value that is told with an error."""


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """That a rule holds for some assignment of its variables. In Invariant's words, an error."""

    rule: int
    """Which `raise` of the policy, from 0. -1: none; the evaluation failed."""
    error: str
    args: tuple[JsonValue, ...]
    """The first is what the rule says is wrong."""
    kwargs: JsonObject = {}
    ranges: tuple[str, ...] = ()
    """Where: `messages.2`, `messages.2.content:25-30`. All of them, the most specific ones and what they stand in."""
    failed: bool = False
    """The policy could not be evaluated to its end: what it forbids may be there, and whoever blocks should."""

    @property
    def message(self) -> str:
        return str(self.args[0]) if self.args else self.error


class Evaluation(ExpressionValues):
    def __init__(
        self,
        program: Program,
        trace: Trace,
        detectors: Detectors,
        parameters: JsonObject,
        budget: Budget,
        *,
        since: int = 0,
    ) -> None:
        """`since`: the first message that is new. What is about old ones alone is kept where new ones may have made it so."""
        super().__init__(program, trace, detectors, parameters, budget)
        self.found: list[tuple[Violation, tuple[object, ...]]] = []
        self._tried: dict[int, Sequence[Value]] = {}
        self._since = since
        self._fresh = 0

    def run(self) -> list[tuple[Violation, tuple[object, ...]]]:
        """What was found, each with what tells it from another. A failure is the last of them."""
        try:
            for rule in self.program.rules:
                self._rule(rule)
        except Failed as failure:
            words = str(failure)
            self.found.append((Violation(rule=-1, error="EvaluationFailed", args=(words,), failed=True), (-1, words)))
        except RecursionError:  # the caller's own stack was deep already
            words = "policy:1:1 is nested too deeply to be evaluated here"
            self.found.append((Violation(rule=-1, error="EvaluationFailed", args=(words,), failed=True), (-1, words)))
        return self.found

    def _rule(self, rule: Rule) -> None:
        def hold(variables: dict[str, Value], kept: list[str]) -> bool:
            self._raise(rule, variables, kept)
            return self._enough()

        if not self._enough():
            self.solve(rule.steps, 0, {}, [], hold)

    def _enough(self) -> bool:
        return self._fresh >= MAX_VIOLATIONS or len(self.found) >= MAX_KEPT

    def _raise(self, rule: Rule, variables: dict[str, Value], kept: list[str]) -> None:
        ranges = dict.fromkeys(kept)
        for value in variables.values():
            if place := self.trace.path_of(value):
                ranges[place] = None
        fresh = self._since <= 0 or any(message_of(place) >= self._since for place in ranges)
        if ranges and not fresh and not rule.counts:
            return  # it was told when these messages were new
        self._fresh += fresh
        self.marks = []  # what is told says where it is; how it was worded finds nothing
        args = tuple(_json(self.value(one, variables)) for one in rule.arguments)
        kwargs = {name: _json(self.value(one, variables)) for name, one in rule.named}
        violation = Violation(rule=rule.number, error=rule.error, args=args or (rule.error,), kwargs=kwargs, ranges=tuple(ranges))
        key = tuple((name, self.trace.path_of(value) or _short(value)) for name, value in variables.items())
        self.found.append((violation, (rule.number, *key)))

    def solve(
        self,
        steps: Sequence[Step],
        first: int,
        variables: dict[str, Value],
        kept: list[str],
        hold: Callable[[dict[str, Value], list[str]], bool],
    ) -> bool:
        """Every assignment that satisfies the steps is told to `hold`; whether it wants no more."""
        own: list[str] = []
        marks = len(kept)
        at = first
        try:
            while at < len(steps):
                step = steps[at]
                self.budget.spend(step.at)
                match step:
                    case Test():
                        if not self._holds(step, variables, kept):
                            return False
                    case Let():
                        variables[step.name] = self._marked(step.value, variables, kept)
                        own.append(step.name)
                    case Counted():
                        if not self._counted(step, variables, kept):
                            return False
                    case Bind() | Draw():
                        return self._try(step, steps, at + 1, variables, kept, hold)
                at += 1
            return hold(variables, kept)
        finally:
            del kept[marks:]
            for name in own:
                del variables[name]

    def _try(  # noqa: PLR0917 - the state of the search, as `solve` has it
        self,
        step: Bind | Draw,
        steps: Sequence[Step],
        after: int,
        variables: dict[str, Value],
        kept: list[str],
        hold: Callable[[dict[str, Value], list[str]], bool],
    ) -> bool:
        self.budget.enter(step.at)
        if isinstance(step, Bind):
            candidates = self._worth_trying(step)
        else:
            source = self._marked(step.source, variables, [])  # each candidate tells its own place
            candidates = drawn(self.asking(step.at), source, step.type)
        try:
            for candidate in candidates:
                self.budget.spend(step.at)
                variables[step.name] = candidate
                if self.solve(steps, after, variables, kept, hold):
                    return True
            return False
        finally:
            variables.pop(step.name, None)
            self.budget.leave()

    def _worth_trying(self, step: Bind) -> Sequence[Value]:
        """Values that no condition of their own rules out. Found once: such a condition speaks of nothing else."""
        if not step.own:
            return self.trace.select(step.type)
        if id(step) not in self._tried:
            self.marks = []
            self._tried[id(step)] = [one for one in self.trace.select(step.type) if self._may_hold(step, one)]
        return self._tried[id(step)]

    def _may_hold(self, step: Bind, value: Value) -> bool:
        try:
            return all(truth(self.value(condition, {step.name: value})) for condition in step.own)
        except Failed:
            if self.budget.left < 0:
                raise
            return True  # another condition may rule it out before this one is asked; if none does, it fails then

    def _marked(self, expression: Expression, variables: dict[str, Value], kept: list[str]) -> Value:
        self.marks = kept
        return self.value(expression, variables)

    def _holds(self, step: Test, variables: dict[str, Value], kept: list[str]) -> bool:
        marks = len(kept)
        self.marks = kept
        if truth(self.value(step.condition, variables)):
            return True
        del kept[marks:]
        return False

    def _counted(self, step: Counted, variables: dict[str, Value], kept: list[str]) -> bool:
        quantified = step.quantified
        self.budget.enter(step.at)
        places: list[str] = []
        held = self._everywhere(step, variables) if quantified.kind == "forall" else self._some(step, variables, places)
        self.budget.leave()
        if held != quantified.negated:
            if not quantified.negated:
                kept += places
            return True
        return False

    def _some(self, step: Counted, variables: dict[str, Value], places: list[str]) -> bool:
        """`exists`, and `count` within its bounds."""
        least, most = _bounds(step.quantified)
        count = 0
        outer = frozenset(variables)

        def hold(inner: dict[str, Value], marks: list[str]) -> bool:
            nonlocal count
            count += 1
            places.extend(marks)
            places.extend(place for name, value in inner.items() if name not in outer and (place := self.trace.path_of(value)))
            return (most is None and count >= least) or (most is not None and count > most)

        self.solve(step.steps, 0, dict(variables), [], hold)
        return count >= least and (most is None or count <= most)

    def _everywhere(self, step: Counted, variables: dict[str, Value]) -> bool:
        """`forall`: no assignment of its variables breaks one of its conditions."""
        conditions = next((i for i, one in enumerate(step.steps) if isinstance(one, Test | Counted)), len(step.steps))
        binding, rest = step.steps[:conditions], step.steps[conditions:]

        def breaks(inner: dict[str, Value], _: list[str]) -> bool:
            return not self.solve(rest, 0, inner, [], _enough)

        return not self.solve(binding, 0, dict(variables), [], breaks)

    def predicate(self, name: str, arguments: Sequence[Value]) -> bool:
        built = self.program.predicates[name]
        variables = {parameter: value for (parameter, _), value in zip(built.parameters, arguments, strict=True)}
        marks = self.marks
        places: list[str] = []

        def hold(_: dict[str, Value], found: list[str]) -> bool:
            places.extend(found)
            return True

        held = self.solve(built.steps, 0, variables, [], hold)
        self.marks = marks
        marks += places
        return held


def _enough(_: dict[str, Value], __: list[str]) -> bool:
    return True


def _bounds(quantified: Quantified) -> tuple[int, int | None]:
    if quantified.kind == "exists":
        return 1, None
    return quantified.least or 0, quantified.most


def _short(value: Value) -> object:
    if isinstance(value, str | int | float | bool | None):
        return value
    return repr(_json(value))[:256]


def _json(value: Value, level: int = 0) -> JsonValue:
    """A value as it is told with an error."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return str(value)
        case Contents():
            return [_json(chunk, level + 1) for chunk in value.chunks] if level < _NESTED else value.whole
        case Thing():
            if level >= _NESTED:
                return "\n".join(texts_of(value))
            return {name: _json(inner, level + 1) for name, inner in value.fields.items()}
        case dict():
            return {str(name): _json(inner, level + 1) for name, inner in value.items()} if level < _NESTED else {}
        case list() | tuple():
            return [_json(inner, level + 1) for inner in value] if level < _NESTED else []
        case set():
            return [_json(inner, level + 1) for inner in sorted(value, key=repr)]
        case _:
            return None


def parameters_of(parameters: Mapping[str, JsonValue]) -> JsonObject:
    """What a policy reads as `input`."""
    return {"metadata": {}, **parameters}
