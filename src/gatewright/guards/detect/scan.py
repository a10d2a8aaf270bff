"""A table of patterns as a detector: which of them are in a text is asked of RE2 once, and only those are located.

    text ─▶ Set of all ─▶ each that is there ─▶ its matches ─▶ what it checks (check digits, entropy) ─▶ spans

One rule: whether a match may begin is asked of the patterns themselves: each is turned into one of all its beginnings, and a text
is open from where it ends in such a one. Cost is linear in the text: RE2 does not backtrack, and after `MOST` matches of a row in
one text the rest of it counts as one.
https://github.com/google/re2/wiki/Syntax
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec
import re2  # type: ignore[import-untyped]

from gatewright.guards.detect.regex import Node, beginnings, branches, longest, parsed, shortest, source, wanders
from gatewright.guards.terms import BEHIND, Span

MOST: Final = 10_000
"""Matches of one row in one text that are told apart."""
MOST_WANDERING: Final = 200
"""The same, of a pattern each of whose matches may have RE2 read the whole text."""
MEMORY: Final = 32 << 20
"""Bytes that RE2 may use for one pattern, or for the set. Nothing is taken before it is needed."""


class Row(msgspec.Struct, frozen=True):
    """One thing to be found."""

    kind: str
    pattern: str
    check: Callable[[str], int] | None = None
    """Of a match's words: how many of its characters, from the first, are what is looked for. 0: none."""
    led: bool = False
    """Whether the first group is what is found; what stands before it led to it."""
    not_after: bytes = b""
    """ASCII characters after which a match is part of something else: of a path, of base64, of a fraction."""
    not_before: bytes = b""
    """The same of what follows it."""
    words: bool = False
    """A letter or a digit beside a match, of whatever script, makes it part of a word, and none."""
    again: bool = False
    """After a match that is none, another may begin within it. For bounded patterns alone."""


class BadPattern(ValueError):
    """A pattern that cannot be used, and why."""

    def __init__(self, pattern: str, why: str) -> None:
        super().__init__(f"pattern {_shown(pattern)}: {why}")
        self.why = why


class _Located(msgspec.Struct, frozen=True):
    """A row, or one branch of it, compiled."""

    row: Row
    regex: "re2._Regexp"
    most: int


class Scan:
    """Finds the rows of a table. A detector."""

    def __init__(self, rows: Iterable[Row], *, followed: bool = True) -> None:
        """Raises BadPattern. `followed`: whether texts come in pieces; if not, one is open wherever it begins."""
        self.longest: int | None = 0
        """Characters of the longest match of all. None: there is no bound."""
        self._located: list[_Located] = []
        nodes: list[Node] = []
        for row in rows:
            node = read(row.pattern)
            nodes.append(node)
            size = longest(node)
            self.longest = None if self.longest is None or size is None else max(self.longest, size)
            # A choice at the top is several rows: RE2 might read to the end for one of them at each match of another.
            for branch in branches(node) if not row.led else (node,):
                text = source(branch) if branch is not node else row.pattern
                self._located.append(_Located(row, _compiled(text), MOST_WANDERING if wanders(branch) else MOST))
        self._open = _begun([beginnings(node) for node in nodes]) if followed else []
        self._set, self._sentinel = _together([each.regex.pattern for each in self._located])

    def find(self, text: str, start: int = 0) -> list[Span]:
        """What is found from `start` on, in order, not overlapping: where two do, the later begins where the earlier ends."""
        base = max(0, start - BEHIND)
        encoded = _encoded(text[base:])
        there = self._there(encoded)
        if not there:
            return []
        where = _Places(encoded, base)
        first = where.byte_of(start)
        found: list[Span] = []
        for index in there:
            self._locate(self._located[index], encoded, first, where, found)
        return apart(found)

    def _there(self, encoded: bytes) -> Sequence[int]:
        """Which rows may be located in a text."""
        there = sorted(self._set.Match(encoded) or ()) if self._set is not None else ()
        return there[:-1] if there and there[-1] == self._sentinel else range(len(self._located))

    def open_from(self, text: str, start: int = 0) -> int:
        if not self._open:
            return start if self._located else len(text)
        base = max(0, start - BEHIND)
        if self.longest is not None:  # one character more: `\b` at the end of a match looks at it
            base = max(base, len(text) - self.longest - 1 - BEHIND)
        first = max(start, base + BEHIND if base else 0)
        encoded = _encoded(text[base:])
        where = _Places(encoded, base)
        at = where.byte_of(first)
        begun = min(self._first_begun(regex, encoded, at) for regex in self._open)
        if begun == len(encoded):
            return len(text)
        here = where.char_of(begun)
        return min(
            (span.start - span.led for span in self.find(text, start) if span.start - span.led < here < span.end), default=here
        )

    def _first_begun(self, regex: "re2._Regexp", encoded: bytes, at: int) -> int:
        match = regex.search(encoded, at)
        return len(encoded) if match is None else int(match.start())

    def _locate(self, each: _Located, encoded: bytes, first: int, where: "_Places", found: list[Span]) -> None:
        row, search = each.row, each.regex.search
        group = 1 if row.led else 0
        at, count = first, 0
        while (match := search(encoded, at)) is not None:
            begins, ends = match.span()
            start, end = match.span(group)
            if count == each.most:
                found.append(Span(where.char_of(begins), where.char_of(len(encoded)), row.kind))
                return
            size = -1 if start < end and not _within(row, encoded, start, end) else 0
            if size and row.check is not None:
                words = encoded[start:end].decode("utf-8", "replace")
                size = row.check(words)
                if 0 < size < len(words):
                    end = ends = start + len(words[:size].encode())
            if size:
                begun, start = where.char_of(begins), where.char_of(start)
                found.append(Span(start, where.char_of(end), row.kind, start - begun))
                count += 1
            elif row.again:
                ends = begins + 1
            at = _next(encoded, max(ends, at + 1))


