"""From the configuration to the books: the ledger that requests are written to, and the thread that brings it to the database."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from gatewright.config import Config
from gatewright.record.ingest import Ingest
from gatewright.record.ledger import Ledger
from gatewright.record.rows import Pricer, unpriced
from gatewright.record.usage import UsageCounter
from gatewright.reporting import Reporter
from gatewright.transport.turn import before_leaving

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

JOURNALS: Final = "journal"
"""The folder of all workers' journals, in the state folder."""
DATABASE: Final = "gatewright.db"
"""The file in the state folder, where no database is configured."""


class Books(msgspec.Struct, frozen=True, eq=False):
    """One for all generations: what is written down does not depend on what is configured now."""

    usage: UsageCounter
    """What requests are told to: the ledger, or counters alone."""
    ingest: Ingest | None
    reports: Reporter
    """Who tells what was used."""

    def start(self) -> None:
        """Idempotent."""
        if self.ingest is not None:
            self.ingest.ledger.open()
            self.ingest.start()

    def close(self) -> None:
        """After the last answer. Blocks, for `ingest.CLOSING_S` at most."""
        self.reports.close()
        if self.ingest is not None:
            self.ingest.close()


def books_of(config: Config, price: Pricer = unpriced) -> Books:
    journals = Path(config.server.state_dir) / JOURNALS
    reports = Reporter(lambda: database_of(config), journals, price)
    if not config.ledger.enabled:
        return Books(UsageCounter(), None, reports)
    ledger = Ledger(journals, config.ledger, together=before_leaving)
    return Books(ledger, Ingest(ledger, lambda: database_of(config), price), reports)


def database_of(config: Config) -> "Engine":
    """Nothing is connected yet. Raises BadDatabase."""
    from gatewright.stores.sql import engine_of, sqlite_url  # noqa: PLC0415 - takes its time

    if config.database is not None:
        return engine_of(config.database.reveal())
    return engine_of(sqlite_url(database_file(config)))


def database_file(config: Config) -> Path:
    """Where it is, where none is configured."""
    return Path(config.server.state_dir) / DATABASE
