"""Authenticate: whose call is this? Keys are compared by the full SHA-256, in constant work, never by a prefix."""

import hashlib
from collections.abc import Mapping

from gatewright.errors import Problem, Refused
from gatewright.exchange import Exchange, Next, Principal, Reply
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


class Authenticate:
    """Sets `exchange.principal`. Above everything that costs anything."""

    def __init__(self, principals: Mapping[bytes, Principal]) -> None:
        self.principals = principals
        """SHA-256 of the key → who it is."""

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        credential = exchange.credential
        if not credential:
            signed = (exchange.call.headers.get("authorization") or "").startswith("AWS4-HMAC-SHA256")
            message = f"No API key. {SIGNED if signed else HELP}"
            raise Refused(Problem(kind="authentication", code="missing_api_key", message=message))
        principal = self.principals.get(digest(credential))
        if principal is None:  # perhaps the provider's: then ours is beside it
            principal = self.principals.get(digest(gateway_key(exchange.call.headers).encode("latin-1")))
        if principal is None:
            raise Refused(
                Problem(kind="authentication", code="invalid_api_key", message=f"This API key is not known here. {HELP}")
            )
        exchange.principal = principal
        return await following(exchange)
