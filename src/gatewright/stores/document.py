"""One small file that is replaced whole: what is nice to have again after a restart, and no loss when it is gone.

One rule: a reader sees the old content or the new, never a part; nothing here raises for a disk that is full or a folder that is
not there, because nobody should be refused for it.
"""

import contextlib
import os
import secrets
from pathlib import Path


class Document:
    """A file in the state folder, its owner's alone."""

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes

    def read(self) -> bytes | None:
        """None: there is none, it cannot be read, or it is longer than it can be."""
        try:
            with self.path.open("rb") as file:
                content = file.read(self.max_bytes + 1)
        except OSError:
            return None
        return content if len(content) <= self.max_bytes else None

    def write(self, content: bytes) -> bool:
        """Whether it was written. Blocks for the disk: call it in a thread."""
        if len(content) > self.max_bytes:
            return False
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            draft.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            return False
        return True
