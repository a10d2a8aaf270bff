"""How much of an answer was told, where the upstream did not get to say: an estimate in tokens.

What passes is not parsed: its bytes are counted, and a sample of the last of them says how many of such bytes are text. One rule:
this is worked out only when a stream has ended without its usage.
"""

from collections.abc import Sequence
from typing import Final

from gatewright.dialects.protocol import Dialect
from gatewright.ir.events import ArgumentsDelta, ReasoningDelta, StreamEvent, TextDelta
from gatewright.ir.request import Asked

CHARACTERS: Final = 4
"""Of a token, about."""
ENVELOPE: Final = 200
"""Bytes of an event that carries a token, where the sample says nothing."""
SAMPLE: Final = 64 << 10


def said(events: Sequence[StreamEvent]) -> int:
    """Characters that the model has written in these."""
    return sum(len(event.text) for event in events if isinstance(event, TextDelta | ReasoningDelta | ArgumentsDelta))


def tokens(characters: int) -> int:
    """At least one, where anything was said."""
    return -(-characters // CHARACTERS)


def tokens_passed(passed: int, sample: bytes, dialect: Dialect) -> int:
    """Of a stream of which so many bytes have passed. `sample`: whole events of it."""
    sample = sample[-SAMPLE:].lstrip(b",\r\n ")  # of Gemini's array: what parts one from the next comes with the next
    if not sample:
        return 0
    try:
        characters = said(dialect.stream_parser(Asked()).feed(sample))
    except Exception:  # noqa: BLE001 - half an event, or one that goes on from one before: the guess stands without it
        characters = 0
    if characters == 0:
        return max(1, passed // ENVELOPE)
    return max(1, round(passed / len(sample) * characters / CHARACTERS))
