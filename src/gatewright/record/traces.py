"""Traces, for whoever reads, exports or replays them: the terms (`stores/trace_terms.py`), and who is given each as it ends.

    capture ─▶ queue ─▶ one thread: redact ─▶ every TraceSink: the store, OTLP, Explorer

One rule: a sink sees what is redacted, in the recording thread, and has its own queue if it must wait for anybody.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from gatewright.stores.trace_document import Documents, whole
from gatewright.stores.trace_terms import (
    LEGS,
    BadCursor,
    Fields,
    Hit,
    Hits,
    LegName,
    Link,
    Message,
    Page,
    Trace,
    TracedAttempt,
    TracedLoss,
    TraceFilter,
    TraceStore,
    TraceSummary,
    UpstreamCall,
)

__all__ = [
    "LEGS", "NONE", "BadCursor", "Batch", "Fields", "Hit", "Hits", "LegName", "Link", "Message", "Page", "Trace", "TraceFilter",
    "TraceSink", "TraceStore", "TraceSummary", "TracedAttempt", "TracedLoss", "UpstreamCall",
]  # fmt: skip


class Batch(msgspec.Struct, frozen=True):
    """Some that have ended, the oldest first, as they are written (`stores/trace_document.py`)."""

    traces: Sequence[Trace]
    documents: Documents
    """Theirs. Until `take` is over: their memory is the next batch's, too."""

    def whole(self) -> list[Trace]:
        """The traces with all bytes of each leg."""
        return [whole(trace) for trace in self.traces]


NONE: Final = Batch((), Documents())


class TraceSink(Protocol):
    """Somebody who is given every trace as it ends."""

    def take(self, batch: Batch) -> None:
        """Called by one thread. Must not wait for a network. May raise: the log tells."""
        ...

    # A sink with a method `begin` is called once, before all else. One with an attribute `waits` that is true is called with
    # `NONE`, too, when it was given what there was, and every while when nothing came.

    def close(self) -> None:
        """Nothing more comes. May wait a moment to finish."""
        ...
