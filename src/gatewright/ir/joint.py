"""The text of a continuation joined to the text that is out: no words twice, no space lost between.

One rule: words that were asked for are dropped where they stand at the head; unasked, only a long repetition is one.
"""

from typing import Final

from gatewright.ir.continuing import Way

LEAST_OVERLAP: Final = 12
"""Characters that a continuation must repeat unasked before they are taken for a repetition."""
_LEADS: Final = " \t\r\n\"'`“”„‘’«»…"
"""What models put before words that they were asked to repeat."""
_CLOSING: Final = {'"': '"', "'": "'", "`": "`", "“": "”", "„": "“", "‘": "’", "«": "»"}
_SPACELESS: Final = 0x0E00
"""From Thai on, most scripts put no spaces between words."""


class Joint:
    """Joins the text of a continuation to the text that is out: drops what it repeats, mends the white space between.

    Text is held for as long as it may still be a repetition, and never for longer than what is out.
    """

    def __init__(self, before: str, way: Way = "prefill", anchor: str = "") -> None:
        """`before`: the text that is out. `anchor`: the words that the continuation was asked to begin with."""
        self._before = before
        self._anchor = anchor
        self._exact = way == "prefill"
        self._held = ""
        self.settled = not before or way == "again"
        """Whether what comes now goes out as it is."""
        self.shift = 0
        """Characters that the continuation's text is longer here than as it came (shorter: less than 0)."""

    def feed(self, text: str) -> str:
        """What may go out now."""
        if self.settled:
            return text
        self._held += text
        return self._decided(last=False)

    def close(self) -> str:
        """What was held, when no more comes."""
        return "" if self.settled else self._decided(last=True)

    def _decided(self, *, last: bool) -> str:
        new, before = self._held, self._before
        if not new.strip() and not last:
            return ""
        place = _behind(new, self._anchor) if self._anchor else -1
        if place == 0 and not last:
            return ""
        if place > 0:
            rest = new[place:]
            if not rest.strip() and not last:
                return ""
            return self._settle(self._spaced(rest, repeated=True))
        if not self._exact:
            if new in before and not last:
                return ""
            if repeated := _overlap(before, new):
                return self._settle(new[repeated:])
        return self._settle(self._spaced(new, repeated=self._exact))

    def _settle(self, text: str) -> str:
        self.shift = len(text) - len(self._held)
        self.settled, self._held = True, ""
        return text

    def _spaced(self, text: str, *, repeated: bool) -> str:
        """`text` with the white space that fits behind what is out. `repeated`: it says itself whether any belongs there."""
        said = self._before.rstrip()
        out = self._before[len(said) :]
        bare = text.lstrip()
        lead = text[: len(text) - len(bare)]
        if out:  # of its repetition only what goes beyond it
            if lead.startswith(out):
                return text[len(out) :]
            return bare if out.startswith(lead) or not bare else text
        if lead or repeated or not bare:
            return text
        return f" {bare}" if _are_words(said[-1:], bare[0]) else bare


def _behind(new: str, anchor: str) -> int:
    """The place in `new` behind the anchor at its head; 0 while only the anchor's beginning is there; -1: it is not there."""
    for lead in ("", _LEADS):
        form = new.lstrip(lead) if lead else new
        if form.startswith(anchor):
            place = len(new) - len(form) + len(anchor)
            quote = _CLOSING.get(new[len(new) - len(form) - 1 :][:1]) if len(form) < len(new) else None
            return place + 1 if quote is not None and new.startswith(quote, place) else place
        if anchor.startswith(form):
            return 0
    return -1


def _overlap(before: str, new: str) -> int:
    """Characters at the head of `new` that `before` ends with; the most, and none below `LEAST_OVERLAP`."""
    for size in range(min(len(before), len(new)), LEAST_OVERLAP - 1, -1):
        if before.endswith(new[:size]):
            return size
    return 0


def _are_words(before: str, after: str) -> bool:
    """Whether a space belongs between two characters: a fresh turn leaves out the one that it would begin with."""
    if ord(before) >= _SPACELESS or ord(after) >= _SPACELESS or not after.isalnum():
        return False
    return before.isalnum() or before in ".,;:!?)]"
