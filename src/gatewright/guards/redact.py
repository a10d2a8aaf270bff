"""Redaction: placeholders that stand for what was found, and the way back.

    ann@example.com ─▶ <email_1> ─▶ provider ─▶ "Dear <email_1>" ─▶ "Dear ann@example.com"

One rule: within one exchange the same words get the same placeholder, and no placeholder is one that the conversation says
already. Only what a rule wants brought back is remembered.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

_ANY: Final = re.compile(r"<[a-z0-9_]{1,40}_[0-9]{1,9}>")
_KIND: Final = re.compile(r"[^a-z0-9]+")
LONGEST: Final = 52
"""Characters of a placeholder."""


class Redactor:
    """One exchange's placeholders."""

    __slots__ = ("_by_words", "_counts", "_taken", "originals")

    def __init__(self) -> None:
        self._by_words: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._taken: set[str] = set()
        self.originals: dict[str, str] = {}
        """Placeholder → what it stands for, of those that are to come back."""

    def avoid(self, texts: Iterable[str]) -> None:
        """What looks like a placeholder in these is somebody's own word."""
        for text in texts:
            if "<" in text:
                self._taken.update(_ANY.findall(text))

    def replace(self, kind: str, words: str, *, reversible: bool) -> str:
        """The placeholder for `words`."""
        shown = _KIND.sub("_", kind.lower()).strip("_")[:40] or "redacted"
        known = self._by_words.get((shown, words))
        if known is None:
            known = self._fresh(shown)
            self._by_words[shown, words] = known
        if reversible:
            self.originals[known] = words
        return known

    def _fresh(self, kind: str) -> str:
        while True:
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
            placeholder = f"<{kind}_{count}>"
            if placeholder not in self._taken:
                return placeholder


class Restorer:
    """Puts originals back in a text that comes in pieces. Holds back no more than what may still become a placeholder."""

    __slots__ = ("_held", "_originals", "_starts")

    def __init__(self, originals: Mapping[str, str]) -> None:
        self._originals = originals
        self._starts = {placeholder[:i] for placeholder in originals for i in range(1, len(placeholder))}
        self._held = ""

    @property
    def held(self) -> int:
        """Characters that wait for what follows."""
        return len(self._held)

    def feed(self, text: str) -> str:
        text = self._held + text
        last = text.rfind("<", max(0, len(text) - LONGEST))
        self._held = text[last:] if last >= 0 and text[last:] in self._starts else ""
        return restored(text[: len(text) - len(self._held)], self._originals)

    def close(self) -> str:
        """The rest, at the end of the text."""
        held, self._held = self._held, ""
        return held


def restored(text: str, originals: Mapping[str, str]) -> str:
    """The text with every placeholder replaced by what it stands for."""
    if not originals or "<" not in text:
        return text
    return _ANY.sub(lambda found: originals.get(found[0], found[0]), text)
