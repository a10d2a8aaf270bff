"""The reader's hands, and `is tool:name({…})`: a tool's name and what its arguments look like.

One rule: a text in a pattern is meant both as itself and, where it is one, as a regular expression that fits the whole value.
https://github.com/invariantlabs-ai/docs/blob/main/docs/guardrails/tool-calls.md
"""

from gatewright.invariant.policy.faults import PolicyError, shown
from gatewright.invariant.policy.regexes import Regex
from gatewright.invariant.policy.syntax import (
    AnyValue,
    Entries,
    Expression,
    IsTool,
    Items,
    OfKind,
    OneText,
    OneValue,
    Pattern,
)
from gatewright.invariant.policy.tokens import Token, TokenKind

_SCALARS: dict[str, bool | None] = {"True": True, "False": False, "None": None, "true": True, "false": False, "null": None}
_IN_NAMES = frozenset("-./*")
"""What a tool's name may hold beside what names hold, without a space."""


class Reader:
    """Tokens, taken one by one."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.pos = 0
        self.nesting = 0
        self.patterns = 0
        self.pattern_size = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.pos]

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[min(self.pos + ahead, len(self.tokens) - 1)]

    def mark(self) -> int:
        return self.pos

    def reset(self, mark: int) -> None:
        self.pos = mark

    def take(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.pos += 1
        return token

    def at(self, text: str) -> bool:
        return self.token.text == text and self.token.kind in ("op", "name")

    def at_kind(self, kind: TokenKind) -> bool:
        return self.token.kind == kind

    def skip(self, text: str) -> Token | None:
        return self.take() if self.at(text) else None

    def need(self, text: str, where: str) -> Token:
        if not self.at(text):
            raise self.error(f'expected "{text}" {where}, got {self.said(self.token)}')
        return self.take()

    def name(self, what: str) -> Token:
        if self.token.kind != "name":
            raise self.error(f"expected {what}, got {self.said(self.token)}")
        return self.take()

    def end_line(self) -> None:
        if self.at_kind("newline"):
            self.take()
        elif not (self.at_kind("end") or self.at_kind("dedent")):
            raise self.error(f"expected the end of the line, got {self.said(self.token)}", "one condition stands on one line")

    def error(self, words: str, advice: str = "") -> PolicyError:
        return PolicyError(self.token.at, words, advice)

    @staticmethod
    def said(token: Token) -> str:
        match token.kind:
            case "newline" | "dedent":
                return "the end of the line"
            case "indent":
                return "an indented line"
            case "end":
                return "the end of the policy"
            case "text":
                return f'the text "{shown(token.text)}"'
            case _:
                return f'"{shown(token.text)}"'


class PatternReader(Reader):
    def regex(self, token: Token, *, dot_all: bool) -> Regex:
        raise NotImplementedError

    def number(self, token: Token) -> int | float:
        raise NotImplementedError

    def descend(self) -> None:
        raise NotImplementedError

    def ascend(self) -> None:
        raise NotImplementedError

    def tool_pattern(self, subject: Expression, *, negated: bool) -> IsTool | None:
        """After `is`: `tool:name`, `tool:name({…})` or `tool({…})`; None where it is another value."""
        opening = self.token
        if not self.at("tool") or self.peek().text not in (":", "("):
            return None
        self.take()
        name = ""
        if self.skip(":"):
            name = self._tool_name()
        arguments = None
        if self.skip("("):
            arguments = None if self.at(")") else self.pattern()
            self.need(")", "after the arguments of the tool")
        return IsTool(opening.at, subject, "" if name == "*" else name, arguments, negated)

    def _tool_name(self) -> str:
        token = self.take()
        if token.kind not in ("name", "number") and token.text != "*":
            if token.kind == "text" and token.text:
                return token.text
            raise PolicyError(token.at, f"expected a tool's name, got {self.said(token)}", "write tool:send_email")
        name, end, line = token.text, token.end, token.at.line
        while (
            (follows := self.token).at.column == end
            and follows.at.line == line
            and (follows.kind in ("name", "number") or follows.text in _IN_NAMES)
        ):
            name += self.take().text
            end = follows.end
        return name

    def pattern(self) -> Pattern:
        self.descend()
        found = self._pattern()
        self.ascend()
        return found

    def _pattern(self) -> Pattern:
        token = self.take()
        match token.kind, token.text:
            case "text", _:
                return self._text(token)
            case "number", _:
                return OneValue(token.at, self.number(token))
            case "name", word if word in _SCALARS:
                return OneValue(token.at, _SCALARS[word])
            case "op", "-" if self.at_kind("number"):
                return OneValue(token.at, -self.number(self.take()))
            case "op", "*":
                return AnyValue(token.at)
            case "op", "<":
                kind = self.name("what is looked for, such as <EMAIL_ADDRESS>").text
                self.need(">", "after what is looked for")
                return OfKind(token.at, kind)
            case "op", "{":
                return self._entries(token)
            case "op", "[":
                items: list[Pattern] = []
                while not self.at("]"):
                    items.append(self.pattern())
                    if not self.skip(","):
                        break
                self.need("]", "after the patterns")
                return Items(token.at, tuple(items))
        raise PolicyError(
            token.at,
            f"expected a pattern for the tool's arguments, got {self.said(token)}",
            'a pattern is "text", r"regular expression", a number, <EMAIL_ADDRESS>, *, { key: pattern } or [ pattern ]; compare'
            " other values on a line of their own: call.function.arguments.key == …",
        )

    def _text(self, token: Token) -> OneText:
        """What is no pattern (`"C++"`) is only itself, unless it is said to be one by `r"…"`."""
        try:
            return OneText(token.at, token.text, self.regex(token, dot_all=True))
        except PolicyError:
            if token.raw or "(?" in token.text:
                raise
            return OneText(token.at, token.text, None)

    def _entries(self, opening: Token) -> Entries:
        entries: list[tuple[str, Pattern]] = []
        while not self.at("}"):
            key = self.take()
            if key.kind not in ("name", "text"):
                raise PolicyError(key.at, f"expected an argument's name, got {self.said(key)}", 'write { to: "…" }')
            self.need(":", "after the argument's name")
            entries.append((key.text, self.pattern()))
            if not self.skip(","):
                break
        self.need("}", "after the arguments")
        return Entries(opening.at, tuple(entries))
