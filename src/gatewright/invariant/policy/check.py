"""Policies, checked before anything is evaluated: every name is known, every field exists, every detector is there.

One rule: what can be known to be wrong from the policy alone is an error with its place, never a rule that silently never holds.
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn

from gatewright.invariant.policy.bounds import MAX_HEIGHT
from gatewright.invariant.policy.detectors import (
    DEFAULT_KIND_DETECTOR,
    KIND_DETECTORS,
    MODULES,
    UNSERVED,
    UNSERVED_KINDS,
    Detector,
    Detectors,
)
from gatewright.invariant.policy.faults import PolicyError, Spot, suggest
from gatewright.invariant.policy.functions import FUNCTIONS, METHOD_NAMES
from gatewright.invariant.policy.plan import Scope, bound_types, height_of
from gatewright.invariant.policy.syntax import (
    Among,
    Binder,
    Call,
    Compare,
    Comprehension,
    Constant,
    Entries,
    Expression,
    Flow,
    Import,
    IsTool,
    Items,
    ListOf,
    Member,
    Name,
    Node,
    OfKind,
    Pattern,
    Quantified,
)
from gatewright.invariant.policy.trace import ALIASES, EVENTS, FIELDS, TYPES

ERRORS = frozenset(("PolicyViolation", "Violation", "AccessControlViolation", "ErrorInformation", "ToolCallViolation"))
"""What may be raised beside what a policy imports."""
QUANTIFIERS = frozenset(("count", "forall", "exists"))
_WORDS = frozenset((*FUNCTIONS, *QUANTIFIERS, *TYPES, *ERRORS, "match", "find", "input", "LLM", "Event", "Input"))
_NAMED_KINDS = 8
"""Of those that a detector finds, in an error."""
_INNER: dict[tuple[str, str], str] = {("ToolCall", "function"): "Function"}


class Names:
    """What a policy's names mean: from its imports, its own declarations, the language, and who finds things."""

    def __init__(self, detectors: Detectors) -> None:
        self.detectors = detectors
        self.aliases: dict[str, str] = {}
        """Name in the policy → name in the library."""
        self.modules: set[str] = set()
        self.errors: set[str] = set(ERRORS)
        self.constants: set[str] = set()
        self.predicates: dict[str, Sequence[tuple[str, str]]] = {}

    def take_import(self, one: Import) -> None:
        root = one.module.partition(".")[0]
        if root == "invariant" and one.module not in MODULES:
            raise PolicyError(one.at, f'there is no module "{one.module}"', suggest(one.module, MODULES))
        if not one.names:
            if root != "invariant":
                raise PolicyError(one.at, f'"{one.module}" is not served: policies run no Python', "use what the language has")
            self.modules.add(root)
        for name, alias, at in one.names:
            if root != "invariant":
                if not name[:1].isupper():
                    raise PolicyError(
                        at, f'"{name}" of "{one.module}" is not served: policies run no Python', "use what the language has"
                    )
                self.errors.add(alias)  # an error of somebody's own: its name and its words are told, nothing is run
            elif name in self.detectors or name in _WORDS or name in UNSERVED:
                self.aliases[alias] = name  # what is not served is refused where it is used: examples import more than they use
                if name in ERRORS:
                    self.errors.add(alias)
            else:
                raise PolicyError(at, f'"{one.module}" has no "{name}"', suggest(name, (*self.detectors, *_WORDS)))

    def function(self, name: str) -> str:
        return self.aliases.get(name, name)

    def refuse_unserved(self, at: Spot, name: str) -> None:
        if name in UNSERVED and name not in self.detectors:
            why, instead = UNSERVED[name]
            raise PolicyError(at, f'detector "{name}" {why}', instead)

    def kind_detector(self, pattern: OfKind) -> str:
        """Who finds `<KIND>`. Raises PolicyError where nobody does."""
        name = KIND_DETECTORS.get(pattern.kind, DEFAULT_KIND_DETECTOR)
        self.refuse_unserved(pattern.at, name)
        self.need_kind(pattern.at, name, pattern.kind)
        return name

    def need_kind(self, at: Spot, name: str, kind: str) -> None:
        detector = self.detectors.get(name)
        if detector is None:
            raise PolicyError(at, f'nobody here finds "{kind}": there is no detector "{name}"', "bind one")
        if detector.kinds and kind not in detector.kinds:
            known = ", ".join(sorted(detector.kinds)[:_NAMED_KINDS])
            advice = UNSERVED_KINDS.get(kind) or suggest(kind, detector.kinds) or f"it finds {known}, …"
            raise PolicyError(at, f'"{name}" cannot find "{kind}" here', advice)


