"""How much of a request's body is media written out in it, told without reading it: for estimates.

Looking for long runs of base64 costs a millisecond for 50 KB, and most large bodies are words alone; so the one word that stands
beside such media is looked for first, which costs a hundredth of that.
"""

import re
from typing import Final

from gatewright.ir.blocks import DialectName

SMALL_BYTES: Final = 8 << 10
"""A body up to here holds no media worth speaking of."""
_LONG_RUN: Final = re.compile(rb"[A-Za-z0-9+/=_-]{1024,}")
_BESIDE: Final[dict[DialectName, tuple[bytes, ...]]] = {
    "openai_chat": (b"base64", b"_audio"),
    "openai_responses": (b"base64",),
    "anthropic": (b"base64",),
    "gemini": (b"nline",),  # inlineData, inline_data
    "bedrock_converse": (b'"bytes"',),
}


def media_in(body: bytes, dialect: DialectName) -> tuple[int, int]:
    """How many media are written out in a body, and their bytes."""
    # From the end, because CPython searches a word there faster.
    if len(body) <= SMALL_BYTES or all(body.rfind(word) < 0 for word in _BESIDE[dialect]):
        return 0, 0
    media = size = 0
    for run in _LONG_RUN.finditer(body):
        media += 1
        size += run.end() - run.start()
    return media, size
