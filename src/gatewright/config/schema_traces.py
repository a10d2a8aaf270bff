"""The shape of what is kept of exchanges: traces."""

from typing import Annotated

from pydantic import Field, JsonValue

from gatewright.config.schema_invariant import ExplorerSection
from gatewright.config.schema_otlp import OtlpSection
from gatewright.config.section import Name, Section, Share


class TracesSection(Section):
    """Whether whole exchanges are kept, bodies and all, to be searched, shown, exported and replayed. See docs/traces.md."""

    enabled: bool = False
    """True: bodies of requests and answers are written down. Without it the ledger has who, when, how much and what it cost."""
    sample: Share = 1.0
    """Share of the traces that is kept, by whole sessions. Errors and what guards have found always are."""
    max_body_bytes: Annotated[int, Field(ge=1 << 10, le=1 << 30)] = 1 << 20
    """Of each body: what is beyond is cut off, and the trace says so."""
    retention_days: Annotated[float, Field(gt=0, le=36_500)] = 30
    """Age at which traces are removed."""
    max_bytes: Annotated[int, Field(ge=0, le=1 << 50)] = 10 << 30
    """Most bytes of bodies, compressed, in the database; beyond that the oldest traces go. 0: no bound."""
    encrypt: bool = False
    """Whether bodies are encrypted by the gateway's secret key. Then no words of theirs are in the index of the search."""
    index_share: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of a core that is spent on reading traces for the search and for sessions, in a process of its own. 0: none."""
    queue_size: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Exchanges, per worker, that wait to be written; more are answered as ever, and counted as dropped."""
    queue_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 40)] = 256 << 20
    """Most bytes that they hold on to."""
    headers: list[Name] = []
    """Headers of clients that are kept beside those that always are. None that holds a credential."""
    redact: list[dict[str, JsonValue]] = []
    """What is replaced beside credentials, before anything is written: kinds of rules as in `guards`, such as `{kind: pii}`."""
    otlp: OtlpSection | None = None
    """Where each trace is sent to as it ends, as OpenTelemetry spans. With `enabled: false` traces are sent and not kept."""
    explorer: ExplorerSection | None = None
    """Where each conversation is pushed to as it ends: an Explorer of Invariant's. With `enabled: false` none is kept."""
