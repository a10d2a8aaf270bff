"""`did you mean "openai"?`: near names for a name that nothing has."""

import difflib
from collections.abc import Iterable

MAX_LISTED = 12
"""More names than this help nobody in an error message."""


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name nearest to `name`, case aside; None when none is near."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def hint(name: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?`, or else what is known if that is short, or nothing. Goes at the end of a message."""
    names = sorted(set(known))
    if (best := near(name, names)) is not None:
        return f'; did you mean "{best}"?'
    return f"; known: {', '.join(names)}" if 0 < len(names) <= MAX_LISTED else ""
