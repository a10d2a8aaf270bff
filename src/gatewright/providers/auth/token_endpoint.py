"""Asking an issuer for a token, and reading what it answers: a token, a refusal in OAuth's words, or something else altogether.

One rule: what is told of a failure is the issuer's host, its words and what to do; never what was sent.
https://www.rfc-editor.org/rfc/rfc6749#section-5
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlencode, urlsplit

from gatewright.errors import Problem, UpstreamFailed
from gatewright.jsontypes import JsonObject
from gatewright.providers.auth.refreshed import Lease
from gatewright.providers.auth.seam import Fetch
from gatewright.wire.json import BadJson, decode_object, encode

TIMEOUT_S: Final = 10.0
UNSAID_LIFE_S: Final = 1800.0
"""Of a token whose issuer does not say how long it holds."""
SKEW_TOLD_S: Final = 60.0
"""A clock that is further off is worth telling: assertions and tokens have times in them."""
MAX_WORDS: Final = 400

ADVICE: Final[Mapping[str, str]] = {
    "invalid_grant": "the grant is expired or revoked, or this machine's clock is wrong; make a new credential",
    "invalid_client": "the issuer does not know this client or its secret has expired; check them",
    "unauthorized_client": "this client may not ask for tokens in this way; allow it at the issuer",
    "invalid_scope": "the scope is not one of the issuer's; check `scope`",
    "invalid_target": "the audience is not known there; check the credentials file",
}
"""OAuth's error word → what to do."""


async def ask(
    fetch: Fetch,
    method: str,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    document: JsonObject | None = None,
    headers: Mapping[str, str] | None = None,
    secrets: Sequence[str] = (),
    clock: Callable[[], float],
    timeout_s: float | None = None,
) -> JsonObject:
    """The JSON of a 200. Raises UpstreamFailed: `secrets` out of whatever the issuer said, its status as the problem's `type`."""
    sent = dict(headers or {})
    body = b""
    if form is not None:
        body = urlencode(form).encode("ascii")
        sent["content-type"] = "application/x-www-form-urlencoded"
    elif document is not None:
        body = encode(document)
        sent["content-type"] = "application/json"
    status, seen, answer = await fetch(method, url, sent, body, timeout_s or TIMEOUT_S)
    where = urlsplit(url).netloc.rpartition("@")[2]
    try:
        told = decode_object(answer)
    except BadJson:
        kind = seen.get("content-type", "").partition(";")[0].strip() or "no content type"
        why = f"{where} answered {status} with {kind[:60]}, not with a token; is it the issuer?"
        raise UpstreamFailed(Problem(kind="upstream", message=why, type=str(status))) from None
    if status == 200:
        return told
    words = _words(told)
    for secret in secrets:
        if secret:
            words = words.replace(secret, "***")
    advice = ADVICE.get(str(told.get("error")), "")
    raise UpstreamFailed(
        Problem(
            kind="rate_limit" if status == 429 else "upstream",
            message=f"{where} answered {status}: {words}{'; ' + advice if advice else ''}{skew_told(seen, clock())}",
            code=str(told.get("error")) if isinstance(told.get("error"), str) else None,
            type=str(status),
            retry_after_s=_seconds(seen.get("retry-after", "")),
        )
    )


def lease_of(told: JsonObject, where: str, now: float) -> Lease[str]:
    """The token in an answer (`access_token`, `expires_in` or `expires_on`). Raises UpstreamFailed where there is none."""
    token = told.get("access_token")
    if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
        raise UpstreamFailed(Problem(kind="upstream", message=f"{where} answered 200 without an access_token"))
    life = _seconds(told.get("expires_in"))
    if life is None:
        until = _seconds(told.get("expires_on"))
        life = until - now if until is not None else UNSAID_LIFE_S
    early = _seconds(told.get("refresh_in"))
    return Lease(token, now + life, now + early if early is not None and early < life else None)


def skew_told(headers: Mapping[str, str], now: float) -> str:
    """Words for a clock that differs much from the issuer's; empty for one that does not, or where none was told."""
    try:
        theirs = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return ""
    off = now - (theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)).timestamp()
    if abs(off) < SKEW_TOLD_S:
        return ""
    return f" (this machine's clock is {abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the issuer's; set it)"


def seconds_of(timestamp: str) -> float | None:
    """Seconds since 1970 of an RFC 3339 time, as in `expireTime`."""
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return None


def _seconds(value: object) -> float | None:
    """A number of seconds, also where it is written as text (Azure's metadata service does)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < 1e12 else None


def _words(told: JsonObject) -> str:
    """An error in the issuer's words, on one line: OAuth's, Google's, or whatever was there."""
    error = told.get("error")
    if isinstance(error, dict):
        parts = [error.get("status"), error.get("message")]
    else:
        parts = [error, told.get("error_description") or told.get("message") or told.get("Message")]
    text = ": ".join(part for part in parts if isinstance(part, str) and part)
    return " ".join(text.split())[:MAX_WORDS] or "an error without words"
