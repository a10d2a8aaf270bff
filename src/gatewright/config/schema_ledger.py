"""The shape of what is written down of requests: the ledger, and the database behind it."""

from typing import Annotated, Literal

from pydantic import Field

from gatewright.config.section import Section


class LedgerSection(Section):
    """What is written down of every request: who, what, how many tokens, what it cost."""

    enabled: bool = True
    """False: nothing is, and there is no usage to be asked for."""
    retention_days: Annotated[int, Field(ge=1, le=36_500)] = 400
    """Age at which requests and attempts are removed; the sums of each hour stay."""
    journal_bytes: Annotated[int, Field(ge=1 << 20, le=1 << 40)] = 256 << 20
    """Most bytes, per worker, that wait for the database. When that is full, or the disk is, `on_failure` says what follows."""
    on_failure: Literal["refuse", "serve"] = "refuse"
    """What becomes of requests that cannot be written down: a 503 before anybody is called, or an answer that is not recorded."""
    fsync_ms: Annotated[int, Field(ge=0, le=60_000)] = 0
    """How often the disk is made to hold the journal, in milliseconds. 0: when the system sees fit; what a killed process wrote
    is safe in any case, and the last seconds before a loss of power are not."""
