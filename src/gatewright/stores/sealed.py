"""Encryption at rest: AES-256-GCM, a key for each purpose made from the gateway's one secret key by HKDF.

One rule: what is sealed opens only for the purpose and the row it was sealed for. A wrong key is told from damage by the
fingerprint before the ciphertext.
https://www.rfc-editor.org/rfc/rfc5869, https://nvlpubs.nist.gov/nistpubs/Legacy/SP/nistspecialpublication800-38d.pdf
"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gatewright.errors import GatewrightError, Problem

VARIABLE = "GATEWRIGHT_SECRET_KEY"
FILE_NAME = "secret_key"
MIN_CHARACTERS = 32
"""Of the variable: 128 bits in hexadecimal. It is a key, not a password: nothing here makes a short one stronger."""

_VERSION = b"\x01"
_FINGERPRINT_BYTES = 8
_NONCE_BYTES = 12
_HEAD_BYTES = 1 + _FINGERPRINT_BYTES + _NONCE_BYTES
_SALT = b"gatewright sealed v1"


class BadKey(GatewrightError):
    """There is no secret key that may be used. The message says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(Problem(kind="internal", code="bad_secret_key", message=message))


class CannotUnseal(Exception):
    """Sealed bytes that do not open. The message says why, for a person."""


class Sealer:
    """Seals and opens small documents of one purpose."""

    def __init__(self, key: bytes, purpose: str) -> None:
        """`key`: the secret key itself, at least 16 bytes of chance."""
        self._purpose = purpose.encode()
        self._aead = AESGCM(_derived(key, b"seal:" + self._purpose, 32))
        self._fingerprint = _derived(key, b"fingerprint:" + self._purpose, _FINGERPRINT_BYTES)

    def seal(self, row: str, plain: bytes) -> bytes:
        """`plain`, for `row` of this purpose alone."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + self._fingerprint + nonce + self._aead.encrypt(nonce, plain, self._for(row))

    def unseal(self, row: str, sealed: bytes) -> bytes:
        """What was sealed for `row`. Raises CannotUnseal."""
        if len(sealed) < _HEAD_BYTES or sealed[:1] != _VERSION:
            raise CannotUnseal("it is damaged, or was written by a newer version")
        if sealed[1 : 1 + _FINGERPRINT_BYTES] != self._fingerprint:
            raise CannotUnseal(f"it was sealed with another secret key (see {VARIABLE} and the file {FILE_NAME!r})")
        try:
            return self._aead.decrypt(sealed[_HEAD_BYTES - _NONCE_BYTES : _HEAD_BYTES], sealed[_HEAD_BYTES:], self._for(row))
        except InvalidTag:
            raise CannotUnseal("it is damaged") from None

    def _for(self, row: str) -> bytes:
        return self._purpose + b"\0" + row.encode()


def secret_key(state_dir: Path, environ: Mapping[str, str]) -> bytes:
    """$GATEWRIGHT_SECRET_KEY if set, else the key file in `state_dir`, made on first use (mode 0600, 256 bits).

    Two processes that start at once get the same key. Raises BadKey.
    """
    if given := environ.get(VARIABLE, "").strip():
        if len(given) < MIN_CHARACTERS:
            raise BadKey(
                f"{VARIABLE} is too short: expected at least {MIN_CHARACTERS} characters; make one with `openssl rand -base64 32`"
            )
        return given.encode()
    path = state_dir / FILE_NAME
    try:
        key = _read(path)
        if key is None:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            key = _keep(path, secrets.token_urlsafe(32))
    except OSError as error:
        raise BadKey(f"the secret key {str(path)!r} can be neither read nor made: {error.strerror}; set {VARIABLE}") from None
    return key


def _derived(key: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=_SALT, info=info).derive(key)


def _read(path: Path) -> bytes | None:
    """The key in the file; None: there is no file, or an empty one."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(4096).strip()
    except FileNotFoundError:
        return None
    if mode & 0o077:
        raise BadKey(f"the secret key {str(path)!r} can be read by others: `chmod 600` it")
    if content and len(content) < MIN_CHARACTERS:
        raise BadKey(f"the secret key {str(path)!r} is cut short: put the whole key back, or set {VARIABLE}")
    return content or None


def _keep(path: Path, key: str) -> bytes:
    """`key`, or the one that another process has put there meanwhile. The file appears whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails if it exists, where a rename would write it over
        except FileExistsError:
            kept = _read(path)
            if kept is not None:
                return kept
            draft.replace(path)  # an empty file is nobody's key
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # what is sealed with it will be on the disk sooner than the name of its file
    finally:
        os.close(folder)
    return key.encode()
