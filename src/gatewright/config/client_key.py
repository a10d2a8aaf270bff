"""The client key of a gateway that nobody has configured keys for: made once, kept, shown.

One rule: the file is the owner's alone (mode 0600), and is never written over.
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from gatewright.config.model import KeyConfig
from gatewright.config.secrets import Secret

FILE_NAME = "client_key"
PREFIX = "gw-"


def client_key(state_dir: Path, environ: Mapping[str, str]) -> KeyConfig:
    """$GATEWRIGHT_KEY if set, else the key kept in `state_dir`, else a new one of 256 bits, kept there.

    Two processes that start at once get the same key. Raises OSError when it can be neither read nor kept.
    """
    if given := environ.get("GATEWRIGHT_KEY", "").strip():
        return KeyConfig(name="environment", key=Secret(given))
    path = state_dir / FILE_NAME
    kept = _read(path)
    if kept is None:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = _keep(path, PREFIX + secrets.token_urlsafe(32))
    return KeyConfig(name="local", key=Secret(kept))


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None


def _keep(path: Path, key: str) -> str:
    """`key`, or the one that another process has put there meanwhile. The file appears whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(key + "\n")
        try:
            os.link(draft, path)  # fails if it exists, where a rename would write it over
        except FileExistsError:
            kept = _read(path)
            if kept is not None:
                return kept
            draft.replace(path)  # an empty file is nobody's key
    finally:
        draft.unlink(missing_ok=True)
    return key
