"""Metrics of all workers, whichever of them is asked: each keeps a file of its own numbers that the others read.

    state_dir/metrics/<run>/<worker>.counts     written anew each second, and when its worker is asked
                            <worker>.lock       held by the process while it lives

A worker that died is counted on by its file, so that a counter never goes back while the gateway runs; who starts in its place
takes the file over. One rule: whatever a reader meets was whole when it was written, and is counted once.
"""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from gatewright.record.metrics_cells import Counted, LabelValues, Value, joined
from gatewright.record.metrics_families import BY_NAME

FOLDER: Final = "metrics"
"""Within the state folder."""
FORGOTTEN_S: Final = 60.0
"""Age of a run that nobody belongs to any more, …"""
TAKEN_FOR_S: Final = 60.0
"""… and how long a file that was taken over is named: whoever read it before then must not count it again."""
_TRIES: Final = 5


class _File(msgspec.Struct):
    """What is in `.counts`."""

    series: dict[str, list[tuple[LabelValues, float | list[float]]]]
    taken: list[str] = []
    """Workers whose numbers are in these, and which do not count by themselves any more."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_File)


class Shared:
    """This process' file among its siblings'."""

    def __init__(self, root: Path, run: str) -> None:
        """`root`: of all runs. `run`: the same for the workers of one supervisor, and no others."""
        self.root = root
        self.folder = root / run
        self.name = secrets.token_hex(8)
        self._lock = -1
        self._base: Counted = {}
        """Of workers before this one."""
        self._taken: dict[str, float] = {}

    def open(self) -> None:
        """Begin to count here, and take over what the dead have counted. Raises OSError."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = os.open(self._path(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._sweep()
        for name in self._names():
            if name != self.name and (held := _held(self.folder / f"{name}.lock", fcntl.LOCK_EX)) is not None:
                try:
                    self._take(name)
                finally:
                    os.close(held)

    def close(self) -> None:
        """The process ends; its numbers stay."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def write(self, counted: Counted) -> None:
        """These are the numbers of this worker. Raises OSError."""
        now = time.monotonic()
        self._taken = {name: at for name, at in self._taken.items() if now - at < TAKEN_FOR_S or self._path_of(name).exists()}
        whole = joined((counted, self._base)) if self._base else counted
        draft = self._path(".draft")
        draft.write_bytes(_ENCODER.encode(_File({name: list(s.items()) for name, s in whole.items()}, list(self._taken))))
        draft.rename(self._path(".counts"))

    def all(self) -> Counted:
        """The numbers of all workers: counters of the living and the dead, gauges of the living. Raises OSError."""
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):  # taken over in this moment: it is in another's by now
                return joined(self._read())
        return joined(())

    def _read(self) -> Iterator[Counted]:
        files = {name: _DECODER.decode(self._path_of(name).read_bytes()) for name in self._names()}
        taken = {name for file in files.values() for name in file.taken}
        for name, file in files.items():
            if name in taken:
                continue
            lives = name == self.name or (held := _held(self.folder / f"{name}.lock", fcntl.LOCK_SH)) is None
            if not lives and held is not None:
                os.close(held)
            yield _counted(file, gauges=lives)

    def _take(self, name: str) -> None:
        """First it stands in our file that we have it, then it goes: killed in between, it is counted once all the same."""
        try:
            file = _DECODER.decode(self._path_of(name).read_bytes())
        except (OSError, msgspec.DecodeError):
            return
        if any(name in other.taken for other in self._others(name)):
            self._remove(name)
            return
        self._base = joined((self._base, _counted(file, gauges=False)))
        self._taken[name] = time.monotonic()
        self.write({})
        self._remove(name)

    def _others(self, but: str) -> Iterator[_File]:
        for name in self._names():
            if name not in (but, self.name):
                with suppress(OSError, msgspec.DecodeError):
                    yield _DECODER.decode(self._path_of(name).read_bytes())

    def _remove(self, name: str) -> None:
        for suffix in (".counts", ".draft", ".lock"):
            (self.folder / f"{name}{suffix}").unlink(missing_ok=True)

    def _names(self) -> list[str]:
        return sorted(path.stem for path in self.folder.glob("*.counts"))

    def _path(self, suffix: str) -> Path:
        return self.folder / f"{self.name}{suffix}"

    def _path_of(self, name: str) -> Path:
        return self.folder / f"{name}.counts"

    def _sweep(self) -> None:
        """Remove runs that are over."""
        for run in self.root.iterdir():
            with suppress(OSError):
                if run == self.folder or time.time() - run.stat().st_mtime < FORGOTTEN_S:
                    continue
                held = [_held(lock, fcntl.LOCK_EX) for lock in run.glob("*.lock")]
                if all(lock is not None for lock in held):
                    shutil.rmtree(run, ignore_errors=True)
                for lock in held:
                    if lock is not None:
                        os.close(lock)


def _counted(file: _File, *, gauges: bool) -> Counted:
    def counts(name: str) -> bool:
        family = BY_NAME.get(name)
        return family is not None and (gauges or family.kind != "gauge")

    return {name: {labels: _value(value) for labels, value in series} for name, series in file.series.items() if counts(name)}


def _value(value: float | list[float]) -> Value:
    return value


def _held(lock: Path, how: int) -> int | None:
    """The lock, ours for a moment, since its process has died. None: that lives, or there is no such file."""
    try:
        found = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(found, how | fcntl.LOCK_NB)
    except OSError:
        os.close(found)
        return None
    return found
