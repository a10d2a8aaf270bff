"""What the journal says of a request: that it has begun, and how it was settled.

One rule: an entry holds what only this moment knows; whatever can be worked out of it is worked out later (`rows.py`), where
nobody waits. Written by every request, so the fields have no names; a new one comes last and has a default. What is written
together is one record: a list of entries, some of which their writer makes as tuples, for that is quickest.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, TypeAlias

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


class Went(msgspec.Struct, array_like=True, tag="w", gc=False):
    """How most requests are settled: one attempt, which went well. Figures as they were measured: `settled_of` makes the rest."""

    id: str
    came_s: float
    """Seconds since 1970."""
    took_s: float
    who: msgspec.Raw
    operation: str
    route: str
    asked: str
    client: str
    stream: bool
    status: int
    cache: str
    reserved: int | None
    served: str
    target: str
    dialect: str
    after_s: float
    """From the request's coming to the attempt's beginning."""
    lasted_s: float
    """The attempt."""
    waited_s: float
    told: int
    """The status of the upstream's answer."""
    stage: str
    ttft_s: float | None
    usage: tuple[Figure | None, ...]
    tier: str | None
    cost: int | None
    price_source: str
    price_date: str
    raw: JsonObject


Entry: TypeAlias = Begun | Settled


class Several(msgspec.Struct, array_like=True, tag="m", gc=False):
    """What was written together."""

    entries: list[Begun | Settled | Went]


SEVERAL: Final = "m"
BEGUN: Final = "b"
WENT: Final = "w"
"""What tuples begin with that are written as `Several`, `Begun` and `Went`."""


def settled_of(went: Went) -> Settled:
    """The same, as of any request."""
    tried = Tried(
        went.target,
        went.dialect,
        int(went.after_s * 1e6),
        int(went.lasted_s * 1e6),
        int(went.waited_s * 1e6),
        went.told,
        went.stage,
        "",
        "",
        SENT,
        None if went.ttft_s is None else int(went.ttft_s * 1e6),
        went.usage,
        went.tier or "",
        -1,
        -1,
        went.cost,
        went.price_source,
        went.price_date,
        None if went.price_source else went.raw,
    )
    return Settled(
        went.id,
        int(went.came_s * 1e6),
        went.who,
        went.operation,
        went.route,
        went.asked,
        went.client,
        went.stream,
        went.status,
        "ok",
        "",
        went.cache,
        (),
        int(went.took_s * 1e6),
        went.reserved,
        went.served,
        [tried],
    )


def _raise(error: msgspec.DecodeError) -> None:
    raise error


def read(payload: bytes, unread: Callable[[msgspec.DecodeError], None] = _raise) -> list[Entry]:
    """The entries of one record, in order. `unread` is told of each that is none, such as another version's."""
    try:
        found = DECODER.decode(payload)
    except msgspec.ValidationError:
        return _apart(payload, unread)
    except msgspec.DecodeError as error:
        unread(error)
        return []
    if isinstance(found, Several):
        return [settled_of(one) if isinstance(one, Went) else one for one in found.entries]
    return [settled_of(found) if isinstance(found, Went) else found]


def _apart(payload: bytes, unread: Callable[[msgspec.DecodeError], None]) -> list[Entry]:
    """Each by itself, without the figures that are none."""
    found: list[Entry] = []
    for one in _each(msgspec.msgpack.decode(payload)):
        try:
            if one[0] == WENT:
                one[_WENT_USAGE] = _figures(one[_WENT_USAGE])
            elif one[0] == "s":
                for tried in one[-1]:
                    tried[_USAGE] = _figures(tried[_USAGE])
            entry = DECODER.decode(ENCODER.encode(one))
        except msgspec.DecodeError as error:
            unread(error)
            continue
        except (TypeError, LookupError) as error:
            unread(msgspec.DecodeError(f"no entry: {error}"))
            continue
        if not isinstance(entry, Several):
            found.append(settled_of(entry) if isinstance(entry, Went) else entry)
    return found


def _each(document: object) -> Sequence[Any]:
    match document:
        case ["m", [*several]]:
            return several
        case _:
            return [document]


def _figures(usage: list[object] | None) -> list[object] | None:
    return None if usage is None else [n if isinstance(n, int) and 0 <= n < 1 << 53 else None for n in usage]


_USAGE = Tried.__struct_fields__.index("usage")
_WENT_USAGE = Went.__struct_fields__.index("usage") + 1
DECODER: msgspec.msgpack.Decoder[Begun | Settled | Went | Several] = msgspec.msgpack.Decoder(Begun | Settled | Went | Several)
ENCODER = msgspec.msgpack.Encoder()
