"""Authenticate: whose call is this, and may whoever it is ask for it here?

Keys are compared by the full SHA-256, in constant work, never by a prefix. One rule: whatever nobody has allowed is refused.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from gatewright.errors import Problem, Refused
from gatewright.exchange import Check, Exchange, Network, Principal
from gatewright.pipeline.permissions import CALLS, GRANTED, OPERATIONS, forbidden
from gatewright.principals.networks import caller, within
from gatewright.principals.roll import EXPIRED, Roll, Why
from gatewright.principals.secrets import digest
from gatewright.providers.auth.client_key import gateway_key

HELP = (
    "Send the gateway's key as `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `api-key` or `?key=`; "
    "as `x-gatewright-key` beside a provider's key."
)

SIGNED = (
    "This request is signed for AWS, which says nothing here. Send the gateway's key as a bearer token: "
    "set AWS_BEARER_TOKEN_BEDROCK to it, which the AWS SDKs prefer to a signature."
)

KEPT = 4096
"""Keys whose digest is remembered."""


class Tokens(Protocol):
    """Who knows the tokens of identity providers."""

    def know(self, roll: Roll) -> None:
        """Teams and users are these from now on."""
        ...

    def principal(self, token: bytes, now: float) -> Principal | None:
        """Who it is. None: it is no such token. Raises Refused for one that is not good."""
        ...

    def is_ours(self, token: str) -> bool:
        """Whether it is of one of the issuers, good or not."""
        ...


class Authenticate(Check):
    """Sets `exchange.principal`. Above everything that costs anything."""

    def __init__(
        self,
        roll: Roll,
        *,
        clock: Callable[[], float] = time.time,
        trusted: Sequence[Network] = (),
        tokens: Tokens | None = None,
    ) -> None:
        """`trusted`: proxies that are believed whom they serve."""
        self.tokens = tokens
        self.roll = roll
        self.principals: Mapping[bytes, Principal] = roll.principals
        """SHA-256 of the key → who it is."""
        self.complete = True
        self.trusted = tuple(trusted)
        self._clock = clock
        self.digests: dict[bytes, bytes] = {}
        """Of keys that were good: hashing one costs more than all else here. Found by a keyed hash, so not by a prefix either."""

    def know(self, roll: Roll, *, complete: bool = True) -> None:
        """From now on these are the keys.

        `complete`: whether they are all. Else those that are stored could not be read yet, and nobody is told that his is wrong.
        """
        self.roll, self.complete = roll, complete
        self.principals = roll.principals
        if self.tokens is not None:
            self.tokens.know(roll)

    def inherit(self, elder: "Authenticate") -> None:
        """Remember the digests that `elder` does, of keys that are still good."""
        self.digests.update({key: known for key, known in elder.digests.items() if known in self.principals})

    def is_ours(self, key: str) -> bool:
        """Whether a provider must never see it: good or not, it opened this gateway once."""
        found = digest(key.encode("latin-1", "replace"))
        return found in self.principals or found in self.roll.barred or (self.tokens is not None and self.tokens.is_ours(key))

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
        else:
            principal = self._otherwise(exchange, credential)
        if exchange.operation not in GRANTED[principal.role]:
            raise forbidden(principal, OPERATIONS.get(exchange.operation))
        if principal.guarded:
            self._guard(exchange, principal)
        exchange.principal = principal

    def _otherwise(self, exchange: Exchange, credential: bytes) -> Principal:
        """Who it is whose key is not known. Raises Refused."""
        if (why := self.roll.barred.get(digest(credential))) is not None:
            raise _refused(why)
        if self.tokens is not None and (principal := self.tokens.principal(credential, self._clock())) is not None:
            return principal
        beside = gateway_key(exchange.call.headers).encode("latin-1")  # the first is the provider's, perhaps
        found = digest(beside)
        if (principal := self.principals.get(found)) is not None:
            return principal
        if (why := self.roll.barred.get(found)) is not None:
            raise _refused(why)
        if beside and self.tokens is not None and (principal := self.tokens.principal(beside, self._clock())) is not None:
            return principal
        if not self.complete:
            message = "The gateway cannot look keys up now: its database does not answer. Try again shortly."
            headers = (("retry-after", "5"),)
            raise Refused(
                Problem(kind="overloaded", code="keys_unavailable", message=message, retry_after_s=5.0, headers=headers)
            )
        raise _refused(("invalid_api_key", f"This API key is not known here. {HELP}"))

    def _guard(self, exchange: Exchange, principal: Principal) -> None:
        if principal.expires and principal.expires <= self._clock():
            raise _refused(EXPIRED)
        if principal.networks:
            connection = exchange.connection
            peer = connection.get_extra_info("peername") if connection is not None else None
            written = exchange.call.headers.get("x-forwarded-for") or ""
            found = caller(peer[0], written, self.trusted) if isinstance(peer, tuple) and peer else None
            if found is None or not within(found, principal.networks):
                where = "an address that nobody can tell" if found is None else str(found)
                raise _not_allowed(
                    "ip_not_allowed", f"This key may not be used from {where}; its owner says from which networks it may."
                )
        if exchange.operation in CALLS and principal.dialects and exchange.dialect not in principal.dialects:
            allowed = ", ".join(sorted(principal.dialects))
            raise _not_allowed("dialect_not_allowed", f"This key may be used with {allowed} alone, not with {exchange.dialect}.")
        if principal.routes and not _fits(principal.routes, exchange):
            raise _not_allowed("route_not_allowed", f"This key may be used for {', '.join(principal.routes)} alone.")


def _fits(routes: tuple[str, ...], exchange: Exchange) -> bool:
    path = exchange.call.path
    return any(
        (fnmatchcase(path, route) or fnmatchcase(f"/v1{path}", route)) if route[0] == "/" else exchange.operation == route
        for route in routes
    )


def _refused(why: Why) -> Refused:
    return Refused(Problem(kind="authentication", code=why[0], message=why[1]))


def _not_allowed(code: str, message: str) -> Refused:
    return Refused(Problem(kind="permission", code=code, message=message))
