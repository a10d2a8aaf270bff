"""What a pattern may match, read from the pattern: how long a match may be, and how one begins.

One rule: characters and classes are taken over word by word; only what joins them is understood, so that RE2 alone says what each
means. A pattern is to be compiled by RE2 before it is read here.
https://github.com/google/re2/wiki/Syntax
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

DEEPEST: Final = 200
"""Groups within groups. RE2 itself takes 1000."""
_CHAIN: Final = 64
"""Links of a chain of optional parts before it is halved: each is one level of nesting to RE2."""

_COUNTED: Final = 16
"""Repetitions that are counted in beginnings."""


class Atom(msgspec.Struct, frozen=True):
    """One character: a literal, a class, a dot."""

    source: str
    flags: str


class Assertion(msgspec.Struct, frozen=True):
    """What stands between characters: the beginning of a line, the end of a word."""

    source: str
    flags: str


class Chain(msgspec.Struct, frozen=True):
    parts: "tuple[Node, ...]"


class Choice(msgspec.Struct, frozen=True):
    branches: "tuple[Node, ...]"


class Repeat(msgspec.Struct, frozen=True):
    what: "Node"
    least: int
    most: int | None


Node: TypeAlias = Atom | Assertion | Chain | Choice | Repeat
NOTHING: Final = Chain(())


def parsed(pattern: str) -> Node:
    """The structure of a pattern that RE2 has taken. Raises ValueError for one nested deeper than `DEEPEST`."""
    reader = _Reader(pattern)
    node = reader.choice("", 0)
    if reader.at != len(pattern):
        raise ValueError(f"cannot be read from character {reader.at} on")
    return node


def longest(node: Node) -> int | None:
    """Characters of the longest match; None: there is no bound."""
    match node:
        case Atom():
            return 1
        case Assertion():
            return 0
        case Chain(parts):
            sizes = [longest(part) for part in parts]
            return None if None in sizes else sum(size for size in sizes if size is not None)
        case Choice(branches):
            sizes = [longest(branch) for branch in branches]
            return None if None in sizes else max(size for size in sizes if size is not None)
        case Repeat(what, _, most):
            size = longest(what)
            if size == 0 or most == 0:
                return 0
            return None if size is None or most is None else size * most


def shortest(node: Node) -> int:
    """Characters of the shortest match."""
    match node:
        case Atom():
            return 1
        case Assertion():
            return 0
        case Chain(parts):
            return sum(map(shortest, parts))
        case Choice(branches):
            return min(map(shortest, branches))
        case Repeat(what, least, _):
            return shortest(what) * least


def wanders(node: Node) -> bool:
    """Whether RE2 may read on without bound after a complete match: each of many might then cost the whole text."""
    match node:
        case Atom() | Assertion():
            return False
        case Chain(parts):
            return any(map(wanders, parts))
        case Choice(branches):
            return any(map(_runs_on, branches))
        case Repeat(what, least, _):
            return _runs_on(what) if least == 0 else wanders(what)


def _runs_on(node: Node) -> bool:
    """Whether it has a part without bound, and after it one that must come."""
    match node:
        case Atom() | Assertion():
            return False
        case Chain(parts):
            return any(map(_runs_on, parts)) or any(
                longest(part) is None and any(map(shortest, parts[index + 1 :])) for index, part in enumerate(parts)
            )
        case Choice(branches):
            return any(map(_runs_on, branches))
        case Repeat(what, _, most):
            return _runs_on(what) or (most is None and longest(what) is None)


def branches(node: Node) -> tuple[Node, ...]:
    """What a pattern is a choice of, at its top."""
    return node.branches if isinstance(node, Choice) else (node,)


def source(node: Node) -> str:
    """The pattern again, without its captures."""
    match node:
        case Atom(text, flags) | Assertion(text, flags):
            return f"(?{flags}:{text})" if flags else text
        case Chain(parts):
            return "".join(map(source, parts))
        case Choice(branches):
            return f"(?:{'|'.join(map(source, branches))})"
        case Repeat(what, least, most):
            return f"(?:{source(what)}){_count(least, most)}"


def beginnings(node: Node) -> str:
    """A pattern of all that a match may begin with, from nothing to the whole of it, and of what counts further than a match may.

    What a text ends in and this does not match, no continuation can make a match.
    """
    match node:
        case Atom():
            return f"(?:{source(node)})?"
        case Assertion():
            return ""  # holds or not by what follows
        case Chain(parts):
            return _chain(parts)
        case Choice(branches):
            return f"(?:{'|'.join(map(beginnings, branches))})"
        case Repeat(_, _, 0):
            return ""
        case Repeat(what, _, 1):
            return beginnings(what)
        case Repeat(what, _, most):
            return f"(?:{_loosely(what)}){_count(0, None if most is None or most > _COUNTED else most - 1)}{beginnings(what)}"


def _loosely(node: Node) -> str:
    """The pattern again, with what it counts far not counted: each count is a state, and any of them may be where a text ends."""
    match node:
        case Atom() | Assertion():
            return source(node)
        case Chain(parts):
            return "".join(map(_loosely, parts))
        case Choice(branches):
            return f"(?:{'|'.join(map(_loosely, branches))})"
        case Repeat(what, least, most):
            far = least > _COUNTED or (most is not None and most > _COUNTED)
            return f"(?:{_loosely(what)}){'*' if far else _count(least, most)}"


def _chain(parts: Sequence[Node]) -> str:
    """What a sequence may begin with: the beginning of its first part, or all of that and the beginning of the rest."""
    if len(parts) > _CHAIN:
        half = len(parts) // 2
        return f"(?:{_chain(parts[:half])}|{''.join(map(_loosely, parts[:half]))}{_chain(parts[half:])})"
    whole = ""
    for part in reversed(parts):
        whole = f"(?:{source(part)}{whole})?" if isinstance(part, Atom) else f"(?:{beginnings(part)}|{_loosely(part)}{whole})"
    return whole


def _count(least: int, most: int | None) -> str:
    if most is None:
        return {0: "*", 1: "+"}.get(least, f"{{{least},}}")
    return f"{{{least},{most}}}"


class _Reader:
    """Reads one pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0

    def choice(self, flags: str, depth: int) -> Node:
        """Up to the end of the group. A group of flags holds to its end, over the bars."""
        if depth > DEEPEST:
            raise ValueError(f"has groups nested deeper than {DEEPEST}")
        found: list[Node] = []
        parts: list[Node] = []
        while self.at < len(self.pattern) and self.pattern[self.at] != ")":
            if self.pattern[self.at] == "|":
                self.at += 1
                found.append(_sequence(parts))
                parts = []
                continue
            flagged = self._flags(flags)
            if flagged is not None:
                flags = flagged
                continue
            parts.extend(self._repeated(item) if last else item for item, last in self._items(flags, depth))
        found.append(_sequence(parts))
        return found[0] if len(found) == 1 else Choice(tuple(found))

    def _flags(self, flags: str) -> str | None:
        """The flags from here on, where a group says nothing but flags."""
        if not self.pattern.startswith("(?", self.at):
            return None
        end = self.at + 2
        while end < len(self.pattern) and self.pattern[end] in "imsU-":
            end += 1
        if end >= len(self.pattern) or self.pattern[end] != ")":
            return None
        changed = _changed(flags, self.pattern[self.at + 2 : end])
        self.at = end + 1
        return changed

    def _items(self, flags: str, depth: int) -> list[tuple[Node, bool]]:
        """What stands here, before it is repeated; True: the one that a repetition after it is about."""
        pattern, start = self.pattern, self.at
        here = pattern[start]
        if here == "(":
            return [(self._group(flags, depth), True)]
        if here == "[":
            self.at = self._end_of_class(start)
            return [(Atom(pattern[start : self.at], flags), True)]
        if here in "^$":
            self.at += 1
            return [(Assertion(here, flags), True)]
        if here != "\\":
            self.at += 1
            return [(Atom(here if here == "." else _escaped(here), flags), True)]
        if pattern.startswith("\\Q", start):
            end = pattern.find("\\E", start)
            quoted = pattern[start + 2 :] if end < 0 else pattern[start + 2 : end]
            self.at = len(pattern) if end < 0 else end + 2
            return [(Atom(_escaped(each), flags), index == len(quoted) - 1) for index, each in enumerate(quoted)]
        if pattern.startswith("\\E", start):
            self.at += 2
            return []
        self.at = self._end_of_escape(start)
        text = pattern[start : self.at]
        return [(Assertion(text, flags) if text in ("\\b", "\\B", "\\A", "\\z") else Atom(text, flags), True)]

    def _group(self, flags: str, depth: int) -> Node:
        pattern = self.pattern
        self.at += 1
        if pattern.startswith("?", self.at):
            if pattern.startswith(("?P<", "?<"), self.at):
                self.at = pattern.index(">", self.at) + 1
            else:
                end = pattern.index(":", self.at)
                flags = _changed(flags, pattern[self.at + 1 : end])
                self.at = end + 1
        node = self.choice(flags, depth + 1)
        self.at += 1
        return node

    def _repeated(self, node: Node) -> Node:
        while self.at < len(self.pattern):
            counted = self._counted()
            if counted is None:
                break
            node = Repeat(node, *counted)
            if self.pattern.startswith("?", self.at):  # the shortest first: the same matches can be had
                self.at += 1
        return node

    def _counted(self) -> tuple[int, int | None] | None:
        simple = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(self.pattern[self.at])
        if simple is not None:
            self.at += 1
            return simple
        if self.pattern[self.at] != "{":
            return None
        end = self.pattern.find("}", self.at)
        least, comma, most = self.pattern[self.at + 1 : end].partition(",")
        if end < 0 or not _is_number(least) or (most and not _is_number(most)):
            return None  # RE2 takes such a brace for itself
        self.at = end + 1
        return int(least), int(most) if most else (None if comma else int(least))

    def _end_of_class(self, start: int) -> int:
        pattern, at = self.pattern, start + 1
        if pattern.startswith("^", at):
            at += 1
        if pattern.startswith("]", at):
            at += 1
        while pattern[at] != "]":
            if pattern.startswith("[:", at) and (end := pattern.find(":]", at)) > 0:
                at = end + 2
            else:
                at = self._end_of_escape(at) if pattern[at] == "\\" else at + 1
        return at + 1

    def _end_of_escape(self, start: int) -> int:
        pattern = self.pattern
        letter = pattern[start + 1]
        at = start + 2
        if letter in "pPx" and pattern.startswith("{", at):
            return pattern.index("}", at) + 1
        if letter in "pP":
            return at + 1
        if letter == "x":
            return at + 2
        if letter in "01234567":  # up to three octal digits
            while at < start + 4 and at < len(pattern) and pattern[at] in "01234567":
                at += 1
        return at


def _sequence(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else Chain(tuple(parts))


def _changed(flags: str, change: str) -> str:
    """What of `i`, `m` and `s` holds after `(?change)`; `U` changes which match is taken, not which there are."""
    on, _, off = change.partition("-")
    return "".join(flag for flag in "ims" if flag in on or (flag in flags and flag not in off))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _escaped(character: str) -> str:
    return "\\" + character if character in "\\^$.|?*+()[]{}" else character
