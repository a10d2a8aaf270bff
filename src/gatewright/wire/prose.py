"""A long body that is mostly prose, read for a few of its fields, and its text checked with them.

Where a body is a few long strings, a reader that takes them in whole words at a time needs a third of what it takes to step over
them byte by byte, and has seen then that they are text. Where it is many short ones, it would make an object for each.
One rule: it takes no body that `msgspec` and `check_text` would refuse; what it does not take is for them to read and to judge.
"""

from typing import Final, TypeVar

import msgspec
from pydantic_core import from_json

_convert = msgspec.convert
T = TypeVar("T")

LONG: Final = 4096
"""Bytes from which on it is worth asking."""
MOST: Final = 256 << 10
"""Bytes up to which it is asked: a body of empty objects has no quotes either, and each of them would be made."""
_SAMPLE: Final = 512
_QUOTES: Final = 8
"""In both samples together, at most: 60 bytes to a string, its key included, would cost as much as the other way."""


def told(body: bytes, shape: type[T]) -> T | None:
    """The fields of `shape` that a JSON object has; all of its strings are text in Unicode then. None: read it otherwise.

    Of a field that comes twice, the last counts, as for `msgspec`; which looks at what the one before is, too.
    """
    size = len(body)
    if not LONG <= size <= MOST:
        return None
    third = size // 3
    if body.count(b'"', third, third + _SAMPLE) + body.count(b'"', 2 * third, 2 * third + _SAMPLE) > _QUOTES:
        return None
    try:
        return _convert(from_json(body, allow_inf_nan=False, cache_strings="keys"), shape)
    except (ValueError, RecursionError, msgspec.DecodeError):
        return None
