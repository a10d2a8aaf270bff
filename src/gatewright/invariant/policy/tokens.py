"""Tokens of the policy language: lines and their indentation matter, within brackets they do not.

    text ─▶ NAME NUMBER TEXT OP … NEWLINE INDENT … DEDENT END

One rule: a line goes on where it cannot be finished: within brackets, after an operator, before `and` and `or`.
https://github.com/invariantlabs-ai/docs/blob/main/docs/guardrails/rules.md
"""

import re
from typing import Literal

import msgspec

from gatewright.invariant.policy.bounds import MAX_CHARS, MAX_TOKENS
from gatewright.invariant.policy.faults import START, PolicyError, Spot, shown

TokenKind = Literal["name", "number", "text", "op", "newline", "indent", "dedent", "end"]

_OPERATORS = ("->", "~>", ":=", "==", "!=", "<=", ">=", "**", *"()[]{},:.=<>+-*/%|")
_TOKEN = re.compile(
    r"(?P<space>[ \t]+)"
    r"|(?P<comment>#[^\n]*)"
    r"|(?P<newline>\n)"
    r"|(?P<number>(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<quote>[rRfF]?(?:\"\"\"|'''|\"|'))"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<op>" + "|".join(re.escape(op) for op in _OPERATORS) + ")"
)
_GOES_ON_AFTER = frozenset(("->", "~>", "==", "!=", "<=", ">=", "**", "+", "-", "*", "/", "%", "<", ">", "=", ","))
_WORDS_GO_ON = frozenset(("and", "or", "not", "in", "is"))
_GOES_ON_BEFORE = re.compile(r"(?:and|or)\b")
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_LONGEST_NUMBER = 32
_ESCAPES = {
    "\\": "\\", "'": "'", '"': '"', "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\n": "",
}  # fmt: skip
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|(.))", re.DOTALL)


class Token(msgspec.Struct, frozen=True, gc=False):
    kind: TokenKind
    text: str
    """As it is meant: of a text, what is between its quotes, read."""
    at: Spot
    end: int = 0
    """Column after its last character: tells whether the next one follows without a space."""
    raw: bool = False
    """Of a text: `r"…"`."""


