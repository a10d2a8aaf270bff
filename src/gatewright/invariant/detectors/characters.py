"""`unicode(text, categories)`: characters of Unicode's general categories.

One rule: runs of one category are one find; asked for nothing, everything is found.
https://www.unicode.org/reports/tr44/#General_Category_Values
"""

import re
from collections.abc import Collection, Iterator
from itertools import groupby
from unicodedata import category

_FEW = 64
"""Characters of a set that is looked for at once."""
CATEGORIES = frozenset(
    (
        *("Cc", "Cf", "Cn", "Co", "Cs", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl", "No"),
        *("Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs"),
    )
)


def find_categories(text: str, wanted: Collection[str] = ()) -> Iterator[tuple[str, int, int]]:
    """(category, start, end) of every run."""
    if wanted:  # most texts hold none of what is looked for, and a text has few different characters
        there = {character for character in set(text) if category(character) in wanted}
        if not there:
            return
        if len(there) <= _FEW:
            for run in re.finditer(f"[{re.escape(''.join(there))}]+", text):
                yield from _runs(run.group(), run.start())
            return
    yield from ((word, start, end) for word, start, end in _runs(text, 0) if not wanted or word in wanted)


def _runs(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    for word, run in groupby(text, category):
        end = start + sum(1 for _ in run)
        yield word, start, end
        start = end
