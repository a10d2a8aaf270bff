"""From the event loop to the traces: a bounded queue, and one thread a process that makes, cleans and hands them on.

    take (loop) ──▶ queue ──▶ make ▸ sample ▸ write down ▸ redact ──▶ every sink, in batches

One rule: nobody is ever kept waiting. When the queue is full, what comes is counted and dropped; when something here fails, the
log says so, and the request that it was about has been answered long ago.
"""

import logging
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from gatewright.record.trace_batch import Made, batch_of, joined
from gatewright.record.trace_capture import Finished
from gatewright.record.trace_making import Maker
from gatewright.record.trace_redaction import Redactor
from gatewright.record.trace_rule import TraceRule
from gatewright.record.traces import NONE, Batch, TraceSink
from gatewright.stores.trace_document import MANY_BYTES, Documents
from gatewright.stores.trace_terms import Trace

TICK_S: Final = 0.6
BATCH: Final = 500
"""Traces that are handed on together, at most; and no more than `MANY_BYTES`."""
CLOSING_S: Final = 5.0
TOLD_EVERY_S: Final = 60.0
BREATH_S: Final = 0.002
"""Work of this thread before it lets the event loop have the interpreter."""

log = logging.getLogger("gatewright")


class Recording:
    """One a process. `take` is called by the event loop, everything else by its own thread, but for `close`."""

    def __init__(self, rule: TraceRule, maker: Maker, redactor: Callable[[], Redactor], sinks: Sequence[TraceSink]) -> None:
        """`redactor`: makes it, in the thread."""
        self.rule = rule
        self.sinks = tuple(sinks)
        self.taken = 0
        self.dropped = 0
        """Exchanges whose traces nobody had room for."""
        self.failed = 0
        """Those that a failure of ours has cost."""
        self.written = 0
        """Traces that the sinks were given, and had the time to write."""
        self._maker = maker
        self._make_redactor = redactor
        self._redactor: Redactor | None = None
        self._queue: deque[tuple[Finished, int]] = deque()
        """With the weight of each."""
        self._came = 0
        self._went = 0
        """Bytes that have come, and gone: each is written by one thread."""
        self._memory = bytearray()
        """Where documents are written, one batch after the other."""
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._told = -TOLD_EVERY_S
        self._retired: tuple[TraceSink, ...] = ()

    def take(self, finished: Finished) -> None:
        """An exchange has ended. Costs about a microsecond; never raises or waits."""
        self.taken += 1
        weight = finished.weight
        if len(self._queue) >= self.rule.queue_size or self._came - self._went + weight > self.rule.queue_bytes:
            self.dropped += 1
            return
        self._came += weight
        self._queue.append((finished, weight))
        if self._thread is None:
            self.start()

    @property
    def waiting(self) -> int:
        """Exchanges in the queue."""
        return len(self._queue)

    def renew(
        self, rule: TraceRule, maker: Maker, redactor: Callable[[], Redactor], sinks: Sequence[TraceSink] | None = None
    ) -> None:
        """The configuration has changed. `sinks`: they take over from those before, which the thread closes. None: they stay."""
        self.rule, self._maker, self._make_redactor = rule, maker, redactor
        self._redactor = None
        if sinks is not None:
            self._retired += self.sinks
            self.sinks = tuple(sinks)

    def start(self) -> None:
        """Idempotent; the first exchange does it else."""
        if self._thread is None and not self._stop.is_set():
            self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
            self._thread.start()

    def close(self, timeout_s: float = CLOSING_S) -> None:
        """Write what is left, and stop. Blocks."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        self._close(self._retired + self.sinks)

    # -- the thread ----------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        for sink in self.sinks:
            begin = getattr(sink, "begin", None)
            if begin is not None:
                begin()
        while not self._stop.wait(TICK_S):
            retired, self._retired = self._retired, ()
            self._close(retired)
            self._turn()
        self._turn()

    @staticmethod
    def _close(sinks: Sequence[TraceSink]) -> None:
        for sink in sinks:
            try:
                sink.close()
            except Exception:
                log.exception("traces: %s was not closed as it should", type(sink).__name__)

    def _turn(self) -> None:
        handed, left = 0, len(self._queue)  # what comes meanwhile has its own turn: a few would be a transaction each
        while left > 0:
            batch, went = self._batch(left)
            left = len(self._queue) if len(self._queue) >= BATCH or self._stop.is_set() else left - went
            if batch.traces:
                for sink in self.sinks:
                    self._hand_to(sink, batch)
                handed += len(batch.traces)
        for sink in self.sinks:
            if getattr(sink, "waits", False):
                self._hand_to(sink, NONE)
        self.written += handed
        self._tell()

    def _batch(self, most: int) -> tuple[Batch, int]:
        """Some of `most` that wait; and how many have left the queue for it."""
        made: list[Made] = []
        if len(self._memory) > 4 * MANY_BYTES:  # there was a large one
            self._memory = bytearray()
        documents = Documents(memory=self._memory)
        went = 0
        offset = time.time() - time.monotonic()
        breath = time.monotonic()
        while went < min(most, BATCH) and documents.size < MANY_BYTES:
            one, weight = self._queue.popleft()
            went += 1
            trace = self._made(one, offset, documents)
            self._went += weight
            if trace is not None:
                made.append(Made(one, trace))
            if (now := time.monotonic()) - breath > BREATH_S:  # the interpreter has one lock, and requests need it
                time.sleep(0)
                breath = now
        return self._cleaned(made, documents), went

    def _made(self, one: Finished, offset: float, documents: Documents) -> Trace | None:
        """One that is among the documents. None: it is not kept."""
        try:
            trace = self._maker.trace(one, offset)
            if not self._is_kept(trace):
                return None
            documents.add(trace)
        except Exception as error:  # noqa: BLE001 - told by `_has_failed`
            self._has_failed(one.exchange.request_id, error)
            return None
        return trace

    def _cleaned(self, made: Sequence[Made], documents: Documents) -> Batch:
        """All together; where that fails, one by one, without whatever it was about."""
        try:
            if self._redactor is None:
                self._redactor = self._make_redactor()
            return batch_of(made, documents, self._redactor)
        except Exception as error:  # noqa: BLE001 - told by `_has_failed`
            if len(made) > 1:
                return joined([self._cleaned([one], Documents([one.trace])) for one in made])
            for one in made:
                self._has_failed(one.trace.id, error)
            return NONE

    def _has_failed(self, name: str, error: Exception) -> None:
        self.failed += 1
        if self.failed == 1 or self.failed % 1000 == 0:
            log.error("request %s: its trace failed on a bug of ours", name, exc_info=error)

    def _is_kept(self, trace: Trace) -> bool:
        """Whole sessions are kept or not; errors and findings always are."""
        if self.rule.sample >= 1 or trace.findings or trace.outcome == "error":
            return True
        chance = zlib.crc32((trace.session or trace.id).encode()) / 0x1_0000_0000
        return chance < self.rule.sample

    @staticmethod
    def _hand_to(sink: TraceSink, batch: Batch) -> None:
        try:
            sink.take(batch)
        except Exception:
            log.exception("traces: %s has lost %d of them on a bug of ours", type(sink).__name__, len(batch.traces))

    def _tell(self) -> None:
        """That some were dropped, now and then."""
        if self.dropped and time.monotonic() - self._told >= TOLD_EVERY_S:
            self._told = time.monotonic()
            log.warning("warning: %d traces were dropped so far: more comes than can be written", self.dropped)
