"""The journal: what happened, in files mapped into memory, before anybody is told of it.

    append ──▶ copied into the current segment ──▶ read by another thread, or by whoever finds it when this process has died

To append is to copy bytes: no system call, no lock, no wait. The kernel owns the pages, so that killing the process at any moment
loses none of them (a loss of power may: `sync`). One rule: disk space is taken before it is promised. A segment's blocks are
allocated when it is made, since writing to a mapped page that the disk has no room for kills a process.
"""

import fcntl
import mmap
import os
import secrets
import shutil
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from gatewright.record.segments import END_MARK, HEAD, LARGEST, START, file_name, head_of, record_of

LOCK: Final = "lock"
"""Held by the process that writes; the kernel frees it with the process."""
LEAST_SEGMENT: Final = 256 << 10
MOST_SEGMENT: Final = 4 << 20
"""Segments double in size up to this: a gateway that is asked little takes little of the disk."""
FETCHED: Final = 64 << 10
"""Bytes that are made ready to be written to in one go."""
_POPULATE_WRITE: Final = 23
"""`MADV_POPULATE_WRITE`, for which Python 3.11 has no name."""


class JournalFull(Exception):
    """There is no room, by the configured bound or on the disk; the message says which."""


class _Segment:
    """A file, and its bytes in memory."""

    __slots__ = ("fd", "map", "number", "path", "size")

    def __init__(self, folder: Path, number: int, size: int) -> None:
        """Raises OSError where the disk is full."""
        self.number, self.size = number, size
        self.path = folder / file_name(number)
        self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _allocate(self.fd, size)
            self.map = mmap.mmap(self.fd, size)
        except BaseException:
            os.close(self.fd)
            self.path.unlink(missing_ok=True)
            raise
        self.map[:START] = head_of(number)

    def close(self) -> None:
        self.map.close()
        os.close(self.fd)


