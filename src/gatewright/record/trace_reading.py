"""Who has traces read in the background: one process a state folder, however many workers there are.

    lock on `traces.lock`, got ──▶ start the reader, which holds it as long as it lives

One rule: it is never waited for. Where it cannot be started traces are kept all the same, and the log says so once.
"""

import fcntl
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from gatewright.record.trace_reader import Settings
from gatewright.record.traces import Batch

LOCK: Final = "traces.lock"
AGAIN_S: Final = 5.0
"""Between looks whether somebody must take over."""
CLOSING_S: Final = 2.0

log = logging.getLogger("gatewright")


class ReadTraces:
    """A `TraceSink` that only sees to it that somebody reads."""

    def __init__(self, state_dir: Path, settings: Settings) -> None:
        self._state_dir = state_dir
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._look_at = 0.0
        self._told = False

    @property
    def waits(self) -> bool:
        """Whether it is time to look."""
        return time.monotonic() >= self._look_at

    def take(self, batch: Batch) -> None:
        if not self.waits:
            return
        self._look_at = time.monotonic() + AGAIN_S
        if self._process is not None and self._process.poll() is None:
            return
        try:
            self._start()
        except OSError as error:
            if not self._told:
                self._told = True
                log.warning("warning: traces are kept, and not read for the search: %s", error)

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(CLOSING_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _start(self) -> None:
        """Where nobody else has the lock, with which the process is born."""
        self._state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._state_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gatewright.record.trace_reader"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(handle,),
                start_new_session=True,  # Ctrl-C is for the gateway, which says when it ends
            )
            assert self._process.stdin is not None
            self._process.stdin.write(msgspec.json.encode(self._settings) + b"\n")
            self._process.stdin.flush()
        finally:
            os.close(handle)
