"""Expressions of the policy language, read by precedence: one level of recursion for one level of brackets.

One rule: `(x: Type)` binds a variable and therefore stands at the beginning of a line or beside an arrow, nowhere else.
"""

from typing import Literal, cast

from gatewright.invariant.policy.bounds import MAX_INTEGER_BITS, MAX_NESTING, MAX_PATTERN_SIZE, MAX_PATTERNS
from gatewright.invariant.policy.faults import PolicyError
from gatewright.invariant.policy.pattern_reader import PatternReader
from gatewright.invariant.policy.regexes import Regex, compile_regex
from gatewright.invariant.policy.syntax import (
    Among,
    Assign,
    Binary,
    Binder,
    Call,
    Compare,
    Comprehension,
    Constant,
    DictOf,
    Expression,
    Flow,
    Item,
    ListOf,
    Logic,
    Member,
    Name,
    Piece,
    Search,
    Ternary,
    Unary,
)
from gatewright.invariant.policy.tokens import Token

_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">=", "in", "not", "is", "->", "~>"))
_STRENGTH = {"or": 1, "and": 2, **dict.fromkeys(_COMPARISONS, 4), "+": 5, "-": 5, "*": 6, "/": 6, "%": 6, "**": 8}
"""How tightly an operator binds; `not` as a prefix has 3, a sign 7."""
_LITERALS: dict[str, bool | None] = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}
_SEARCHES = {"match": {"s": "content"}, "find": {"s": "content"}}
"""Function → other names of its arguments."""
_RESERVED = frozenset(("if", "else", "and", "or", "not", "in", "is", "for", "raise", "import", "from", "lambda"))