def tokens(policy: str) -> list[Token]:
    """All of them, ending in `end`. Raises PolicyError."""
    if len(policy) > MAX_CHARS:
        raise PolicyError(START, f"is too long: {len(policy)} characters, at most {MAX_CHARS}", "split it")
    return _Reader(policy.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff")).read()


class _Reader:
    def __init__(self, policy: str) -> None:
        self.policy = policy
        self.out: list[Token] = []
        self.pos = 0
        self.line = 1
        self.start_of_line = 0
        self.open: list[tuple[str, Spot]] = []
        self.indents: list[int] = []

    def read(self) -> list[Token]:
        fresh = True
        while self.pos < len(self.policy):
            if fresh and not self.open:
                if not self._indentation():
                    continue
                fresh = False
            fresh = self._one()
            if len(self.out) > MAX_TOKENS:
                raise PolicyError(self._spot(), f"is too long: more than {MAX_TOKENS} words", "split it")
        if self.open:
            bracket, at = self.open[-1]
            raise PolicyError(at, f'"{bracket}" is never closed', f'add "{_BRACKETS[bracket]}"')
        self._end_line()
        while len(self.indents) > 1:
            self.indents.pop()
            self._put("dedent", "")
        self._put("end", "")
        return self.out

    def _spot(self, pos: int | None = None) -> Spot:
        return Spot(self.line, (self.pos if pos is None else pos) - self.start_of_line + 1)

    def _put(self, kind: TokenKind, text: str, *, at: Spot | None = None, raw: bool = False) -> None:
        self.out.append(Token(kind, text, at or self._spot(), self.pos - self.start_of_line + 1, raw))

    def _next_line(self) -> None:
        self.line += 1
        self.start_of_line = self.pos

    def _indentation(self) -> bool:
        """At the start of a line: what its indentation says. False: the line says nothing and was skipped."""
        width = 0
        pos = self.pos
        while pos < len(self.policy) and self.policy[pos] in " \t\f":
            width = (width // 8 + 1) * 8 if self.policy[pos] == "\t" else width + 1
            pos += 1
        if pos < len(self.policy) and self.policy[pos] == "#":
            pos = end if (end := self.policy.find("\n", pos)) >= 0 else len(self.policy)
        if pos >= len(self.policy) or self.policy[pos] == "\n":
            self.pos = min(pos + 1, len(self.policy))
            self._next_line()
            return False
        self.pos = pos
        if self._goes_on():
            return True
        self._end_line()
        if not self.indents:
            self.indents.append(width)  # a policy that is indented as a whole: as in a Python text
        elif width > self.indents[-1]:
            self.indents.append(width)
            self._put("indent", "")
        while width < self.indents[-1]:
            if len(self.indents) == 1:
                raise PolicyError(self._spot(), "is indented less than the first line", "indent all rules alike")
            self.indents.pop()
            self._put("dedent", "")
        if width != self.indents[-1]:
            raise PolicyError(self._spot(), "is indented as no line before it", "indent it like the block it belongs to")
        return True

    def _goes_on(self) -> bool:
        """Whether the line that begins here belongs to the one before."""
        if not self.out or self.out[-1].kind in ("newline", "indent", "dedent"):
            return False
        last = self.out[-1]
        if (last.kind == "op" and last.text in _GOES_ON_AFTER) or (last.kind == "name" and last.text in _WORDS_GO_ON):
            return True
        return _GOES_ON_BEFORE.match(self.policy, self.pos) is not None

    def _end_line(self) -> None:
        if self.out and self.out[-1].kind not in ("newline", "indent", "dedent"):
            last = self.out[-1]
            self.out.append(Token("newline", "", Spot(last.at.line, last.end)))

    def _one(self) -> bool:
        """One token; whether a line begins after it."""
        found = _TOKEN.match(self.policy, self.pos)
        if found is None:
            raise PolicyError(self._spot(), f'"{self.policy[self.pos]}" means nothing here')
        at = self._spot()
        kind = found.lastgroup
        text = found.group()
        if kind == "quote":
            self._text(text, at)
            return False
        self.pos = found.end()
        match kind:
            case "newline":
                self._next_line()
                return True
            case "number":
                if len(text) > _LONGEST_NUMBER:
                    raise PolicyError(at, f'"{shown(text)}" is too long for a number')
                self._put("number", text, at=at)
            case "name":
                self._put("name", text, at=at)
            case "op":
                self._bracket(text, at)
                self._put("op", text, at=at)
            case _:
                pass
        return False

    def _bracket(self, text: str, at: Spot) -> None:
        if text in _BRACKETS:
            self.open.append((text, at))
        elif text in ")]}":
            if not self.open:
                raise PolicyError(at, f'"{text}" closes nothing')
            bracket, opened = self.open.pop()
            if _BRACKETS[bracket] != text:
                raise PolicyError(at, f'"{text}" closes "{bracket}" of {opened}', f'write "{_BRACKETS[bracket]}"')

    def _text(self, opening: str, at: Spot) -> None:
        prefix = opening[0].lower() if opening[0] not in "\"'" else ""
        if prefix == "f":
            raise PolicyError(at, 'f"…" texts are not part of the documented language', "join the pieces with +")
        quote = opening[1:] if prefix else opening
        start = pos = self.pos + len(opening)
        while True:
            if pos >= len(self.policy) or (len(quote) == 1 and self.policy[pos] == "\n"):
                raise PolicyError(at, "this text is never closed", f"end it with {quote}")
            if self.policy[pos] == "\\":
                pos += 2
            elif self.policy.startswith(quote, pos):
                break
            else:
                pos += 1
        inner = self.policy[start:pos]
        self.pos = pos + len(quote)
        if "\n" in inner:
            self.line += inner.count("\n")
            self.start_of_line = start + inner.rindex("\n") + 1
        self._put("text", inner if prefix == "r" else _ESCAPE.sub(_read_escape, inner), at=at, raw=prefix == "r")


def _read_escape(found: "re.Match[str]") -> str:
    """As Python reads it: what is no escape stays, with its backslash, so that a pattern may be written in plain quotes."""
    two, four, eight, octal, one = found.groups()
    if code := two or four or eight:
        number = int(code, 16)
        return chr(number) if number <= 0x10FFFF else found.group()
    if octal:
        return chr(int(octal, 8))
    return _ESCAPES.get(one, found.group())
