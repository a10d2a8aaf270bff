"""Where a shared Redis or Valkey is, as configured: by a reference, or as it is."""

from typing import Final
from urllib.parse import urlsplit

from gatewright.config.references import Desk
from gatewright.config.secrets import Secret, is_reference
from gatewright.config.tree import KeyPath

SCHEMES: Final = frozenset(("redis", "rediss", "valkey", "valkeys"))


def redis_url(url: Secret | None, path: KeyPath, desk: Desk) -> Secret | None:
    """The URL, its reference followed. None: none is configured, or the reference leads nowhere, which the desk has told."""
    if url is None:
        return None
    written = url.reveal()
    text = desk.text(written, path)
    if text is None:
        return None
    if not is_reference(written) and "@" in text:
        desk.warn(path, "a literal secret; better a reference: env:NAME or file:/path")
    try:
        parts = urlsplit(text.strip())
        good = parts.scheme in SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        desk.wrong(path, "expected the URL of a Redis or Valkey, such as redis://127.0.0.1:6379/0")
    return Secret(text.strip())