def _within(row: Row, encoded: bytes, start: int, end: int) -> bool:
    """Whether what stands beside a match makes it part of something else."""
    return bool(
        (row.not_after and start and encoded[start - 1] in row.not_after)
        or (row.not_before and end < len(encoded) and encoded[end] in row.not_before)
        or (row.words and (_is_word(encoded[max(0, start - 4) : start], -1) or _is_word(encoded[end : end + 4], 0)))
    )


def _is_word(encoded: bytes, index: int) -> bool:
    """Whether the first or last of these characters is one of a word."""
    letters = encoded.decode("utf-8", "ignore")
    return bool(letters) and (letters[index].isalnum() or letters[index] == "_")


def _next(encoded: bytes, at: int) -> int:
    """The first byte of a character, from `at` on."""
    while at < len(encoded) and encoded[at] & 0xC0 == 0x80:
        at += 1
    return at


class _Places:
    """Characters for bytes of a text, asked for in order."""

    def __init__(self, encoded: bytes, base: int) -> None:
        self._encoded = encoded
        self._base = base
        self._plain = encoded.isascii()
        self._byte = self._char = 0

    def char_of(self, byte: int) -> int:
        if self._plain:
            return self._base + byte
        if byte < self._byte:
            self._byte = self._char = 0
        self._char += len(self._encoded[self._byte : byte].decode("utf-8", "replace"))
        self._byte = byte
        return self._base + self._char

    def byte_of(self, char: int) -> int:
        """At most `BEHIND` characters from the base, or a text's length: looked for from the front."""
        ahead = char - self._base
        return ahead if self._plain else len(self._encoded.decode("utf-8")[:ahead].encode())


def apart(spans: list[Span]) -> list[Span]:
    """In order, none over another: of two that overlap the later begins where the earlier ends, and nothing is left out.

    Of two over the same characters the first that is given is told.
    """
    if len(spans) < 2:
        return spans
    spans.sort(key=_by_place)
    if all(left.end <= right.start for left, right in pairwise(spans)):
        return spans
    kept: list[Span] = []
    end = 0
    for span in spans:
        if span.start >= end:
            kept.append(span)
        elif span.end > end:  # what led to it lies in the one before
            kept.append(Span(end, span.end, span.kind, end - span.start + span.led))
        end = max(end, span.end)
    return kept


def _by_place(span: Span) -> tuple[int, int]:
    return span.start, -span.end


def read(pattern: str) -> Node:
    """The structure of a pattern that can be used. Raises BadPattern for one that cannot."""
    _compiled(pattern)
    try:
        node = parsed(pattern)
    except ValueError as error:
        raise BadPattern(pattern, str(error)) from None
    if shortest(node) == 0:
        raise BadPattern(pattern, "it matches the empty text, and so every text; say what must be there")
    return node


_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LOOKAROUND: Final = ("(?=", "(?!", "(?<=", "(?<!")


def _compiled(pattern: str) -> "re2._Regexp":
    if "\\C" in pattern.replace("\\\\", ""):
        raise BadPattern(pattern, "`\\C` matches a byte, which may be part of a character; use `.` with the flag `s`")
    try:
        return re2.compile(pattern, _options())
    except re2.error as error:
        why = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
    except UnicodeEncodeError:
        why = "it holds half of a surrogate pair"
    if any(f"perl operator: {each}" in why for each in _LOOKAROUND):
        why += ". RE2, which never backtracks, has no lookaround; write what is to be found itself"
    elif "invalid escape sequence: \\" in why and why[-1].isdigit():
        why += ". RE2, which never backtracks, has no backreferences"
    raise BadPattern(pattern, why)


def _begun(texts: Sequence[str]) -> list["re2._Regexp"]:
    """Patterns of how matches begin: as few as RE2 can hold."""
    if not texts:
        return []
    try:
        return [_compiled(f"(?:{'|'.join(texts)})\\z")]
    except BadPattern:
        half = len(texts) // 2
        if not half:
            raise
        return [*_begun(texts[:half]), *_begun(texts[half:])]


def _together(patterns: Sequence[str]) -> tuple[Any, int]:
    """A set of patterns, and its last, which is always there; None where RE2 has not the memory for one."""
    found = re2.Set.SearchSet(_options())
    for pattern in patterns:
        found.Add(pattern)
    sentinel: int = found.Add("")  # where it is not found, the set ran out of memory, and says nothing of any
    try:
        found.Compile()
    except re2.error:
        return None, sentinel
    return found, sentinel


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MEMORY
    return options


def _encoded(text: str) -> bytes:
    """A lone surrogate, which is no text, becomes one character too."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text).encode()


def _shown(pattern: str) -> str:
    return repr(pattern if len(pattern) <= 60 else pattern[:57] + "...")


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a pattern is found in a text. Raises BadPattern."""
    regex = _compiled(pattern)
    return lambda text: regex.search(_encoded(text)) is not None
