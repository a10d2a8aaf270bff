"""Have the files of a configuration changed? Looked at now and then; no library, no kernel interface, any file system.

One rule: half a file is no change. What changed counts once it has lain still between two looks, and only if its content differs.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

Stamp: TypeAlias = tuple[int, int, int]
"""Nanoseconds of the last change, inode, bytes. Editors replace files, Kubernetes links: then it is the inode that changes."""

ABSENT: Stamp = (0, 0, 0)


def stamp_of(path: str | os.PathLike[str]) -> Stamp:
    """To be taken before the file is read: what changes later is seen then."""
    try:
        found = os.stat(path)  # noqa: PTH116 - through links, to where they lead now
    except OSError:
        return ABSENT
    return found.st_mtime_ns, found.st_ino, found.st_size


class FileWatch:
    """Some files, as they were last seen. Blocks for as long as looking at them takes."""

    def __init__(self, files: Mapping[str, Stamp]) -> None:
        """`files`: as they were when they were read."""
        self._seen = dict(files)
        self._content = _content(self._seen)
        self._moving = False
        if self._look() != self._seen:  # it was not this that was read
            self._content = b""

    def changed(self) -> bool:
        """Whether there is other content than when this was last True, and it lies still."""
        now = self._look()
        if now != self._seen:
            self._seen = now
            self._moving = True
            return False
        if not self._moving:
            return False
        self._moving = False
        before, self._content = self._content, _content(now)
        return self._content != before

    @property
    def moving(self) -> bool:
        """Whether the last look saw a change that the next one may find lying still."""
        return self._moving

    def _look(self) -> dict[str, Stamp]:
        return {path: stamp_of(path) for path in self._seen}


def _content(paths: Iterable[str]) -> bytes:
    """A digest over all of them."""
    whole = hashlib.sha256()
    for path in paths:
        try:
            content = Path(path).read_bytes()
        except OSError:
            content = b""
        whole.update(hashlib.sha256(content).digest())
    return whole.digest()
