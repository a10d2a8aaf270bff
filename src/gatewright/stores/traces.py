"""Traces in a database: a file of SQLite in the state folder, or a PostgreSQL that several gateways share.

    open_traces("/var/lib/gatewright")                 the file `traces.db` in it
    open_traces("postgresql://user@host/name")

One rule: whoever reads needs no gateway, and does not disturb one that runs.
"""

from pathlib import Path
from typing import Final

from gatewright.stores.sealed import Sealer
from gatewright.stores.sql import engine_of, sqlite_url
from gatewright.stores.trace_blobs import PURPOSE, Packer
from gatewright.stores.traces_sql import SqlTraces

FILE: Final = "traces.db"
"""In the state folder."""


def open_traces(place: str | Path, key: bytes = b"", *, seals: bool = False) -> SqlTraces:
    """The traces of a state folder, or of a database by its URL: a `TraceStore`. Nothing is connected yet.

    `key`: the gateway's secret key (`stores.sealed.secret_key`), for bodies that are encrypted; with `seals` those that are
    written will be. Raises BadDatabase.
    """
    text = str(place)
    url = text if "://" in text else sqlite_url(Path(text).absolute() / FILE)
    return SqlTraces(engine_of(url), Sealer(key, PURPOSE) if key else None, seals=seals)


def packer_of(key: bytes = b"") -> Packer:
    """For traces that somebody else writes, later. `key`: as above, where they are to be encrypted."""
    return Packer(Sealer(key, PURPOSE) if key else None)
