"""Tokens of identity providers: verified, understood, remembered.

    issuer → its keys → signature → issuer, audience, times → claims → principal

One rule: the algorithm is one of those the operator allows and fits the key; the token has no say in it.
https://www.rfc-editor.org/rfc/rfc8725
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gatewright.errors import Problem, ProblemKind, Refused
from gatewright.exchange import Exchange, Principal
from gatewright.issuers.claims import Rule, principal_of
from gatewright.issuers.key_sets import KeySet, PublicKey
from gatewright.jsontypes import JsonObject
from gatewright.principals.roll import Roll
from gatewright.providers.auth.client_key import gateway_key

LONGEST: Final = 16 << 10
KEPT: Final = 4096
_KEY_OF: Final[Mapping[str, type[PublicKey]]] = {"RS": RSAKey, "PS": RSAKey, "ES": ECKey, "Ed": OKPKey}
"""By the first two letters of an algorithm."""


class Issuer(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    issuer: str
    name: str
    """Of its principals' names: the host, made different from others'."""
    audience: frozenset[str]
    algorithms: tuple[str, ...]
    skew_s: float
    rule: Rule
    keys: KeySet


class Head(msgspec.Struct, frozen=True):
    """What a token says before anybody has verified it."""

    issuer: Issuer
    alg: str
    kid: str


class _Header(msgspec.Struct, frozen=True):
    alg: str = ""
    kid: str = ""
    crit: msgspec.Raw = msgspec.Raw()
    b64: bool = True


class _Body(msgspec.Struct, frozen=True):
    iss: str = ""


class IssuedTokens:
    """`authenticate.Tokens`, of all issuers of one configuration."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._roll: Roll | None = None
        self._known: dict[bytes, Principal] = {}
        """By the SHA-256 of the whole token."""

    def know(self, roll: Roll) -> None:
        self._roll = roll
        self._known = {}

    def is_ours(self, token: str) -> bool:
        return self.head(token.encode("latin-1", "replace")) is not None

    def head(self, token: bytes) -> Head | None:
        """None: it is no token of an issuer that counts."""
        if not token.startswith(b"eyJ") or len(token) > LONGEST or token.count(b".") != 2:
            return None
        head, body, _ = token.split(b".")
        try:
            header = msgspec.json.decode(_plain(head), type=_Header)
            issuer = self._issuers.get(msgspec.json.decode(_plain(body), type=_Body).iss)
        except (msgspec.DecodeError, binascii.Error, ValueError):
            return None
        if issuer is None:
            return None
        return Head(issuer, "" if header.crit or not header.b64 else header.alg, header.kid)

    def principal(self, token: bytes, now: float) -> Principal | None:
        """Who it is. None: it is no token of an issuer that counts. Raises Refused for one that is not good."""
        known = self._known.get(mark := hashlib.sha256(token).digest())
        if known is not None:
            return known
        head = self.head(token)
        if head is None or self._roll is None:
            return None
        issuer = head.issuer
        claims = _verified(token, head)
        expires = _check_times(claims, now, issuer.skew_s)
        audience = claims.get("aud")
        if not issuer.audience.intersection(word for word in _listed(audience) if isinstance(word, str)):
            raise _bad("wrong_audience", "This token is for somebody else: its audience is not one that this gateway goes by.")
        if claims.get("iss") != issuer.issuer:
            raise _bad("invalid_token", "This token's issuer is another than it seemed.")
        found = principal_of(claims, issuer.name, expires + issuer.skew_s, issuer.rule, self._roll)
        if not isinstance(found, Principal):
            kind: ProblemKind = "authentication" if found[0] == "invalid_token" else "permission"
            raise Refused(Problem(kind=kind, code=found[0], message=found[1]))
        if len(self._known) >= KEPT:
            self._known.clear()
        self._known[mark] = found
        return found

    def lacking(self, exchange: Exchange) -> Head | None:
        """The token of a request that comes before the keys it is to be judged by; None where there is nothing to wait for."""
        for token in (exchange.credential, _beside(exchange)):
            if token.startswith(b"eyJ") and hashlib.sha256(token).digest() not in self._known:
                head = self.head(token)
                if head is not None and head.issuer.keys.wants(head.kid):
                    return head
        return None


def _beside(exchange: Exchange) -> bytes:
    try:
        return gateway_key(exchange.call.headers).encode("latin-1", "replace")
    except Refused:  # `authenticate` tells it
        return b""


def _verified(token: bytes, head: Head) -> JsonObject:
    """The claims of a token whose signature is good. Raises Refused."""
    issuer = head.issuer
    if head.alg not in issuer.algorithms:
        raise _bad("invalid_token", f"This token is signed in a way that does not count; {', '.join(issuer.algorithms)} do.")
    key = issuer.keys.find(head.kid)
    if key is None:
        if not issuer.keys.there:
            message = "The identity provider's keys cannot be fetched now. Try again shortly."
            headers = (("retry-after", "5"),)
            raise Refused(Problem(kind="overloaded", code="issuer_unavailable", message=message, headers=headers))
        raise _bad("invalid_token", "This token is signed with a key that its issuer does not publish.")
    declared = key.get("alg")
    if not isinstance(key, _KEY_OF[head.alg[:2]]) or (declared is not None and declared != head.alg):
        raise _bad("invalid_token", "This token's algorithm does not fit its issuer's key.")
    try:
        claims = jwt.decode(token, key, algorithms=[head.alg]).claims
    except (JoseError, ValueError, TypeError):
        raise _bad("invalid_token", "This token's signature is not good.") from None
    return dict(claims)


def _check_times(claims: JsonObject, now: float, skew_s: float) -> float:
    """When it ends, in unix seconds. Raises Refused."""
    ends, begins = claims.get("exp"), claims.get("nbf", claims.get("iat", 0))
    if not _is_time(ends):
        raise _bad("invalid_token", "This token has no end (`exp`).")
    assert isinstance(ends, int | float)
    if ends + skew_s <= now:
        raise _bad("token_expired", "This token has expired; get another one from its issuer.")
    if not _is_time(begins) or (isinstance(begins, int | float) and begins - skew_s > now):
        raise _bad("invalid_token", "This token is not good yet.")
    return float(ends)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11


def _listed(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def _plain(part: bytes) -> bytes:
    return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _bad(code: str, message: str) -> Refused:
    return Refused(Problem(kind="authentication", code=code, message=message))
