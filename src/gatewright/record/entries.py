"""What the journal says of a request: that it has begun, and how it was settled.

One rule: an entry holds what only this moment knows; whatever can be worked out of it is worked out later (`rows.py`), where
nobody waits. Written by every request, so the fields have no names; a new one comes last and has a default.
"""

from typing import Annotated, TypeAlias

import msgspec

from gatewright.jsontypes import JsonObject

Figure: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
"""What a provider tells of its own counting may be anything; a column takes no more."""
SEARCHES = "web_searches"
"""In `Tried.raw`: `Usage.searches`."""
SENT, HEDGE, RESUMED = 1, 2, 4
"""The bits of `Tried.marks`."""


class Who(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Whose request it was."""

    key_id: str
    key_name: str
    user: str = ""
    team: str = ""
    organization: str = ""


class Begun(msgspec.Struct, array_like=True, tag="b", gc=False):
    """Written before the first byte of a request goes to an upstream."""

    id: str
    at: int
    """Microseconds since 1970, when the request came."""
    who: msgspec.Raw
    """`Who`; the same bytes for every request of a key."""
    operation: str
    route: str
    asked: str
    client: str
    upstream: str
    """Dialect."""
    stream: bool
    target: str
    """`provider/model`."""
    input: int
    """Tokens: an estimate."""
    reserved: int | None
    """Micro-dollars."""


class Tried(msgspec.Struct, array_like=True, gc=False):
    """One attempt."""

    target: str
    dialect: str
    after_us: int
    """From the request's coming to its beginning."""
    took_us: int
    waited_us: int
    status: int
    stage: str
    cause: str
    message: str
    marks: int
    """`SENT`, `HEDGE`, `RESUMED`, added up."""
    ttft_us: int | None
    usage: tuple[Figure | None, ...] | None
    """In the order of `stores.ledger_rows.AXES`. None: the upstream told nothing."""
    tier: str
    input: int
    """Tokens: an estimate, where usage was not told to the end. -1: it was."""
    output: int
    cost: int | None = None
    """Micro-dollars, where somebody has asked."""
    price_source: str = ""
    price_date: str = ""
    raw: JsonObject | None = None
    """What the upstream told, for who works out the cost later."""


class Settled(msgspec.Struct, array_like=True, tag="s", gc=False):
    """Written before the last byte of an answer goes to the client."""

    id: str
    at: int
    who: msgspec.Raw
    operation: str
    route: str
    asked: str
    client: str
    stream: bool
    status: int
    outcome: str
    """`ok`, `error`, `left`."""
    error: str
    cache: str
    lost: tuple[str, ...]
    took_us: int
    reserved: int | None
    served: str
    """`provider/model`."""
    attempts: list[Tried]


Entry: TypeAlias = Begun | Settled


def read(payload: bytes) -> Entry:
    """One entry. Raises msgspec.DecodeError for what is none, such as another version's."""
    try:
        return DECODER.decode(payload)
    except msgspec.ValidationError:
        document = msgspec.msgpack.decode(payload)
        if isinstance(document, list) and document and document[0] == "s":
            for tried in document[-1]:
                if isinstance(tried, list) and isinstance(tried[_USAGE], list):
                    tried[_USAGE] = [n if isinstance(n, int) and 0 <= n < 1 << 53 else None for n in tried[_USAGE]]
        return DECODER.decode(ENCODER.encode(document))


_USAGE = Tried.__struct_fields__.index("usage")
DECODER: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)
ENCODER = msgspec.msgpack.Encoder()
