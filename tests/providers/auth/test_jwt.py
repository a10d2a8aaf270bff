"""Assertions that a verifier accepts, and keys that are refused with a reason and nothing of themselves."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.identity import certificate_pem, pem_of, read_jwt, rsa_key

from gatewright.providers.auth.jwt import read_certificate, read_private_key, signed_jwt


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_a_verifier_reads_what_was_signed(algorithm):
    """With the standard library of the other side."""
    token = signed_jwt({"iss": "me", "ü": "é"}, rsa_key(), algorithm=algorithm, header={"kid": "k"})
    header, claims = read_jwt(token, rsa_key(), algorithm)
    assert header == {"alg": algorithm, "typ": "JWT", "kid": "k"}
    assert claims == {"iss": "me", "ü": "é"}
    with pytest.raises(InvalidSignature):
        read_jwt(token, rsa_key(1), algorithm)


def encrypted():
    how = serialization.BestAvailableEncryption(b"pw")
    return rsa_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (encrypted, "encrypted"),
        (lambda: pem_of(ec.generate_private_key(ec.SECP256R1())), "not an RSA key"),
        (lambda: "-----BEGIN PRIVATE KEY-----\nsecretstuff\n-----END PRIVATE KEY-----", "not a PEM key"),
        (lambda: "", "not a PEM key"),
    ],
)
def test_keys_that_cannot_sign_are_refused(pem, said):
    """Why, and nothing of the key."""
    with pytest.raises(ValueError, match=said) as raised:
        read_private_key(pem())
    assert "secretstuff" not in str(raised.value)


def test_a_certificate_and_its_key():
    """Thumbprint as Entra ID shows it, in base64url."""
    certificate = read_certificate(certificate_pem())
    assert len(certificate.thumbprint) == 43
    assert "BEGIN" not in repr(certificate)


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (lambda: pem_of(rsa_key(1)), "got no certificate"),
        (lambda: certificate_pem().replace(pem_of(rsa_key(1)), pem_of(rsa_key())), "another private key"),
        (lambda: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + pem_of(rsa_key(1)), "cannot be read"),
        (lambda: certificate_pem().replace(pem_of(rsa_key(1)), ""), "not a PEM key"),
    ],
)
def test_certificates_that_cannot_be_used_are_refused(pem, said):
    """Each with its own reason."""
    with pytest.raises(ValueError, match=said):
        read_certificate(pem())
