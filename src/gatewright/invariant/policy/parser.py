"""Policies, read: imports, constants, predicates, rules and the blocks within them.

One rule: what is read here is only checked for its shape; names, types and costs are looked at by `check`.
https://github.com/invariantlabs-ai/docs/blob/main/docs/guardrails/rules.md
"""

from typing import Literal

from gatewright.invariant.policy.bounds import MAX_BLOCK, MAX_RULES
from gatewright.invariant.policy.expressions import ExpressionReader
from gatewright.invariant.policy.faults import PolicyError, Spot
from gatewright.invariant.policy.syntax import (
    Call,
    Constants,
    Expression,
    Import,
    Logic,
    Name,
    Predicate,
    Quantified,
    Raise,
    Statement,
)
from gatewright.invariant.policy.tokens import Token, tokens

_QUANTIFIERS: dict[str, Literal["count", "forall", "exists"]] = {"count": "count", "forall": "forall", "exists": "exists"}


def parse_statements(policy: str) -> tuple[Statement, ...]:
    """Raises PolicyError."""
    return _PolicyReader(tokens(policy)).policy()


class _PolicyReader(ExpressionReader):
    def policy(self) -> tuple[Statement, ...]:
        found: list[Statement] = []
        while not self.at_kind("end"):
            if self.at_kind("indent"):
                raise self.error("is indented, but belongs to no block", "indent all rules alike")
            found.append(self._statement())
            if len(found) > MAX_RULES:
                raise self.error(f"is one rule too many: at most {MAX_RULES} statements", "split the policy")
        return tuple(found)

    def _statement(self) -> Statement:
        token = self.token
        if token.kind == "name":
            match token.text:
                case "raise":
                    return self._raise()
                case "import" | "from":
                    return self._import()
                case "def" | "class" | "for" | "while" | "if" | "return" | "with" | "try":
                    raise self.error(
                        f'"{token.text}" is not part of the language', "a predicate is written `name(x: Message) := …`"
                    )
                case _ if self.peek().kind == "op" and self.peek().text == ":=":
                    return self._constant()
                case _ if self.peek().kind == "op" and self.peek().text == "(":
                    return self._predicate()
        raise self.error(
            f"a rule begins with `raise`, not with {self.said(token)}",
            'write `raise "what is wrong" if:` and the conditions below it, indented',
        )

    def _import(self) -> Import:
        at = self.token.at
        if self.take().text == "import":
            module = self._dotted()
            self._alias()
            self.end_line()
            return Import(at, module, ())
        module = self._dotted()
        self.need("import", "after the module")
        names: list[tuple[str, str, Spot]] = []
        bracket = self.skip("(")
        while True:
            name = self.name("a name to import")
            names.append((name.text, self._alias() or name.text, name.at))
            if not self.skip(","):
                break
        if bracket:
            self.need(")", "after the names")
        self.end_line()
        return Import(at, module, tuple(names))

    def _dotted(self) -> str:
        word = self.name("a module").text
        while self.skip("."):
            word += "." + self.name("a module").text
        return word

    def _alias(self) -> str:
        return self.name("a name").text if self.skip("as") else ""

    def _constant(self) -> Constants:
        name = self.take()
        self.take()
        indented = self._opens_block()
        value = self.expression()
        self.end_line()
        if indented:
            self._close_block()
        return Constants(name.at, name.text, value)

    def _predicate(self) -> Predicate:
        name = self.take()
        self.take()
        parameters: list[tuple[str, str]] = []
        while not self.at(")"):
            word = self.name("a parameter").text
            parameters.append((word, self.name("a type").text if self.skip(":") else ""))
            if not self.skip(","):
                break
        self.need(")", "after the parameters")
        if not (self.skip(":=") or self.skip(":")):
            raise self.error(
                f"a predicate is `{name.text}(…) := …`, a rule begins with `raise`", "add `:=` and the conditions below it"
            )
        return Predicate(name.at, name.text, tuple(parameters), self.block())

    def _raise(self) -> Raise:
        at = self.take().at
        what = self.expression(no_ternary=True)
        self.need("if", "after what is raised")
        self.skip(":")
        return Raise(at, what, self.block())

    def block(self) -> tuple[Expression, ...]:
        """Conditions: indented on the next lines, or one on the same line."""
        if not self._opens_block():
            line = self._line()
            return tuple(line)
        lines: list[Expression] = []
        while not self.at_kind("dedent") and not self.at_kind("end"):
            if self.at_kind("indent"):
                raise self.error("is indented deeper than its block", "indent it like the line above")
            lines += self._line()
            if len(lines) > MAX_BLOCK:
                raise self.error(f"is one line too many: at most {MAX_BLOCK} in a block", "use predicates")
        self._close_block()
        return tuple(lines)

    def _opens_block(self) -> bool:
        if not self.at_kind("newline"):
            return False
        self.take()
        if not self.at_kind("indent"):
            raise self.error("expected an indented block here", "indent the conditions below the line that ends in `:`")
        self.take()
        self.descend()
        return True

    def _close_block(self) -> None:
        self.ascend()
        if self.at_kind("dedent"):
            self.take()

    def _line(self) -> list[Expression]:
        """One line: a quantifier with its block, or a condition; `a and b` at the top is two conditions."""
        start = self.mark()
        negated = bool(self.skip("not"))
        if self.token.kind == "name" and self.token.text in _QUANTIFIERS:
            found = self._quantifier(self.take(), negated=negated)
            if found is not None:
                return [found]
        self.reset(start)
        line = self.statement_expression()
        self.end_line()
        return _flat(line)

    def _quantifier(self, word: Token, *, negated: bool) -> Quantified | None:
        """None: it is none, but a name that is used as one may be."""
        bounds: dict[str, int] = {}
        if self.at("("):
            call = self.postfix(Name(word.at, word.text))
            if not isinstance(call, Call) or not self.at(":"):
                return None
            bounds = self._bounds(call)
        if not self.skip(":"):
            return None
        kind = _QUANTIFIERS[word.text]
        if kind != "count" and bounds:
            raise PolicyError(word.at, f'"{kind}" takes no bounds', "use count(min=…, max=…)")
        return Quantified(word.at, kind, self.block(), bounds.get("min"), bounds.get("max"), negated)

    def _bounds(self, call: Call) -> dict[str, int]:
        names = ("min", "max")
        given = [*zip(names, call.arguments, strict=False), *call.named]
        bounds: dict[str, int] = {}
        for key, value in given:
            number = self.integer(value)
            if key not in names or number is None or key in bounds or len(call.arguments) > len(names):
                raise PolicyError(value.at, "count takes min and max, each a whole number", "write count(min=2, max=10):")
            bounds[key] = number
        return bounds


def _flat(line: Expression) -> list[Expression]:
    if isinstance(line, Logic) and line.op == "and":
        return [one for part in line.parts for one in _flat(part)]
    return [line]
