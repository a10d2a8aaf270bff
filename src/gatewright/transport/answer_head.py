"""The head of an answer: its fields by their names, and what is too much of them. Pure.

https://www.rfc-editor.org/rfc/rfc9110#name-header-fields
"""

import re
from typing import Final

MAX_HEAD_BYTES: Final = 65536
"""Most bytes of an answer's head, 1xx heads before it included; also of trailers or chunk extensions with no body between."""
MAX_HEADERS: Final = 256
BODILESS: Final = frozenset({204, 304})
"""Statuses of answers that have no body, whatever their head says."""
_CODING: Final = re.compile(rb"\ncontent-encoding:[ \t]*([^\r\n]*)", re.IGNORECASE)
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")


class _Lower(dict[bytes, bytes]):
    """Names of headers in lower case, remembered: upstreams have few, and send them with every answer."""

    def __missing__(self, name: bytes) -> bytes:
        lower = name.lower()
        if len(self) < 4096:
            self[name] = lower
        return lower


_lower: Final = _Lower().__getitem__


def fields_of(seen: dict[bytes, bytes], size: int) -> dict[bytes, bytes]:
    """Names in lower case, the first of several. `seen`: as they came; `size`: bytes that have come. Raises ValueError."""
    if len(seen) > MAX_HEADERS:
        raise ValueError(f"more than {MAX_HEADERS} headers")
    if size > MAX_HEAD_BYTES and sum(len(name) + len(value) + 4 for name, value in seen.items()) > MAX_HEAD_BYTES:
        raise ValueError(f"a head of more than {MAX_HEAD_BYTES} bytes")
    fields = dict(zip(map(_lower, seen), map(bytes.rstrip, seen.values())))  # noqa: B905 - of one dict
    if len(fields) < len(seen):  # one name in two spellings: the first wins there too
        fields.clear()
        for name, value in seen.items():
            fields.setdefault(_lower(name), value.rstrip())
    return fields


def after_head(data: bytes) -> bytes:
    """What comes behind the head that ends in `data`."""
    return _END_OF_HEAD.split(data, 1)[-1]


def codings(raw: bytes) -> list[bytes]:
    """All values of `content-encoding` in a raw head: of fields of one name, `fields_of` has the first alone."""
    return [value.rstrip() for value in _CODING.findall(_END_OF_HEAD.split(raw, 1)[0])]
