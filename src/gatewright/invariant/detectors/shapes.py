"""Named shapes, all looked for in one pass of RE2, whose cost is the text's length.

One rule: places count characters, also in a text that UTF-8 cannot say.
"""

from collections.abc import Iterator, Sequence

import re2  # type: ignore[import-untyped]


class Shapes:
    """(name, pattern) rows; a name may have several. The first row that fits where a match begins names it."""

    def __init__(self, rows: Sequence[tuple[str, str]]) -> None:
        self._names = tuple(name for name, _ in rows)
        options = re2.Options()
        options.log_errors = False
        self._any = re2.compile("(?i)" + "|".join(f"(?P<_{number}>{shape})" for number, (_, shape) in enumerate(rows)), options)

    def find(self, text: str) -> Iterator[tuple[str, int, int]]:
        """(name, start, end), in order, not overlapping."""
        readable = text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
        for found in self._any.finditer(readable):
            yield self._names[int(found.lastgroup[1:])], found.start(), found.end()
