"""The ledger of a gateway in a play: what was written down, brought to the tables by hand, and held to adding up."""

from collections.abc import Sequence

import sqlalchemy as sa

from gatewright.stores.ledger_check import disagreements
from gatewright.stores.ledger_tables import ATTEMPTS, IN_FLIGHT, REQUESTS

AXES = ("input", "cache_read", "output")


class Books:
    """All rows, as mappings, oldest first."""

    def __init__(self, requests: Sequence, attempts: Sequence, in_flight: Sequence) -> None:
        self.requests = requests
        self.attempts = attempts
        self.in_flight = in_flight

    @property
    def only(self):
        """The one request there is."""
        (row,) = self.requests
        return row

    def of(self, request) -> list:
        """A request's attempts."""
        return [row for row in self.attempts if row.request_id == request.id]


def books(gw) -> Books:
    """Everything that was written down until now. Fails where it does not add up."""
    ingest = gw.house.current.books.ingest
    engine = ingest.engine()
    if ingest.ledger.journal.is_open:
        while ingest._write(ingest._tail):
            pass
    assert list(disagreements(engine)) == []
    with engine.connect() as connection:
        found = [list(connection.execute(sa.select(table).order_by(table.c.at))) for table in (REQUESTS, ATTEMPTS, IN_FLIGHT)]
    engine.dispose()
    return Books(*found)


def tokens(row) -> tuple:
    """Read, read from a cache, written, and who says so."""
    return (*(getattr(row, axis) for axis in AXES), row.input_source, row.output_source)
