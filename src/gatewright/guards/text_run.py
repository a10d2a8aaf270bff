"""Blocks of text that stand side by side in a stream: one text in one window, and where each block begins in it.

One rule: a match is told where it begins, in that block's own characters.
"""

from gatewright.guards.adjacent import index_at
from gatewright.guards.window import Hit, Window


class TextRun:
    """Blocks that nothing stands between."""

    __slots__ = ("_indices", "_starts", "window")

    def __init__(self, window: Window) -> None:
        self.window = window
        self._starts: list[int] = []
        self._indices: list[int] = []

    def begins(self, index: int) -> Window:
        """A block's text begins here: the window it goes through."""
        self._starts.append(self.window.end)
        self._indices.append(index)
        return self.window

    def place(self, hit: Hit) -> tuple[str, int, int]:
        """The text in which it begins, and what of it is there: from, to."""
        i = index_at(self._starts, hit.start)
        upto = self._starts[i + 1] if i + 1 < len(self._starts) else hit.end
        return f"blocks[{self._indices[i]}].text", hit.start - self._starts[i], min(hit.end, upto) - self._starts[i]
