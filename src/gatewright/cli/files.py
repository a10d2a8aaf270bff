"""Writing settings files: whole or not at all, with a copy of what was there, readable by their owner alone.

One rule: what cannot be read, parsed or kept safe is left exactly as it is.
"""

import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Literal

from gatewright.cli.clients import Edit
from gatewright.cli.merge import CannotMerge, merge

Outcome = Literal["written", "unchanged"]


def apply(edit: Edit, now: datetime) -> tuple[Outcome, Path | None]:
    """Make the file say what it must; the copy of the former file, where there was one and it changed.

    Raises CannotMerge (naming the file) and OSError; the file is then untouched.
    """
    path = edit.path.resolve()  # a link into somebody's dotfiles stays a link
    try:
        before = path.read_bytes().decode("utf-8") if path.exists() else None
        after = merge(before or "", edit.changes, edit.format)
    except UnicodeDecodeError:
        raise CannotMerge(f"{edit.path}: not UTF-8 text") from None
    except CannotMerge as error:
        raise CannotMerge(f"{edit.path}: {error}") from None
    if after == before:
        return "unchanged", None
    copy = _keep_copy(path, now) if before is not None else None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A key stands in it from now on: it becomes its owner's alone.
    mode = path.stat().st_mode & 0o700 if before is not None else 0
    _write(path, after.encode(), mode=mode | 0o600)
    return "written", copy


def _keep_copy(path: Path, now: datetime) -> Path:
    copy = path.with_name(f"{path.name}.before-gatewright-{now:%Y%m%d-%H%M%S}")
    _write(copy, path.read_bytes(), mode=path.stat().st_mode & 0o777)
    return copy


def _write(path: Path, content: bytes, *, mode: int) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(mode)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
