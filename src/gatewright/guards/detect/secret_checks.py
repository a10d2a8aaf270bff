"""Whether a string that has the form of a secret is one: checksums, structure, entropy."""

import re
import zlib
from base64 import b64decode, urlsafe_b64decode
from binascii import Error as BadBase64
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from math import log2
from typing import Final

import msgspec

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PLACEHOLDER: Final = re.compile(
    r"(?i)example|placeholder|your[-_]|[-_]here\b|changeme|redacted|dummy|x{5}|\*{3}|\.{3}|<[a-z_]+>|\$\{|12345678|abcdefgh|0{8}"
)

_LONGEST_VALUE: Final = 200
"""What is longer is a document."""


def entropy(words: str) -> float:
    """Shannon's, in bits a character."""
    size = len(words)
    return -sum(count / size * log2(count / size) for count in Counter(words).values()) if size else 0.0


def random_enough(least: float) -> Callable[[str], int]:
    """A check that a string is not a word, a placeholder or a pattern: at least so many bits a character."""

    def check(words: str) -> int:
        return len(words) if entropy(words) >= least and not _PLACEHOLDER.search(words) else 0

    return check


def github(words: str) -> int:
    """The last six characters are the CRC32, in base 62, of the thirty before.

    https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/
    """
    body, check = words[-36:-6], words[-6:]
    number = 0
    for letter in check:
        number = number * 62 + _BASE62.index(letter)
    return len(words) if zlib.crc32(body.encode()) == number else 0


def aws_key_id(words: str) -> int:
    """Base 32, and none of the documentation's own."""
    return 0 if words.endswith("EXAMPLE") or len(set(words[4:])) < 6 else len(words)


def jwt(words: str) -> int:
    """Its header is JSON and names an algorithm. https://www.rfc-editor.org/rfc/rfc7519"""
    head = words.partition(".")[0]
    try:
        header = msgspec.json.decode(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (BadBase64, ValueError, RecursionError):
        return 0
    return len(words) if isinstance(header, dict) and "alg" in header else 0


def pypi(words: str) -> int:
    """A macaroon: base64 of a binary that names its place. https://pypi.org/help/#apitoken"""
    body = words.removeprefix("pypi-")
    try:
        raw = urlsafe_b64decode(body[: len(body) // 4 * 4])
    except (BadBase64, ValueError):
        return 0
    return len(words) if b"pypi.org" in raw[:24] else 0


def base64_of(size: int) -> Callable[[str], int]:
    """A check that a string is standard base64 of so many bytes, and no repetition."""

    def check(words: str) -> int:
        try:
            return len(words) if len(b64decode(words, validate=True)) == size and entropy(words) > 3.5 else 0
        except (BadBase64, ValueError):
            return 0

    return check


def private_key(words: str) -> int:
    """There is a key, not its first line alone. https://www.rfc-editor.org/rfc/rfc7468"""
    body = words.partition("PRIVATE KEY")[2]
    return len(words) if len(body) > 80 else 0


def secret_value(words: str) -> int:
    """What stands after `api_key=`: letters and digits mixed as chance mixes them; no UUID, no path, no name, no placeholder."""
    if (
        len(words) > _LONGEST_VALUE
        or _UUID.fullmatch(words)
        or _PLACEHOLDER.search(words)
        or "//" in words
        or words.count("/") > 2
        or words.count(".") > 3
    ):
        return 0
    digits = sum(letter.isdigit() for letter in words)
    letters = sum(letter.isalpha() for letter in words)
    turns = _turns(words)
    if not digits or not letters or (digits == 1 and turns < len(words) // 2) or digits + letters < len(words) * 0.7:
        return 0
    # A string of `n` random characters has at most log2(n) bits each; words and identifiers stay well below.
    return len(words) if entropy(words) >= min(3.6, log2(len(words)) * 0.8) and turns >= len(words) // 5 else 0


def password_in_url(words: str) -> int:
    return (
        0
        if _PLACEHOLDER.search(words) or words.lower() in {"password", "pass", "secret", "user", "token"} or words[0] in "${<"
        else len(words)
    )


def _turns(words: str) -> int:
    """How often digits, small and capital letters take turns: `myVeryLongVariable2` does seldom, a random key all the time."""
    kinds = ["0" if letter.isdigit() else "a" if letter.islower() else "A" if letter.isupper() else "-" for letter in words]
    return sum(a != b for a, b in pairwise(kinds))
