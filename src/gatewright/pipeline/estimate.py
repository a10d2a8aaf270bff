"""How much a request will use at most, before anybody knows: what limits and budgets reserve.

One rule: what is meant for limits is near the truth, what is meant for money is above it. Both are settled with the truth.
"""

from typing import Final

from gatewright.dialects.forwarded import model_in_json
from gatewright.dialects.media_runs import SMALL_BYTES, media_in
from gatewright.exchange import Exchange
from gatewright.ir.blocks import DialectName
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.translate import Dialects

BYTES_A_TOKEN: Final = 4
MONEY_BYTES_A_TOKEN: Final = 2
"""Hardly any text has a token for fewer bytes; JSON around it, which is hardly any tokens, makes up for what has."""
OUTPUT: Final = 4096
"""Tokens of an answer where neither client nor configuration says how long it may be."""
KNOWN_OUTPUT: Final = 8192
"""A model's own longest answer is reserved if it is no longer than this; few answers come near a longer one."""
MOST_OUTPUT: Final = 10_000_000
MEDIA_TOKENS: Final = 1000
"""What an image or another file within a request is taken for."""
MEDIA_MONEY_TOKENS: Final = 3000
MEDIA_BYTES_A_TOKEN: Final = 50
"""For money: a long document is more than an image."""

_FETCHED: Final[dict[DialectName, tuple[bytes, ...]]] = {"gemini": (b'"fileUri"',), "bedrock_converse": (b'"s3Location"',)}
_FETCHED_ELSE: Final = (b'_url"', b'"file_id"', b'"url"')
"""Media that the provider fetches."""
_MARKS: Final[dict[DialectName, bytes]] = {"gemini": b"ileUri", "bedrock_converse": b"s3Location"}
"""Stands in every body that names some; in all other dialects a part with a type does."""


def input_tokens(body: bytes, dialect: DialectName) -> int:
    """About how many tokens are read."""
    media, size = media_in(body, dialect)
    return (len(body) - size) // BYTES_A_TOKEN + MEDIA_TOKENS * media + 1


def most_input_tokens(body: bytes, dialect: DialectName) -> int:
    """More than are read, but for what only the provider has: earlier turns that it keeps."""
    size = len(body)
    if size <= SMALL_BYTES and body.rfind(_MARKS.get(dialect, b'ype"')) < 0:  # as nearly all are
        return size // MONEY_BYTES_A_TOKEN + 1
    media, within = media_in(body, dialect)
    named = sum(body.count(word) for word in _FETCHED.get(dialect, _FETCHED_ELSE) if body.rfind(word) >= 0)
    most = max(MEDIA_MONEY_TOKENS * media, within // MEDIA_BYTES_A_TOKEN)
    return (size - within) // MONEY_BYTES_A_TOKEN + most + MEDIA_MONEY_TOKENS * named + 1


def may_be_dear(body: bytes) -> bool:
    """Whether it may ask for sound or for pictures, or to be served faster: then it has a word of that."""
    rfind = body.rfind  # from the end, because CPython searches a word there faster
    return (
        (rfind(b"ervice") >= 0 and (rfind(b"ervice_tier") >= 0 or rfind(b"erviceTier") >= 0))
        or rfind(b"udio") >= 0
        or rfind(b"mage") >= 0
        or rfind(b'"speed"') >= 0
        or rfind(b"odalities") >= 0
    )


def output_tokens(exchange: Exchange, dialects: Dialects) -> tuple[int, bool]:
    """How many the answer may have, and whether that is more than a guess."""
    dialect, call, narrowed = dialects[exchange.dialect], exchange.call, exchange.narrowed
    asked = dialect.asked_output(call)
    if narrowed is not None and narrowed.max_tokens is not None:
        asked = narrowed.max_tokens * dialect.asked_answers(call)
    if asked > 0:
        return min(MOST_OUTPUT, asked), True
    plan = exchange.plan
    known = first.max_tokens if plan and isinstance(first := plan[0], Candidate) else 0
    sure = 0 < known <= KNOWN_OUTPUT
    writes = (known if sure else OUTPUT) * dialect.asked_answers(call)
    return writes if writes < MOST_OUTPUT else MOST_OUTPUT, sure  # noqa: FURB136 - a call costs more than all the rest here


def model_asked(exchange: Exchange) -> str:
    """The name that limits of models go by; of what is forwarded it is not known yet."""
    if exchange.model or exchange.operation != "forward":
        return exchange.model
    return exchange.params[0] if exchange.dialect == "gemini" and exchange.params else model_in_json(exchange.call.body)