class Checker:
    """Checks expressions in a scope. Recursion is bounded: heights are measured first."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def block(self, body: tuple[Expression, ...], variables: Mapping[str, str]) -> Mapping[str, str]:
        """The variables of the block, its surroundings' included."""
        for line in body:
            if height_of(line) > MAX_HEIGHT:
                raise PolicyError(line.at, f"is nested too deeply: more than {MAX_HEIGHT} levels", "use predicates")
        inner = {**variables, **bound_types(body)}
        for line in body:
            self._line(line, inner)
        return inner

    def scope(self, variables: Mapping[str, str]) -> Scope:
        return Scope(variables, frozenset((*self.names.constants, *self.names.predicates, *FUNCTIONS, *self.names.detectors)))

    def lone(self, expression: Expression, variables: Mapping[str, str]) -> None:
        """An expression that is no line of a block."""
        if height_of(expression) > MAX_HEIGHT:
            raise PolicyError(expression.at, f"is nested too deeply: more than {MAX_HEIGHT} levels", "use constants")
        self._look(expression, variables)

    def _line(self, line: Expression, variables: Mapping[str, str]) -> None:
        match line:
            case Binder():
                self._type(line)
            case Among():
                self._type(line.binder)
                self._look(line.source, variables)
            case Flow():
                self._flow(line, variables)
            case Quantified():
                self.block(line.body, variables)
            case _:
                self._look(line, variables)

    def _type(self, binder: Binder) -> None:
        if binder.type not in TYPES:
            raise PolicyError(
                binder.at,
                f'there is no type "{binder.type}"',
                suggest(binder.type, TYPES)
                or "the types are Message, ToolCall, ToolOutput, Tool, Image, TextChunk, str, dict, …",
            )

    def _flow(self, flow: Flow, variables: Mapping[str, str]) -> None:
        for side in (flow.left, flow.right):
            if isinstance(side, Binder):
                self._type(side)
            elif side.name not in variables:
                self._unknown(side, variables)
            kind = variables.get(side.name, "")
            if kind and kind not in EVENTS:
                raise PolicyError(side.at, f'"{flow.op}" stands between messages, tool calls and tool outputs, not {kind}s')

    def _look(self, one: Node, variables: Mapping[str, str]) -> None:
        match one:
            case Flow() | Binder() | Among() | Quantified():
                if isinstance(one, Flow) and not isinstance(one.left, Binder) and not isinstance(one.right, Binder):
                    return self._flow(one, variables)
                raise PolicyError(one.at, "binds a variable and must be a line of its own", "put it before this line")
            case Name():
                return self._name(one, variables)
            case Call():
                return self._call(one, variables)
            case Member():
                return self._member(one, variables)
            case Comprehension():
                self._look(one.source, variables)
                inner = {**variables, one.name: ""}
                for part in (one.item, one.condition):
                    if part is not None:
                        self._look(part, inner)
                return None
            case IsTool():
                self._look(one.subject, variables)
                kind = self.type_of(one.subject, variables)
                if kind and kind not in ("ToolCall", "ToolOutput"):
                    raise PolicyError(
                        one.at, f"is tool:… asks a ToolCall or a ToolOutput, never a {kind}", "bind (call: ToolCall)"
                    )
                if one.arguments is not None:
                    self._pattern(one.arguments)
                return None
            case Compare():
                self._kind_in(one)
        self._parts(one, variables)
        return None

    def _parts(self, one: object, variables: Mapping[str, str]) -> None:
        if isinstance(one, tuple):
            for part in one:
                if isinstance(part, Node):
                    self._look(part, variables)
                else:
                    self._parts(part, variables)
        elif isinstance(one, Node):
            for field in one.__struct_fields__:
                value = getattr(one, field)
                if isinstance(value, Node):
                    self._look(value, variables)
                else:
                    self._parts(value, variables)

    def _name(self, name: Name, variables: Mapping[str, str]) -> None:
        if name.name in variables or name.name in self.names.constants or name.name == "input":
            return
        self._unknown(name, variables)

    def _unknown(self, name: Name, variables: Mapping[str, str]) -> NoReturn:
        word = self.names.function(name.name)
        if word in FUNCTIONS or word in self.names.detectors or name.name in self.names.predicates or word in ("match", "find"):
            raise PolicyError(name.at, f'"{name.name}" is a function', f"call it: {name.name}(…)")
        if word in QUANTIFIERS:
            raise PolicyError(name.at, f'"{name.name}" is a quantifier', f"write `{name.name}:` and an indented block below it")
        self.names.refuse_unserved(name.at, word)
        known = (*variables, *self.names.constants)
        advice = suggest(name.name, known) or "bind it first, as in (msg: Message)"
        raise PolicyError(name.at, f'nothing is called "{name.name}" here', advice)

    def _member(self, one: Member, variables: Mapping[str, str]) -> None:
        self._look(one.of, variables)
        kind = self.type_of(one.of, variables)
        if kind in FIELDS and one.name not in FIELDS[kind]:
            raise PolicyError(
                one.at, f'a {kind} has no "{one.name}"', suggest(one.name, FIELDS[kind]) or f"it has {', '.join(FIELDS[kind])}"
            )

    def type_of(self, one: Expression, variables: Mapping[str, str]) -> str:
        """As far as it is known. Empty: it may be anything."""
        match one:
            case Name():
                kind = variables.get(one.name, "")
                return ALIASES.get(kind, kind)
            case Member():
                return _INNER.get((self.type_of(one.of, variables), one.name), "")
            case Call(function=Name(name="tool_call")):
                return "ToolCall"
            case _:
                return ""

    def _call(self, call: Call, variables: Mapping[str, str]) -> None:
        for argument in (*call.arguments, *(value for _, value in call.named)):
            self._look(argument, variables)
        function = call.function
        if isinstance(function, Member):
            if (name := self._of_module(function)) is not None:
                return self._function(call, name)
            self._look(function.of, variables)
            if function.name not in METHOD_NAMES:
                raise PolicyError(
                    function.at, f'there is no method "{function.name}"', suggest(function.name, METHOD_NAMES) or "see the docs"
                )
            if call.named:
                raise PolicyError(call.at, "methods take no named arguments")
            return None
        if not isinstance(function, Name):
            raise PolicyError(call.at, "only functions and methods can be called")
        if function.name in variables:
            raise PolicyError(function.at, f'"{function.name}" is a variable and cannot be called')
        return self._function(call, function.name)

    def _of_module(self, member: Member) -> str | None:
        """`invariant.detectors.pii(…)` after `import invariant`."""
        root: Expression = member.of
        while isinstance(root, Member):
            root = root.of
        return member.name if isinstance(root, Name) and root.name in self.names.modules else None

    def _function(self, call: Call, written: str) -> None:
        name = self.names.function(written)
        if written in self.names.predicates:
            parameters = self.names.predicates[written]
            if call.named or len(call.arguments) != len(parameters):
                raise PolicyError(call.at, f'"{written}" takes {len(parameters)} arguments, got {len(call.arguments)}')
        elif name in self.names.detectors:
            self._detector(call, name, self.names.detectors[name])
        elif name in FUNCTIONS:
            if call.named and name != "print":
                raise PolicyError(call.at, f'"{written}" takes no named arguments')
            self._arity(call, name)
        elif name in QUANTIFIERS:
            raise PolicyError(call.at, f'"{written}" is a quantifier', f"write `{written}(…):` and an indented block below it")
        else:
            self.names.refuse_unserved(call.at, name)
            if name in self.names.errors:
                raise PolicyError(call.at, f'"{written}" is raised, not called', f"write raise {written}(…) if:")
            known = (*FUNCTIONS, "match", "find", *self.names.predicates, *self.names.detectors)
            raise PolicyError(call.at, f'there is no function "{written}"', suggest(written, known) or "see the docs")

    @staticmethod
    def _arity(call: Call, name: str) -> None:
        if name in ("text", "image", "print", "min", "max", "list", "set", "tuple"):
            return
        if len(call.arguments) != 1:
            raise PolicyError(call.at, f'"{name}" takes one argument, got {len(call.arguments)}')

    def _detector(self, call: Call, name: str, detector: Detector) -> None:
        given = [*zip(detector.options, call.arguments[1:], strict=False), *call.named]
        if not call.arguments:
            raise PolicyError(call.at, f'"{name}" takes what to look at', f"write {name}(msg.content)")
        if len(call.arguments) > 1 + len(detector.options):
            raise PolicyError(call.at, f'"{name}" takes at most {1 + len(detector.options)} arguments')
        for option, value in given:
            if option not in detector.options:
                advice = suggest(option, detector.options) or f"it has {', '.join(detector.options) or 'none'}"
                raise PolicyError(value.at, f'"{name}" has no option "{option}"', advice)
            if option == detector.listed and isinstance(value, ListOf):
                for item in value.items:
                    if isinstance(item, Constant) and isinstance(item.value, str):
                        self.names.need_kind(item.at, name, item.value)

    def _kind_in(self, one: Compare) -> None:
        """`"EMAIL_ADDRESS" in pii(…)`: a kind that is never found would make a rule that never holds."""
        if one.op not in ("in", "not in") or not (isinstance(one.left, Constant) and isinstance(one.left.value, str)):
            return
        if isinstance(one.right, Call) and isinstance(one.right.function, Name):
            name = self.names.function(one.right.function.name)
            if name in self.names.detectors and self.names.detectors[name].gives == "kinds":
                self.names.need_kind(one.left.at, name, one.left.value)

    def _pattern(self, pattern: Pattern) -> None:
        match pattern:
            case OfKind():
                self.names.kind_detector(pattern)
            case Entries():
                for _, inner in pattern.entries:
                    self._pattern(inner)
            case Items():
                for inner in pattern.items:
                    self._pattern(inner)
