"""Reports while the gateway serves: asked in a thread of their own, with a connection of their own, and not for ever.

One rule: a database that does not answer costs whoever asks for a report, and nobody else.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatewright.errors import Problem, Refused
from gatewright.record.fresh import Fresh, fresh
from gatewright.record.rows import Pricer, unpriced
from gatewright.stores.report_terms import Query

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

log = logging.getLogger("gatewright")

PATIENCE_S: Final = 10.0
"""How long a report may take, its wait for the ones before it included."""
MOST_WAITING: Final = 20
"""Reports that wait or run; more are told to come back."""
_HEADERS: Final = (("retry-after", "5"),)

BUSY: Final = Problem(
    kind="overloaded",
    code="usage_busy",
    message="The gateway makes as many usage reports as it may; try again shortly.",
    retry_after_s=5.0,
    headers=_HEADERS,
)
UNAVAILABLE: Final = Problem(
    kind="overloaded",
    code="usage_unavailable",
    message="The gateway cannot look usage up now: its database does not answer. Try again shortly.",
    retry_after_s=5.0,
    headers=_HEADERS,
)


class Reporter:
    """One for all generations. Connects when it is first asked."""

    def __init__(self, engine: "Callable[[], Engine]", root: Path | None, price: Pricer = unpriced) -> None:
        """`root`: the folder of this machine's journals. None: there are none."""
        self._make = engine
        self._root = root
        self._price = price
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._waiting = 0

    async def ask(self, query: Query) -> Fresh:
        """In a task. Raises Refused."""
        if self._waiting >= MOST_WAITING:
            raise Refused(BUSY)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="reports")
        with self._lock:
            self._waiting += 1
        asked = self._pool.submit(self._ask, query)
        asked.add_done_callback(lambda _: self._answered())
        try:
            async with asyncio.timeout(PATIENCE_S):
                found = await asyncio.wrap_future(asked)
        except TimeoutError:
            raise Refused(UNAVAILABLE) from None
        if found is None:
            raise Refused(UNAVAILABLE)
        return found

    def close(self) -> None:
        """What runs is not waited for."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _answered(self) -> None:
        with self._lock:
            self._waiting -= 1

    def _ask(self, query: Query) -> Fresh | None:
        """In the thread. None: the database does not answer, or cannot be used; the log says why."""
        from gatewright.stores.sql import BadDatabase, DatabaseError, migrate  # noqa: PLC0415 - takes its time

        try:
            if self._engine is None:
                engine = self._make()
                migrate(engine)
                self._engine = engine
            return fresh(self._engine, query, self._root, self._price)
        except (DatabaseError, BadDatabase) as error:
            log.warning("usage cannot be looked up: %s", (str(error).splitlines() or [""])[0])
            return None
