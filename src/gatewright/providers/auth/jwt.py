"""Signed assertions (RFC 7515, 7519) that show who asks for a token, made from a private key.

One rule: a key that cannot be read is a ValueError that says what it is instead, never what is in it.
"""

import base64
from collections.abc import Mapping
from typing import Literal

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gatewright.jsontypes import JsonValue

Algorithm = Literal["RS256", "PS256"]


class Certificate(msgspec.Struct, frozen=True):
    """A certificate and its private key."""

    key: rsa.RSAPrivateKey
    thumbprint: str
    """SHA-256 of the certificate's DER, base64url: the header field `x5t#S256`."""

    def __repr__(self) -> str:
        return f"Certificate({self.thumbprint})"


def base64url(data: bytes) -> str:
    """Without padding, as in every JWT."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def read_private_key(pem: str) -> rsa.RSAPrivateKey:
    """An RSA key from its PEM text. Raises ValueError."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise ValueError("its private key is encrypted; expected one without a password") from None
    except Exception:  # noqa: BLE001 - the library's reasons quote what they read
        raise ValueError("its private key is not a PEM key that can be read") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("its private key is not an RSA key")  # noqa: TRY004 - the file is wrong, not the caller
    return key


def read_certificate(pem: str) -> Certificate:
    """The first certificate of a PEM text and its private key. Raises ValueError."""
    if "-----BEGIN CERTIFICATE-----" not in pem:
        raise ValueError("expected a PEM certificate and its private key, got no certificate (a .pfx file must be converted)")
    key = read_private_key(pem)
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise ValueError("its certificate cannot be read") from None
    if certificate.public_key() != key.public_key():
        raise ValueError("its certificate belongs to another private key")
    return Certificate(key, base64url(certificate.fingerprint(hashes.SHA256())))


def signed_jwt(
    claims: Mapping[str, JsonValue],
    key: rsa.RSAPrivateKey,
    *,
    algorithm: Algorithm = "RS256",
    header: Mapping[str, str] | None = None,
) -> str:
    """The compact form of a signed token. `header`: fields beside `alg` and `typ`."""
    first = msgspec.json.encode({"alg": algorithm, "typ": "JWT", **(header or {})})
    text = f"{base64url(first)}.{base64url(msgspec.json.encode(claims))}"
    if algorithm == "RS256":
        signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    else:
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)
        signature = key.sign(text.encode(), pss, hashes.SHA256())
    return f"{text}.{base64url(signature)}"
