"""What clients send: made once, shown once, and kept as its digest alone.

One rule: 256 bits of chance need no salt and no slow hash; whoever reads the database learns nothing that opens anything.
"""

import hashlib
import secrets
from typing import Final

PREFIX: Final = "gw-"
"""By which people, and scanners of repositories, know them."""
_BYTES: Final = 32


def new_key() -> str:
    """A new key: `gw-` and 256 bits."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def new_id(prefix: str) -> str:
    """An id that nobody has had: 96 bits."""
    return f"{prefix}_{secrets.token_hex(12)}"


def digest(key: bytes) -> bytes:
    """What is stored and compared instead of a key."""
    return hashlib.sha256(key).digest()
