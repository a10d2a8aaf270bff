"""What a token endpoint answers: tokens, or why there are none. Pure.

One rule: nothing that was sent is ever quoted, and of an answer only its error code and a short description.
https://www.rfc-editor.org/rfc/rfc6749#section-5
"""

import base64
import binascii
import re
from collections.abc import Mapping

import msgspec

from gatewright.account import Tokens
from gatewright.errors import GatewrightError, Problem
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.providers.oauth.descriptions import Description

TERMINAL = frozenset({"invalid_grant", "access_denied", "mfa_enrollment", "sso_required", "expired_token"})
"""Errors that no later try mends: somebody has to log in.
The middle two are WorkOS's: https://workos.com/docs/authkit/session-resilience"""

CONFIGURED = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"})
"""Errors of what the configuration says, not of the account."""

DEFAULT_LIFE_S = 3600.0
"""For an access token that says nothing of its end and can be refreshed."""
MAX_DESCRIPTION = 200
_WORD = re.compile(r"[!-~]+")
"""A token: it will stand in a header."""
MAX_LIFE_S = 10 * 366 * 86_400.0


class NoGrant(GatewrightError):
    """A token endpoint did not grant. The message names the endpoint's host and says why; never what was sent."""

    def __init__(self, message: str, *, error: str = "", retry_after_s: float | None = None, heard: bool = True) -> None:
        super().__init__(Problem(kind="upstream", code=error or None, message=message, retry_after_s=retry_after_s))
        self.error = error
        """The RFC's code, or empty where the answer was none of the RFC's."""
        self.heard = heard
        """Whether the request may have been heard and its token used up."""

    @property
    def terminal(self) -> bool:
        """Whether the account is lost until somebody logs in."""
        return self.error in TERMINAL


def granted(status: int, headers: Mapping[str, str], body: bytes, where: str) -> JsonObject:
    """The token answer. `where`: the endpoint's host, for messages. Raises NoGrant."""
    document = _document(body)
    access = document.get("access_token") if document is not None else None
    if status < 300 and document is not None and isinstance(access, str) and _WORD.fullmatch(access):
        return document
    error = (document.get("error") or document.get("code")) if document is not None else None
    if document is not None and isinstance(error, str) and error:  # some servers refuse with status 200
        told = document.get("error_description") or document.get("message")
        description = f": {_shown(told)}" if isinstance(told, str) and told else ""
        advice = "; see the provider's oauth section" if error in CONFIGURED else ""
        raise NoGrant(
            f"{where} refused with {_shown(error)!r}{description}{advice}",
            error=error,
            retry_after_s=_seconds(headers.get("retry-after")),
            heard=status >= 500,
        )
    if document is None:
        kind = headers.get("content-type", "").partition(";")[0].strip() or "no content type"
        what = f"{_shown(kind)} instead of JSON; is this the token endpoint, and is no proxy or login page between?"
    else:
        what = "no usable access token" if status < 300 else "no error code"
    raise NoGrant(
        f"{where} answered {status} with {what}", retry_after_s=_seconds(headers.get("retry-after")), heard=status != 429
    )


def tokens_in(answer: JsonObject, now: float, *, kept: str = "") -> Tokens:
    """The tokens of a token answer that came at `now`. `kept`: the refresh token that goes on serving where none is granted.

    Where the answer does not say how long the access token lives, the token itself does if it is a JWT. Its life counts from
    our own `now`, so that clocks need not agree.
    """
    access, refresh = str(answer["access_token"]), answer.get("refresh_token")
    life = _number(answer.get("expires_in"))
    if life is None:
        claims = claims_of(access)
        ends, issued = _number(claims.get("exp")), _number(claims.get("iat"))
        if ends is not None:
            life = ends - (now if issued is None else issued)
    kept_refresh = refresh if isinstance(refresh, str) and refresh else kept
    if life is None and kept_refresh:
        life = DEFAULT_LIFE_S
    expires_at = None if life is None else now + min(max(life, 0.0), MAX_LIFE_S)
    return Tokens(access=access, refresh=kept_refresh, obtained_at=now, expires_at=expires_at)


def identity_in(answer: JsonObject, description: Description) -> dict[str, str]:
    """The parts of the identity that the token answer tells."""
    found = {part: _text_at(answer, place) for part, place in description.identity.items()}
    return {part: text for part, text in found.items() if text}


def name_in(answer: JsonObject, description: Description) -> str:
    """What a person knows the account by; empty where the answer does not say."""
    return next((text for place in description.name_from if (text := _text_at(answer, place))), "")


def claims_of(token: str) -> JsonObject:
    """The claims of a JWT, unverified: a hint from whoever issued it. Empty for any other token."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _text_at(answer: JsonObject, place: str) -> str:
    first, _, rest = place.partition(".")
    value: JsonValue = answer.get(first)
    if rest and isinstance(value, str):
        value = claims_of(value)
    for step in filter(None, rest.split(".")):
        value = value.get(step) if isinstance(value, dict) else None
    return _shown(value) if isinstance(value, str) else ""


def _document(body: bytes) -> JsonObject | None:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _shown(text: str) -> str:
    """Printable and short: a server's words may reach a terminal."""
    return "".join(c if c.isprintable() else " " for c in text[:MAX_DESCRIPTION])


def _number(value: JsonValue) -> float | None:
    """A number of seconds; some servers write it as text."""
    if isinstance(value, str) and value.isdecimal() and len(value) < 16:
        return float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15 else None


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and value.isdecimal() and len(value) < 8 else None
