"""What goes into the ledger's tables in one transaction, as plain values: no SQL, so that nothing is loaded for it."""

from typing import Final, TypeAlias

import msgspec

Row: TypeAlias = tuple[str | int | None, ...]
"""In the order of the table's columns."""

AXES: Final = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "output", "reasoning", "audio_out")
"""Of tokens, disjoint, as in `ir.response.Usage`: the first `READ` are read, the others written."""
READ: Final = 5

DIMENSIONS: Final = (
    "hour", "key_id", "key_name", "user", "team", "organization", "operation", "route", "provider", "model",
    "status_class", "cache",
)  # fmt: skip
"""By what rollups are told apart. `status_class` is 2 for 200, and so on; 0: interrupted. All are the request's, but provider and
model, which are those of each attempt: a request is counted where it was answered, and what an attempt cost, where it was made.
"""
MEASURES: Final = (
    "requests", "errors", "interrupted", "streams", "attempts", "failed", *AXES, "estimated", "cost_micros", "unknown", "took_us",
    "ttft_us", "ttfts",
)  # fmt: skip
"""What rollups add up: `estimated` and `unknown` are attempts whose tokens were, and whose cost is; `ttfts` requests with one."""


class InFlight(msgspec.Struct, frozen=True, kw_only=True):
    """A request that has begun and is not settled."""

    id: str
    at: int
    key_id: str
    key_name: str
    user: str
    team: str
    organization: str
    operation: str
    route: str
    asked: str
    provider: str
    model: str
    client: str
    upstream: str
    stream: int
    input: int | None
    reserved: int | None


class Mark(msgspec.Struct, frozen=True, order=True):
    """How far a journal is read."""

    segment: int = 0
    position: int = 0


class Batch(msgspec.Struct, kw_only=True):
    journal: str
    requests: list[Row] = []
    attempts: list[Row] = []
    rollups: dict[tuple[object, ...], list[int]] = {}
    """By dimensions: what is added to each measure."""
    in_flight: list[InFlight] = []
    landed: list[str] = []
    """Ids of those that are in flight no more."""

    def __len__(self) -> int:
        return len(self.requests) + len(self.in_flight) + len(self.landed)
