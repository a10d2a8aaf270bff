"""Regular expressions of policies, by google-re2: linear in the text, whatever the pattern.

Invariant writes Python's `re`, whose lookahead its own examples use (`^(?!Peter$).*$`). A lookahead at the very beginning of an
alternative is the same as a second pattern that must (not) match there; that is how it is asked here. Any other lookaround, and
back references, are refused.

One rule: a pattern that cannot be said in these terms is an error with its place, never something that is nearly right.
https://github.com/google/re2/wiki/Syntax
"""

import re
from collections.abc import Iterator

import msgspec
import re2  # type: ignore[import-untyped]

from gatewright.invariant.policy.bounds import MAX_MARKS, MAX_PATTERN_CHARS
from gatewright.invariant.policy.faults import PolicyError, Spot

_MAX_MEMORY = 1 << 20
_FLAGS = re.compile(r"\(\?([aimsux]+)\)")
_FOREIGN = (
    (re.compile(r"(?<!\\)((?:\\\\)*)\\u([0-9a-fA-F]{4})"), r"\1\\x{\2}"),
    (re.compile(r"(?<!\\)((?:\\\\)*)\\U([0-9a-fA-F]{8})"), r"\1\\x{\2}"),
    (re.compile(r"(?<!\\)((?:\\\\)*)\\Z"), r"\1\\z"),
)
"""What Python spells otherwise."""
_LOOKAROUND = re.compile(r"\(\?(?:<?[=!])")


class _Alternative(msgspec.Struct, frozen=True):
    heads: tuple[tuple[bool, "re2._Regexp"], ...]
    """(must match, pattern): asked where the text begins."""
    rest: "re2._Regexp"


class Regex:
    """One pattern, ready to be asked. Immutable."""

    __slots__ = ("_alternatives", "_whole", "text")

    def __init__(self, text: str, alternatives: tuple[_Alternative, ...], whole: "re2._Regexp | None") -> None:
        self.text = text
        self._alternatives = alternatives
        self._whole = whole

    @property
    def size(self) -> int:
        """Of its programs, in RE2's instructions."""
        programs = [program for one in self._alternatives for program in (one.rest, *(head for _, head in one.heads))]
        return sum(program.programsize for program in programs)

    def __repr__(self) -> str:
        return f"Regex({self.text!r})"

    def starts(self, text: str) -> bool:
        """As `re.match`: from the beginning, to wherever it likes."""
        text = _encodable(text)
        return any(_heads_fit(one, text) and one.rest.match(text) is not None for one in self._alternatives)

    def fits(self, text: str) -> bool:
        """From the beginning to the end."""
        text = _encodable(text)
        return any(_heads_fit(one, text) and one.rest.fullmatch(text) is not None for one in self._alternatives)

    def find(self, text: str) -> Iterator[tuple[int, int]]:
        """Where it is found, in order. Not for patterns with a lookahead (`can_find`)."""
        assert self._whole is not None
        for number, found in enumerate(self._whole.finditer(_encodable(text))):
            if number >= MAX_MARKS:
                return
            yield found.start(), found.end()

    @property
    def can_find(self) -> bool:
        return self._whole is not None


def compile_regex(pattern: str, at: Spot, *, dot_all: bool = False) -> Regex:
    """Raises PolicyError with what re2 says of it."""
    if len(pattern) > MAX_PATTERN_CHARS:
        raise PolicyError(at, f"this pattern is too long: {len(pattern)} characters, at most {MAX_PATTERN_CHARS}")
    text, flags = pattern, "s" if dot_all else ""
    if found := _FLAGS.match(text):
        flags += "".join(flag for flag in found.group(1) if flag in "ims" and flag not in flags)
        if "x" in found.group(1):
            raise PolicyError(at, "the flag (?x) is not known here", "write the pattern without spaces and comments")
        text = text[found.end() :]
    for foreign, ours in _FOREIGN:
        text = foreign.sub(ours, text)
    alternatives = tuple(_alternative(one, flags, at) for one in _split(text))
    whole = None if any(one.heads for one in alternatives) else _compile(text, flags, at)
    return Regex(pattern, alternatives, whole)


def _alternative(text: str, flags: str, at: Spot) -> _Alternative:
    heads: list[tuple[bool, re2._Regexp]] = []
    rest = text.removeprefix("^")
    while rest.startswith(("(?=", "(?!")):
        end = _closing(rest)
        heads.append((rest[2] == "=", _compile(rest[3:end], flags, at)))
        rest = rest[end + 1 :].removeprefix("^")
    return _Alternative(tuple(heads), _compile(rest if heads else text, flags, at))


def _heads_fit(one: _Alternative, text: str) -> bool:
    return all((head.match(text) is not None) == wanted for wanted, head in one.heads)


def _compile(text: str, flags: str, at: Spot) -> "re2._Regexp":
    if _LOOKAROUND.search(re.sub(r"\\.", "", text)):
        raise PolicyError(
            at,
            "this pattern looks ahead or behind in its middle, which cannot be done in bounded time",
            "put the lookahead first, as in ^(?!.*@ourcompany\\.com$).*$, or write a condition with `not match(…)`",
        )
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        return re2.compile(f"(?{flags})(?:{text})" if flags else text, options)
    except re2.error as error:
        words = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        raise PolicyError(at, f"this is no pattern that google-re2 knows: {words}") from None
    except UnicodeEncodeError:
        raise PolicyError(at, "this pattern holds half a character (a lone surrogate)") from None


def _encodable(text: str) -> str:
    """The same places, without the half characters that UTF-8 cannot say."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _split(pattern: str) -> list[str]:
    """Alternatives at the top: `a|(b|c)` is two."""
    pieces: list[str] = []
    start = 0
    for pos, mark, depth in _marks(pattern):
        if mark == "|" and depth == 0:
            pieces.append(pattern[start:pos])
            start = pos + 1
    return [*pieces, pattern[start:]]


def _closing(pattern: str) -> int:
    """Where the group that begins at 0 ends; the pattern's end where it does not."""
    return next((pos for pos, mark, depth in _marks(pattern) if mark == ")" and depth == 0), len(pattern))


def _marks(pattern: str) -> Iterator[tuple[int, str, int]]:
    """Each bracket and bar outside of escapes and classes: where it stands, itself, and how many groups are open after it.

    A bracket too many makes fewer than none.
    """
    depth = pos = 0
    while pos < len(pattern):
        match pattern[pos]:
            case "\\":
                pos += 1
            case "[":
                pos = _end_of_class(pattern, pos)
            case "(" | ")" | "|" as mark:
                depth += (mark == "(") - (mark == ")")
                yield pos, mark, depth
        pos += 1


def _end_of_class(pattern: str, start: int) -> int:
    pos = start + 1
    if pattern.startswith("^", pos):
        pos += 1
    if pattern.startswith("]", pos):
        pos += 1
    while pos < len(pattern) and pattern[pos] != "]":
        pos += 2 if pattern[pos] == "\\" else 1
    return pos