class Journal:
    """Appended to by one thread. Another may `prepare`, `sync` and `forget` meanwhile."""

    def __init__(self, root: Path, *, max_bytes: int) -> None:
        """`root`: where the journals of all processes lie. `max_bytes`: of this one, in all its segments."""
        self.root = root
        self.max_bytes = max_bytes
        self.name = secrets.token_hex(8)
        """Of this journal among all there are, on all machines."""
        self.folder = root / self.name
        self.kept_bytes = 0
        """Of the segments that there are."""
        self._lock = threading.Lock()
        """Of what follows; not needed to append."""
        self._next = 1
        self._spares: list[_Segment] = []
        self._current: _Segment | None = None
        self._synced = (0, 0)
        self._lock_fd = -1
        self._at = 0
        self._end = 0
        self._here = 0
        """Up to where the current segment's pages were asked for."""
        self._map: mmap.mmap | None = None

    @property
    def is_open(self) -> bool:
        return self._current is not None

    @property
    def written(self) -> tuple[int, int]:
        """Segment and position of the next record."""
        current = self._current
        return (0, 0) if current is None else (current.number, self._at)

    def open(self) -> None:
        """Make the folder and the first segment. Raises OSError."""
        # Under another name until it is locked: whoever finds a journal that nobody holds takes it over.
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.root / f".{self.name}"
        try:
            draft.mkdir(mode=0o700)
            self._lock_fd = os.open(draft / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.rename(self.folder)
            self._take(self._made(LEAST_SEGMENT))
        except BaseException as error:
            if self._lock_fd >= 0:
                os.close(self._lock_fd)
                self._lock_fd = -1
            for folder in (draft, self.folder):
                shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, JournalFull):
                raise OSError(str(error)) from None
            raise

    def has(self, size: int) -> bool:
        """Whether there is room for `size` more bytes of records, as things are."""
        return self._end - self._at >= size

    def append(self, payload: bytes) -> None:
        """Write one record. Raises JournalFull; ValueError for one that is too large."""
        record = record_of(payload)
        at = self._at
        end = at + len(record)
        if end > self._end or len(record) > LARGEST:
            at = self._roll(len(record))
            end = at + len(record)
        if end > self._here:
            self._fetch(end)
        self._map[at:end] = record  # type: ignore[index]  # it is open
        self._at = end

    def reserve(self, size: int) -> None:
        """Have room for `size` more bytes of records. Raises JournalFull."""
        if self._end - self._at < size:
            self._grow(size)

    def prepare(self) -> None:
        """Have the next segment ready before it is needed, so that appending need not make it. Raises JournalFull."""
        current = self._current
        if current is not None and not self._spares and self._at > current.size // 2:
            with self._lock:
                if not self._spares:
                    self._spares.append(self._made(self._next_size()))

    def sync(self) -> None:
        """Have the disk hold what was written, against a loss of power. Blocks. Raises OSError."""
        current, written = self._current, self.written
        if current is None or written == self._synced:
            return
        first = self._synced[0] or 1
        for number in range(first, current.number):
            with suppress(FileNotFoundError):
                _sync_file(self.folder / file_name(number))
        _sync_file(current.path)
        self._synced = written

    def forget(self, number: int) -> None:
        """Remove a segment: all that is in it is kept elsewhere. Never the current one."""
        path = self.folder / file_name(number)
        with self._lock:
            try:
                size = path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                return
            self.kept_bytes -= size

    def close(self) -> None:
        """Write no more. What is not read yet is for whoever finds it."""
        current, self._current, self._map = self._current, None, None
        self._end = self._at
        with self._lock:
            for spare in self._spares:
                spare.close()
                spare.path.unlink(missing_ok=True)
            self._spares.clear()
        if current is not None:
            os.truncate(current.fd, self._at)
            current.close()
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _roll(self, size: int) -> int:
        """Go on in the next segment; where its first record begins."""
        current = self._current
        if current is None or size > LARGEST:
            raise ValueError("the journal is closed" if current is None else f"a record of {size} bytes; {LARGEST} are allowed")
        with self._lock:
            following = self._spares.pop(0) if self._spares else self._made(self._next_size())
        if self._end - self._at >= HEAD.size:
            current.map[self._at : self._at + len(END_MARK)] = END_MARK
        self._take(following)
        current.close()
        return self._at

    def _take(self, segment: _Segment) -> None:
        self._current, self._map = segment, segment.map
        self._at, self._end = START, segment.size
        self._here = 0 if sys.platform == "linux" else segment.size

    def _fetch(self, end: int) -> None:
        """Have the pages up to `end`, and some more, ready to be written to.

        The kernel does so anyway, page by page as they are written to; but in a busy process it takes longer to come to each than
        for what it does there.
        """
        here, self._here = self._here, min(-(-end // FETCHED) * FETCHED, self._end)
        with suppress(OSError):  # Linux before 5.14: page by page, then
            self._map.madvise(_POPULATE_WRITE, here, self._here - here)  # type: ignore[union-attr]  # it is open

    def _grow(self, size: int) -> None:
        with self._lock:
            free = self._end - self._at + sum(spare.size - LARGEST for spare in self._spares)
            while free < size:
                made = self._made(self._next_size())
                self._spares.append(made)
                free += made.size - LARGEST

    def _next_size(self) -> int:
        last = self._spares[-1] if self._spares else self._current
        size = LEAST_SEGMENT if last is None else min(2 * last.size, MOST_SEGMENT)
        return max(LEAST_SEGMENT, min(size, self.max_bytes - self.kept_bytes))

    def _made(self, size: int) -> _Segment:
        if self.kept_bytes + size > self.max_bytes:
            raise JournalFull(
                f"the database has not taken {self.kept_bytes} bytes of the journal yet; ledger.journal_bytes allows no more"
            )
        try:
            made = _Segment(self.folder, self._next, size)
        except OSError as error:
            raise JournalFull(f"{self.folder}: {error}") from None
        self._next += 1
        self.kept_bytes += size
        return made


def _allocate(fd: int, size: int) -> None:
    """Take the disk's blocks. Raises OSError."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
    else:  # macOS
        zeros = bytes(1 << 16)
        for at in range(0, size, len(zeros)):
            os.pwrite(fd, zeros[: size - at], at)


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def take_over(folder: Path) -> int | None:
    """The lock of a journal whose process has died, as a file descriptor to be closed. None: somebody holds it, or it is gone."""
    try:
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    if not (folder / LOCK).exists():  # who held it has removed it meanwhile
        os.close(fd)
        return None
    return fd
