"""Whether any of many patterns stands in bytes.

Vectorscan looks at many bytes in one step: 210 KB of documents in 22 µs, for which RE2 takes 260. It says that something is there
and not where, which is all that nearly every trace is asked. What is found is then found again, and replaced, by RE2.

One rule: both say the same of everything. Where a processor cannot run Vectorscan, RE2 looks.
https://intel.github.io/hyperscan/dev-reference/compilation.html#pattern-support
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias, cast

import hyperscan
import re2  # type: ignore[import-untyped]

Look: TypeAlias = Callable[[bytes | bytearray], bool]
"""Used by one thread at a time."""


def look_for(patterns: Sequence[bytes]) -> Look:
    """`patterns`: of bytes, in what RE2 and Vectorscan have in common. Looking gives up the interpreter's lock."""
    try:
        return by_vectorscan(patterns)
    except hyperscan.error:
        return by_re2(patterns)


def by_vectorscan(patterns: Sequence[bytes]) -> Look:
    """Raises hyperscan.error."""
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    database.compile(
        expressions=list(patterns),
        ids=list(range(len(patterns))),
        elements=len(patterns),
        flags=[hyperscan.HS_FLAG_SINGLEMATCH] * len(patterns),  # each is told once
    )
    found: list[int] = []

    def note(number: int, *_where: object) -> None:
        found.append(number)

    def look(data: bytes | bytearray) -> bool:
        found.clear()
        database.scan(cast("bytes", data), match_event_handler=note)  # any buffer
        return bool(found)

    return look


def by_re2(patterns: Sequence[bytes]) -> Look:
    expression = re2.compile(b"|".join(patterns), byte_options())

    def look(data: bytes | bytearray) -> bool:
        return expression.search(data) is not None

    return look


def byte_options() -> re2.Options:
    """For patterns of bytes: one that is no UTF-8 is one that a key may stand behind."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 64 << 20
    options.encoding = re2.Options.Encoding.LATIN1
    return options
