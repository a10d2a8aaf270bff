"""How traces are kept, as configured."""

import msgspec

from gatewright.jsontypes import JsonObject
from gatewright.record.trace_capture import MAX_BODY_BYTES


class TraceRule(msgspec.Struct, frozen=True, kw_only=True):
    enabled: bool = False
    sample: float = 1.0
    """Share of the traces that are kept; errors and findings always are."""
    max_body_bytes: int = MAX_BODY_BYTES
    """Of each body."""
    keep_s: float = 30 * 86_400
    max_bytes: int = 10 << 30
    """0: no bound."""
    encrypt: bool = False
    index_share: float = 0.05
    """Of a core. 0: nothing is read in the background."""
    queue_size: int = 10_000
    """Exchanges, per worker, that wait to be written."""
    queue_bytes: int = 256 << 20
    """… and what they hold on to."""
    headers: tuple[str, ...] = ()
    """Kept beside those that always are."""
    redact: tuple[tuple[str, JsonObject], ...] = ()
    """What is replaced beside credentials: kinds of rules with their settings, which have been tried."""
