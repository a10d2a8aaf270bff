"""The value of an expression, given its variables.

One rule: an expression is looked at from the outside in; `and`, `or` and `… if … else …` ask only what they need.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from gatewright.invariant.policy.bounds import MAX_PATTERNS, MAX_READINGS, Budget
from gatewright.invariant.policy.build import Program
from gatewright.invariant.policy.detectors import DEFAULT_KIND_DETECTOR, KIND_DETECTORS, Detector, Detectors, Hit
from gatewright.invariant.policy.faults import Failed, PolicyError, Spot
from gatewright.invariant.policy.functions import FUNCTIONS, Asking, as_text, call_method, items, make_set, said, truth
from gatewright.invariant.policy.operations import arithmetic, compare, contains, field, key, piece, same
from gatewright.invariant.policy.regexes import Regex, compile_regex
from gatewright.invariant.policy.syntax import (
    AnyValue,
    Binary,
    Call,
    Compare,
    Comprehension,
    Constant,
    DictOf,
    Entries,
    Expression,
    Flow,
    IsTool,
    Item,
    Items,
    ListOf,
    Logic,
    Member,
    Name,
    OfKind,
    OneText,
    OneValue,
    Pattern,
    Piece,
    Search,
    Ternary,
    Unary,
)
from gatewright.invariant.policy.trace import Contents, Placed, Thing, Trace, Value, texts_of
from gatewright.jsontypes import JsonObject, JsonValue

Variables = dict[str, Value]


class ExpressionValues:
    """One evaluation's state: the trace, what was asked already, and the places that were found on the way."""

    def __init__(self, program: Program, trace: Trace, detectors: Detectors, parameters: JsonObject, budget: Budget) -> None:
        self.program = program
        self.trace = trace
        self.detectors = detectors
        self.parameters = parameters
        self.budget = budget
        self.marks: list[str] = []
        self._constants: Variables = {}
        self._hits: dict[tuple[str, str, str], Sequence[Hit]] = {}
        self._records: dict[tuple[str, str, str], JsonObject] = {}
        self._readings: set[tuple[str, str]] = set()
        self._regexes: dict[str, Regex] = {}

    def asking(self, at: Spot) -> Asking:
        return Asking(at, self.budget)

    def predicate(self, name: str, arguments: Sequence[Value]) -> bool:
        raise NotImplementedError

    def value(self, one: Expression, variables: Variables) -> Value:
        """Raises Failed."""
        self.budget.spend(one.at)
        self.budget.enter(one.at)
        try:
            return self._value(one, variables)
        finally:
            self.budget.leave()

    def _value(self, one: Expression, variables: Variables) -> Value:
        match one:
            case Constant():
                return one.value
            case Name():
                return self._name(one, variables)
            case Member():
                return field(self.asking(one.at), self.value(one.of, variables), one.name)
            case Compare():
                return self._compare(one, variables)
            case IsTool():
                return self._is_tool(one, self.value(one.subject, variables)) != one.negated
            case Call():
                return self._call(one, variables)
            case Logic():
                return self._logic(one, variables)
            case Unary():
                return self._unary(one, variables)
            case Flow():
                return self._flow(one, variables)
            case Search():
                return self._search(one, variables)
            case Binary():
                return arithmetic(self.asking(one.at), one.op, self.value(one.left, variables), self.value(one.right, variables))
            case Item():
                return key(self.asking(one.at), self.value(one.of, variables), self.value(one.key, variables))
            case Piece():
                start = None if one.start is None else self.value(one.start, variables)
                end = None if one.end is None else self.value(one.end, variables)
                return piece(self.asking(one.at), self.value(one.of, variables), start, end)
            case Ternary():
                chosen = one.then if truth(self.value(one.condition, variables)) else one.otherwise
                return self.value(chosen, variables)
            case ListOf():
                values = [self.value(item, variables) for item in one.items]
                return make_set(self.asking(one.at), values) if one.kind == "set" else values
            case DictOf():
                return self._object(one, variables)
            case Comprehension():
                return self._comprehension(one, variables)
            case _:
                raise Failed(one.at, "has no value of its own")

    def _name(self, one: Name, variables: Variables) -> Value:
        if one.name in variables:
            return variables[one.name]
        if one.name == "input":
            return self.parameters
        if one.name not in self._constants:
            self._constants[one.name] = self.value(self.program.constants[one.name], {})
        return self._constants[one.name]

    def _compare(self, one: Compare, variables: Variables) -> Value:
        left, right = self.value(one.left, variables), self.value(one.right, variables)
        asking = self.asking(one.at)
        match one.op:
            case "in":
                return contains(asking, self.trace, self.marks, left, right)
            case "not in":
                unmarked: list[str] = []
                found = contains(asking, self.trace, unmarked, left, right)
                return not (any(found) if isinstance(found, list) else found)
            case op:
                return compare(asking, op, left, right)

    def _logic(self, one: Logic, variables: Variables) -> bool:
        if one.op == "and":
            return all(truth(self.value(part, variables)) for part in one.parts)
        return any(truth(self.value(part, variables)) for part in one.parts)

    def _unary(self, one: Unary, variables: Variables) -> Value:
        if one.op == "not":
            marks = len(self.marks)
            held = truth(self.value(one.operand, variables))
            del self.marks[marks:]
            return not held
        value = self.value(one.operand, variables)
        if value is None:
            return None
        if not isinstance(value, int | float):
            raise Failed(one.at, f'"{one.op}" cannot take {said(value)}')
        return -value if one.op == "-" else value

    def _flow(self, one: Flow, variables: Variables) -> bool:
        left, right = variables[one.left.name], variables[one.right.name]
        if not (isinstance(left, Thing) and isinstance(right, Thing)) or left.order < 0 or right.order < 0:
            raise Failed(one.at, f'"{one.op}" stands between messages, tool calls and tool outputs')
        return left.order < right.order if one.op == "->" else left.order + 1 == right.order

    def _object(self, one: DictOf, variables: Variables) -> Value:
        made: dict[str, Value] = {}
        for name, inner in one.items:
            word = self.value(name, variables)
            if not isinstance(word, str | int | float):
                raise Failed(name.at, f"a key is a text, not {said(word)}")
            made[str(word)] = self.value(inner, variables)
        return made

    def _comprehension(self, one: Comprehension, variables: Variables) -> Value:
        found: list[Value] = []
        inner = dict(variables)
        for item in items(self.asking(one.at), self.value(one.source, variables)):
            inner[one.name] = item
            if one.condition is None or truth(self.value(one.condition, inner)):
                found.append(self.value(one.item, inner))
        return found

    def _call(self, one: Call, variables: Variables) -> Value:
        asking = self.asking(one.at)
        function = one.function
        if isinstance(function, Member) and not self._of_module(function):
            subject = self.value(function.of, variables)
            return call_method(asking, subject, function.name, [self.value(part, variables) for part in one.arguments])
        assert isinstance(function, Name | Member)
        arguments = [self.value(part, variables) for part in one.arguments]
        if function.name in self.program.predicates:
            return self.predicate(function.name, arguments)
        name = self.program.functions.get(function.name, function.name)
        if name in self.detectors:
            named = {word: self.value(part, variables) for word, part in one.named}
            return self._detect(asking, name, self.detectors[name], arguments, named)
        return FUNCTIONS[name](asking, arguments)

    def _of_module(self, function: Member) -> bool:
        root: Expression = function.of
        while isinstance(root, Member):
            root = root.of
        return isinstance(root, Name) and root.name in self.program.modules

    def _search(self, one: Search, variables: Variables) -> Value:
        asking = self.asking(one.at)
        regex = one.regex
        if regex is None:
            pattern = as_text(asking, self.value(one.pattern, variables))
            if pattern is None:
                return [] if one.kind == "find" else False
            regex = self._regex(one.at, pattern, finds=one.kind == "find")
        value = self.value(one.text, variables)
        if not (value is None or isinstance(value, str | Contents | Thing | list | dict)):
            raise asking.fail(f"{one.kind} wants a text, got {said(value)}")
        found: list[Value] = []
        for text in texts_of(value):
            self.budget.scan(one.at, len(text))
            if one.kind == "match":
                if regex.starts(text):
                    return True
                continue
            for start, end in regex.find(text):
                self.budget.spend(one.at)
                placed = isinstance(text, Placed)
                found.append(Placed.at(text.path, text[start:end], max(text.start, 0) + start) if placed else text[start:end])  # type: ignore[attr-defined]
                if placed:
                    self.marks.append(text.range(start, end))  # type: ignore[attr-defined]
        return False if one.kind == "match" else found

    def _regex(self, at: Spot, pattern: str, *, finds: bool) -> Regex:
        if pattern not in self._regexes:
            self.budget.spend(at, 50)
            if len(self._regexes) >= MAX_PATTERNS:
                raise Failed(at, f"uses more than {MAX_PATTERNS} patterns")
            try:
                self._regexes[pattern] = compile_regex(pattern, at)
            except PolicyError as error:
                raise Failed(at, error.words) from None
        regex = self._regexes[pattern]
        if finds and not regex.can_find:
            raise Failed(at, "find cannot look ahead: it looks everywhere")
        return regex

    def _detect(
        self, asking: Asking, name: str, detector: Detector, arguments: Sequence[Value], named: dict[str, Value]
    ) -> Value:
        given = dict(zip(detector.options, arguments[1:], strict=False)) | named
        options: dict[str, JsonValue] = {word: _plain(value) for word, value in given.items()}
        texts = list(texts_of(arguments[0]))
        if detector.gives == "record":
            return self._record(asking, name, detector, texts or [""], options)
        kinds: list[Value] = []
        for text in texts:
            for hit in self._found(asking, name, detector, text, options):
                kinds.append(hit.kind)
                if isinstance(text, Placed):
                    self.marks.append(text.range(hit.start, hit.end))
        return bool(kinds) if detector.gives == "flag" else kinds

    def _found(self, asking: Asking, name: str, detector: Detector, text: str, options: dict[str, JsonValue]) -> Sequence[Hit]:
        known = (name, str(text), repr(options))
        if known not in self._hits:
            assert detector.find is not None
            asking.budget.detect(asking.at, len(text), granted=self._granted(name, text, known[2]))
            self._hits[known] = detector.find(str(text), options)
        found = self._hits[known]
        asking.budget.spend(asking.at, 1 + len(found))
        return found

    def _granted(self, name: str, text: str, options: str) -> bool:
        """Whether this is the conversation, read by one of the first detectors that the policy asks."""
        reading = (name, options)
        if reading not in self._readings and len(self._readings) < MAX_READINGS:
            self._readings.add(reading)
        return isinstance(text, Placed) and reading in self._readings

    def _record(
        self, asking: Asking, name: str, detector: Detector, texts: Sequence[str], options: dict[str, JsonValue]
    ) -> Value:
        """Of several texts, one record: their lists are joined."""
        made: JsonObject = {}
        for text in texts:
            known = (name, str(text), repr(options))
            if known not in self._records:
                assert detector.record is not None
                asking.budget.detect(asking.at, len(text), granted=self._granted(name, text, known[2]))
                self._records[known] = detector.record(str(text), options)
            for word, value in self._records[known].items():
                before = made.get(word)
                made[word] = before + value if isinstance(before, list) and isinstance(value, list) else before or value
        return made

    def _is_tool(self, one: IsTool, subject: Value) -> bool:
        call = subject.call if isinstance(subject, Thing) and subject.type == "ToolOutput" else subject
        if not isinstance(call, Thing) or call.type != "ToolCall":
            return False
        function = call.fields.get("function")
        assert isinstance(function, Thing)
        name = function.fields.get("name")
        if one.tool and not (isinstance(name, str) and (name == one.tool or ("*" in one.tool and fnmatchcase(name, one.tool)))):
            return False
        return one.arguments is None or self._fits(one.arguments, function.fields.get("arguments"))

    def _fits(self, pattern: Pattern, value: Value) -> bool:
        self.budget.spend(pattern.at)
        match pattern:
            case AnyValue():
                return True
            case OneText():
                if not isinstance(value, str):
                    return False
                self.budget.scan(pattern.at, len(value))
                return value == pattern.text or (pattern.regex is not None and pattern.regex.fits(value))
            case OneValue():
                return (
                    type(value) is type(pattern.value) and value == pattern.value
                    if isinstance(pattern.value, bool)
                    else not isinstance(value, bool) and same(value, pattern.value)
                )
            case OfKind():
                return self._of_kind(pattern, value)
            case Entries():
                return isinstance(value, dict) and all(
                    name in value and self._fits(inner, value[name]) for name, inner in pattern.entries
                )
            case Items():
                return (
                    isinstance(value, list)
                    and len(value) == len(pattern.items)
                    and all(self._fits(inner, item) for inner, item in zip(pattern.items, value, strict=True))
                )

    def _of_kind(self, pattern: OfKind, value: Value) -> bool:
        name = KIND_DETECTORS.get(pattern.kind, DEFAULT_KIND_DETECTOR)
        detector = self.detectors[name]
        options: dict[str, JsonValue] = {detector.listed: [pattern.kind]} if detector.listed else {}
        asking = self.asking(pattern.at)
        found = False
        for text in texts_of(value):
            for hit in self._found(asking, name, detector, text, options):
                if detector.gives != "kinds" or hit.kind == pattern.kind:
                    found = True
                    if isinstance(text, Placed):
                        self.marks.append(text.range(hit.start, hit.end))
        return found


def _plain(value: Value) -> JsonValue:
    """An option of a detector, as JSON."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return str(value)
        case list() | tuple():
            return [_plain(item) for item in value]
        case set():
            return [_plain(item) for item in sorted(value, key=repr)]
        case dict():
            return {str(name): _plain(inner) for name, inner in value.items()}
        case _:
            return None
