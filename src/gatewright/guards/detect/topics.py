"""Kind `topics`: words and phrases that are not to be spoken of, whatever their case and accents, as whole words.

One rule: what is written is meant: `Zürich` and `zurich` are one, `art` is not in `party`. A star at the end of a word stands for
its endings. No meaning is understood: who says it in other words is not heard.
"""

import re
import unicodedata
from functools import cache
from typing import Final

import msgspec

from gatewright.guards.detect.scan import Row, Scan
from gatewright.guards.detect.settings import read, wrong
from gatewright.guards.rules import Compiled
from gatewright.jsontypes import JsonObject

_LETTERS: Final = ((0x00C0, 0x0250), (0x0370, 0x0530), (0x1E00, 0x2000))
"""Latin, Greek and Cyrillic letters with marks."""
_SPECIAL: Final = {"o": "øØ", "l": "łŁ", "d": "đĐð", "i": "ıİ", "ss": "ßẞ", "ae": "æÆ", "oe": "œŒ"}
_PLAIN: Final = str.maketrans({letter: plain for plain, letters in _SPECIAL.items() for letter in letters})
_MARKS: Final = r"\pM{0,3}"
_ENDING: Final = r"[\pL\pM\pN]{0,32}"
_GAP: Final = r"[\s\pP_]{1,4}"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    topics: dict[str, tuple[str, ...]] = {}
    """Name → its words and phrases. Findings are called by the name."""
    phrases: tuple[str, ...] = ()
    """Words and phrases of no particular topic."""


def compiled(settings: JsonObject) -> Compiled:
    """Raises ValueError."""
    said = read(settings, Settings)
    rows = [_row("topic", phrase, f"phrases[{index}]") for index, phrase in enumerate(said.phrases)]
    for name, phrases in said.topics.items():
        rows += [_row(name, phrase, f"topics.{name}[{index}]") for index, phrase in enumerate(phrases)]
    if not rows:
        raise wrong("topics", "at least one phrase is needed")
    scan = Scan(rows)
    return Compiled(detector=scan, longest=scan.longest)


def _row(kind: str, phrase: str, path: str) -> Row:
    words = re.split(r"[\s_-]+", phrase.strip())
    if not words[0]:
        raise wrong(path, "a phrase must not be empty")
    if any("*" in word[:-1] or word == "*" for word in words):
        raise wrong(path, f"in {phrase!r} a star may only end a word")
    return Row(kind, _GAP.join(map(_word, words)), words=True, again=True)


def _word(word: str) -> str:
    bare = "".join(
        letter for letter in unicodedata.normalize("NFD", word.casefold().translate(_PLAIN)) if not unicodedata.combining(letter)
    )
    written = [next((pair for pair in (bare[index : index + 2],) if pair in _SPECIAL), bare[index]) for index in range(len(bare))]
    out: list[str] = []
    skip = False
    for letters in written:
        if skip:
            skip = False
        elif letters == "*":
            out.append(_ENDING)
        elif len(letters) == 2:
            out.append(f"(?:{_one(letters[0])}{_one(letters[1])}|[{_SPECIAL[letters]}])")
            skip = True
        else:
            out.append(_one(letters))
    return "".join(out)


def _one(letter: str) -> str:
    """A letter in every case and under every mark."""
    if not letter.isalpha():
        return re.escape(letter)
    every = _marked().get(letter, "") + _SPECIAL.get(letter, "")
    return f"(?i:[{letter}{every}]){_MARKS}"


@cache
def _marked() -> dict[str, str]:
    """Letter → the same with marks, where each is one character."""
    found: dict[str, str] = {}
    for start, end in _LETTERS:
        for number in range(start, end):
            letter = chr(number)
            bare = unicodedata.normalize("NFD", letter)
            if len(bare) > 1:
                base = bare[0].casefold()
                found[base] = found.get(base, "") + letter
    return found