class ExpressionReader(PatternReader):
    def regex(self, token: Token, *, dot_all: bool) -> Regex:
        """The pattern that a text is. Counted: compiling one costs more than reading a line."""
        self.patterns += 1
        if self.patterns > MAX_PATTERNS:
            raise PolicyError(token.at, f"is one pattern too many: at most {MAX_PATTERNS}", "join them with |")
        regex = compile_regex(token.text, token.at, dot_all=dot_all)
        self.pattern_size += regex.size
        if self.pattern_size > MAX_PATTERN_SIZE:
            raise PolicyError(token.at, "makes the patterns of this policy too large together", "use smaller repetitions")
        return regex

    def integer(self, value: Expression) -> int | None:
        if isinstance(value, Constant) and isinstance(value.value, int) and not isinstance(value.value, bool):
            return value.value
        return None

    def descend(self) -> None:
        self.nesting += 1
        if self.nesting > MAX_NESTING:
            raise self.error(f"is nested too deeply: at most {MAX_NESTING} levels", "use predicates or constants")

    def ascend(self) -> None:
        self.nesting -= 1

    def statement_expression(self) -> Expression:
        """A line of a block: a binding, a flow, an assignment or a condition."""
        token = self.token
        if token.kind == "name" and self.peek().text == ":=" and self.peek().kind == "op":
            self.take()
            self.take()
            return Assign(token.at, token.text, self.expression())
        if (binder := self._binder()) is None:
            return self.expression()
        if self.at("->") or self.at("~>"):
            return self._flow(binder)
        if self.skip("in"):
            return Among(binder.at, binder, self.expression())
        return binder

    def _binder(self) -> Binder | None:
        """`(name: Type)`, if it stands here."""
        after = (self.peek(0), self.peek(1), self.peek(2))
        if not (self.at("(") and after[0].kind == "op" and after[1].kind == "name" and after[2].text == ":"):
            return None
        at = self.take().at
        name = self.take().text
        self.take()
        kind = self.name("a type, such as Message, ToolCall or ToolOutput").text
        self.need(")", "after the type")
        return Binder(at, name, kind)

    def _flow(self, left: Binder | Name) -> Expression:
        """`a -> b`, and `a -> b -> c`, which is two flows."""
        flows: list[Expression] = []
        while self.at("->") or self.at("~>"):
            arrow = self.take()
            right = self._binder() or self._flow_name()
            flows.append(Flow(arrow.at, cast('Literal["->", "~>"]', arrow.text), left, right))
            left = Name(right.at, right.name)
        return flows[0] if len(flows) == 1 else Logic(flows[0].at, "and", tuple(flows))

    def _flow_name(self) -> Name:
        token = self.name("a variable or a binding such as (call: ToolCall) after the arrow")
        return Name(token.at, token.text)

    def expression(self, strength: int = 0, *, no_ternary: bool = False) -> Expression:
        self.descend()
        left = self._prefix()
        while (found := self._operator()) is not None and _STRENGTH[found] > strength:
            left = self._infix(left, found)
        if strength == 0 and not no_ternary and self.at("if"):
            at = self.take().at
            condition = self.expression(no_ternary=True)
            self.need("else", "after the condition of `… if … else …`")
            left = Ternary(at, condition, left, self.expression())
        self.ascend()
        return left

    def _operator(self) -> str | None:
        token = self.token
        if token.kind not in ("op", "name") or token.text not in _STRENGTH:
            return None
        if token.text == "not" and self.peek().text != "in":
            return None
        return token.text

    def _infix(self, left: Expression, op: str) -> Expression:
        if op in ("->", "~>"):
            if not isinstance(left, Name):
                raise self.error(f'"{op}" stands between variables', "bind them first: (a: ToolCall) -> (b: ToolOutput)")
            return self._flow(left)
        at = self.take().at
        match op:
            case "and" | "or":
                parts = [left, self.expression(_STRENGTH[op])]
                while self.skip(op):
                    parts.append(self.expression(_STRENGTH[op]))
                return Logic(at, op, tuple(parts))
            case "not":
                self.take()
                return Compare(at, "not in", left, self.expression(_STRENGTH["in"]))
            case "is":
                return self._is(left, at_negated=bool(self.skip("not")))
            case "**":
                return Binary(at, op, left, self.expression(_STRENGTH[op] - 1))
            case _ if op in _COMPARISONS:
                return Compare(at, op, left, self.expression(_STRENGTH[op]))
            case _:
                return Binary(at, op, left, self.expression(_STRENGTH[op]))

    def _is(self, left: Expression, *, at_negated: bool) -> Expression:
        if (tool := self.tool_pattern(left, negated=at_negated)) is not None:
            return tool
        return Compare(left.at, "is not" if at_negated else "is", left, self.expression(_STRENGTH["is"]))

    def _prefix(self) -> Expression:
        token = self.token
        if self.skip("not"):
            return Unary(token.at, "not", self.expression(3))
        if token.kind == "op" and token.text in ("-", "+"):
            self.take()
            return Unary(token.at, cast('Literal["-", "+"]', token.text), self.expression(7))
        return self.postfix(self._atom())

    def postfix(self, value: Expression) -> Expression:
        while True:
            token = self.token
            if self.skip("."):
                value = Member(token.at, value, self.name("a field").text)
            elif self.skip("["):
                value = self._key(token, value)
            elif self.at("("):
                value = self._call(value)
            else:
                return value

    def _key(self, opening: Token, value: Expression) -> Expression:
        start = None if self.at(":") else self.expression()
        if not self.skip(":"):
            self.need("]", "after the key")
            assert start is not None
            return Item(opening.at, value, start)
        end = None if self.at("]") else self.expression()
        self.need("]", "after the range")
        return Piece(opening.at, value, start, end)

    def _call(self, function: Expression) -> Expression:
        bracket = self.take().at
        at = function.at if isinstance(function, Name) else bracket
        arguments: list[Expression] = []
        named: list[tuple[str, Expression]] = []
        while not self.at(")"):
            if self.token.kind == "name" and self.peek().kind == "op" and self.peek().text == "=":
                word = self.take()
                self.take()
                if any(word.text == name for name, _ in named):
                    raise PolicyError(word.at, f'"{word.text}" is given twice')
                named.append((word.text, self.expression()))
            elif named:
                raise self.error("a plain argument cannot follow a named one", "name this one, too")
            else:
                arguments.append(self._comprehended(self.expression()))
            if not self.skip(","):
                break
        self.need(")", "after the arguments")
        call = Call(at, function, tuple(arguments), tuple(named))
        return self._search(call, function) if isinstance(function, Name) and function.name in _SEARCHES else call

    def _search(self, call: Call, function: Name) -> Search:
        """`match(pattern, text)` and `find(pattern, text)`: a pattern that is written out is compiled once, here."""
        given = dict(zip(("pattern", "content"), call.arguments, strict=False))
        given |= {_SEARCHES[function.name].get(name, name): value for name, value in call.named}
        if set(given) != {"pattern", "content"} or len(call.arguments) > 2:
            raise PolicyError(call.at, f"{function.name} takes a pattern and a text", f'write {function.name}("…", msg.content)')
        pattern, regex = given["pattern"], None
        if isinstance(pattern, Constant):
            if not isinstance(pattern.value, str):
                raise PolicyError(pattern.at, "a pattern is a text")
            regex = self.regex(Token("text", pattern.value, pattern.at), dot_all=False)
            if function.name == "find" and not regex.can_find:
                raise PolicyError(pattern.at, "find cannot look ahead: it looks everywhere", "use match, or `not match(…)`")
        return Search(call.at, "find" if function.name == "find" else "match", regex, pattern, given["content"])

    def _comprehended(self, item: Expression) -> Expression:
        """`item for name in source if condition`, if that is what stands here."""
        if not self.at("for"):
            return item
        self.take()
        name = self.name("a variable").text
        self.need("in", "after the variable")
        source = self.expression(no_ternary=True)
        condition = self.expression(no_ternary=True) if self.skip("if") else None
        return Comprehension(item.at, item, name, source, condition)

    def _atom(self) -> Expression:
        token = self.token
        if token.kind == "number":
            self.take()
            return Constant(token.at, self.number(token))
        if token.kind == "text":
            self.take()
            return Constant(token.at, token.text)
        if token.kind == "name" and token.text not in _RESERVED:
            self.take()
            return Constant(token.at, _LITERALS[token.text]) if token.text in _LITERALS else Name(token.at, token.text)
        if token.kind == "op":
            match token.text:
                case "(":
                    return self._brackets()
                case "[":
                    return self._list()
                case "{":
                    return self._braces()
                case "*":
                    raise self.error(
                        "`*` matches any value of a tool's arguments, and nothing else", "write x is tool:name({ key: * })"
                    )
        raise self.error(f"expected a value, got {self.said(token)}")

    def _brackets(self) -> Expression:
        if (binder := self._binder()) is not None:
            raise PolicyError(
                binder.at,
                f"({binder.name}: {binder.type}) binds a variable and must stand at the beginning of a line or beside an arrow",
                "put it on a line of its own before this one",
            )
        opening = self.take()
        if self.skip(")"):
            return ListOf(opening.at, (), "tuple")
        first = self.expression()
        if self.at(","):
            items = [first]
            while self.skip(",") and not self.at(")"):
                items.append(self.expression())
            self.need(")", "after the values")
            return ListOf(opening.at, tuple(items), "tuple")
        first = self._comprehended(first)
        self.need(")", 'to close "("')
        return first

    def _list(self) -> Expression:
        opening = self.take()
        items: list[Expression] = []
        while not self.at("]"):
            items.append(self.expression())
            if self.at("for") and len(items) == 1:
                found = self._comprehended(items[0])
                self.need("]", "after the comprehension")
                return found
            if not self.skip(","):
                break
        self.need("]", "after the values")
        return ListOf(opening.at, tuple(items))

    def _braces(self) -> Expression:
        opening = self.take()
        pairs: list[tuple[Expression, Expression]] = []
        items: list[Expression] = []
        while not self.at("}"):
            token = self.token
            if token.kind == "name" and self.peek().text == ":" and token.text not in _RESERVED:
                self.take()
                key: Expression = Constant(token.at, token.text)  # {key: 1} is {"key": 1}
            else:
                key = self.expression()
            if self.skip(":"):
                pairs.append((key, self.expression()))
            else:
                items.append(key)
            if pairs and items:
                raise PolicyError(token.at, "mixes entries of an object and of a set", "write key: value for all of them")
            if not self.skip(","):
                break
        self.need("}", "after the entries")
        return ListOf(opening.at, tuple(items), "set") if items else DictOf(opening.at, tuple(pairs))

    def number(self, token: Token) -> int | float:
        if token.text.isdigit():
            value = int(token.text)
            if value.bit_length() > MAX_INTEGER_BITS:
                raise PolicyError(token.at, "this number is too large")
            return value
        return float(token.text)
