"""Authenticate: whose call is this? Keys are compared by the full SHA-256, in constant work, never by a prefix."""

import hashlib
from collections.abc import Mapping

from gatewright.errors import Problem, Refused
from gatewright.exchange import Check, Exchange, Principal
from gatewright.providers.auth.client_key import gateway_key

HELP = (
    "Send the gateway's key as `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `api-key` or `?key=`; "
    "as `x-gatewright-key` beside a provider's key."
)

SIGNED = (
    "This request is signed for AWS, which says nothing here. Send the gateway's key as a bearer token: "
    "set AWS_BEARER_TOKEN_BEDROCK to it, which the AWS SDKs prefer to a signature."
)


def digest(key: bytes) -> bytes:
    """What is stored and compared instead of a key."""
    return hashlib.sha256(key).digest()


KEPT = 4096
"""Keys whose digest is remembered."""


class Authenticate(Check):
    """Sets `exchange.principal`. Above everything that costs anything."""

    def __init__(self, principals: Mapping[bytes, Principal]) -> None:
        self.principals = principals
        """SHA-256 of the key → who it is."""
        self.digests: dict[bytes, bytes] = {}
        """Of keys that were good: hashing one costs more than all else here. Found by a keyed hash, so not by a prefix either."""

    def inherit(self, elder: "Authenticate") -> None:
        """Remember the digests that `elder` does, of keys that are still good."""
        self.digests.update({key: known for key, known in elder.digests.items() if known in self.principals})

    def check(self, exchange: Exchange) -> None:
        credential = exchange.credential
        if not credential:
            signed = (exchange.call.headers.get("authorization") or "").startswith("AWS4-HMAC-SHA256")
            message = f"No API key. {SIGNED if signed else HELP}"
            raise Refused(Problem(kind="authentication", code="missing_api_key", message=message))
        known = self.digests.get(credential)
        principal = self.principals.get(known or digest(credential))
        if principal is not None:
            if known is None:
                if len(self.digests) >= KEPT:
                    self.digests.clear()
                self.digests[credential] = digest(credential)
        else:  # perhaps the provider's: then ours is beside it
            principal = self.principals.get(digest(gateway_key(exchange.call.headers).encode("latin-1")))
        if principal is None:
            raise Refused(
                Problem(kind="authentication", code="invalid_api_key", message=f"This API key is not known here. {HELP}")
            )
        exchange.principal = principal
