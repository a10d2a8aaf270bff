"""Kind `injection_hints`: signs that a text wants to instruct the model that reads it. As the name says: no proof, no shield.

    signs ─▶ each kind of them weighs once ─▶ sum ≥ `score`: all of them are found

One rule: what is encoded (base64, hexadecimal, invisible characters) is read once, and weighs where it scores itself.
"""

from base64 import b64decode
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from gatewright.guards.detect.injection_rows import ROWS, WEIGHTS
from gatewright.guards.detect.scan import Row, Scan, apart
from gatewright.guards.detect.settings import chosen, read
from gatewright.guards.rules import Compiled
from gatewright.guards.terms import Part, Span
from gatewright.jsontypes import JsonObject

PARTS: Final[frozenset[Part]] = frozenset(("user", "tool_result", "tool", "other"))
"""Who says what should be content. The system's own instructions are instructions."""
_TAGS: Final = Scan([Row("encoded", r"[\x{E0020}-\x{E007E}]{4,}")], followed=False)
_HEX: Final = Scan([Row("encoded", r"(?:[0-9a-fA-F]{2}){16,}")], followed=False)
_BLOB: Final = Scan([Row("encoded", r"[A-Za-z0-9+/_-]{32,}={0,2}")], followed=False)
_MOST_ENCODED: Final = 1 << 20
"""Characters of encoded text that are read. Beyond, it is a file."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    score: Annotated[int, msgspec.Meta(ge=1, le=20)] = 3
    """From which sum of weights on they count."""
    without: tuple[str, ...] = ()
    """Kinds of signs that weigh nothing."""


class Hints:
    """The detector. What it finds depends on the whole text."""

    def __init__(self, score: int, without: Sequence[str]) -> None:
        self._scan = Scan((row for row in ROWS if row.kind not in without), followed=False)
        self._score = score
        self._decodes = "encoded" not in without

    def find(self, text: str, start: int = 0) -> list[Span]:
        spans = self._scan.find(text, start)
        weight = weighed(spans)
        if self._decodes:
            encoded = [span for span in _encoded(text, start) if self._scores(span[1])]
            if encoded:
                spans = apart([*spans, *(span for span, _ in encoded)])
                weight += WEIGHTS["encoded"]
        return spans if weight >= self._score else []

    def open_from(self, text: str, start: int = 0) -> int:
        return min(start, len(text))

    def _scores(self, text: str) -> bool:
        return weighed(self._scan.find(text)) >= min(self._score, 3)


def weighed(spans: Sequence[Span]) -> int:
    """The sum of the weights of the kinds that are there."""
    return sum(WEIGHTS[kind] for kind in {span.kind for span in spans})


def _encoded(text: str, start: int) -> list[tuple[Span, str]]:
    """What is written in another form, and what it says."""
    found: list[tuple[Span, str]] = []
    left = _MOST_ENCODED
    for form, decode in ((_TAGS, _from_tags), (_HEX, _from_hex), (_BLOB, _from_base64)):
        for span in form.find(text, start):
            left -= span.end - span.start
            if left < 0:
                return found
            try:
                said = decode(text[span.start : span.end])
            except ValueError:  # not of that form: what is left after too many
                continue
            if said:
                found.append((span, said))
    return found


def _from_tags(words: str) -> str:
    return "".join(chr(ord(letter) - 0xE0000) for letter in words)


def _from_hex(words: str) -> str:
    return _readable(bytes.fromhex(words))


def _from_base64(words: str) -> str:
    body = words.rstrip("=").replace("-", "+").replace("_", "/")
    return _readable(b64decode(body[: len(body) // 4 * 4]))


def _readable(raw: bytes) -> str:
    """Text, or nothing where it is none. (UTF-16 is what PowerShell encodes.)"""
    if raw[1:2] == b"\0":
        raw = raw[0::2]
    if b"\0" in raw[:64]:
        return ""
    text = raw.decode("utf-8", "ignore")
    return text if len(text) * 2 > len(raw) else ""


def compiled(settings: JsonObject) -> Compiled:
    """Raises ValueError."""
    said = read(settings, Settings)
    without = chosen(said.without, WEIGHTS, "without")
    return Compiled(detector=Hints(said.score, without), whole=True, parts=PARTS, directions=frozenset(("request",)))
