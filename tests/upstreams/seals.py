"""Opaque state that only its issuer can read: signatures that this upstream can tell from all others.

One rule: a seal of one API, or one whose sealed text was changed, is not genuine. Fixed keys: two runs understand one another.
"""

import base64
import hashlib
import hmac
import re


def issue(api: str, text: str, *, prefix: bytes = b"") -> str:
    """Standard base64. `prefix` gives it the look of the real thing."""
    return base64.b64encode(prefix + mac(api, text, prefix) + b"\x07" * 40).decode()


def genuine(api: str, text: str, seal: str, *, prefix: bytes = b"") -> bool:
    """Whether `issue` made this seal for this API and text. Accepts the URL-safe alphabet and missing padding, as the real ones do."""
    plain = seal.replace("-", "+").replace("_", "/")
    if not re.fullmatch(r"[A-Za-z0-9+/]+=*", plain):
        return False
    raw = base64.b64decode(plain.rstrip("=") + "=" * (-len(plain.rstrip("=")) % 4))
    return hmac.compare_digest(raw, prefix + mac(api, text, prefix) + b"\x07" * 40)


def mac(api: str, text: str, prefix: bytes) -> bytes:
    return hmac.new(f"key of {api}".encode(), prefix + text.encode(), hashlib.sha256).digest()
