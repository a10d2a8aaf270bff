"""Accounts as documents: what is exported, and what can be imported. Pure.

One rule: tokens are masked unless they are asked for, and what is masked is never taken for a token.
Read are our own exports, the list of accounts of ob12api (`accounts.json`, or its export), and the login of the OB-1 program
(`~/.ob1/credentials.json`).
"""

import datetime as dt
from collections.abc import Iterable, Mapping

import msgspec

from gatewright.account import Account, Tokens
from gatewright.jsontypes import JsonObject, JsonValue

VERSION = 1
MASK = "***"
_MILLISECONDS_FROM = 1e11
"""A number as large as this counts milliseconds: in seconds it would be the year 5138."""


class Unusable(ValueError):
    """A document that no account can be read from. The message says where and why, without any value."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """An account as a document tells of it."""

    provider: str
    """Empty: the document does not say."""
    name: str
    """Empty: the document does not say."""
    tokens: Tokens
    identity: Mapping[str, str] = {}


def written(accounts: Iterable[Account], *, reveal: bool) -> JsonObject:
    """The export of accounts; without `reveal` it serves for looking at only."""
    return {"version": VERSION, "accounts": [_one(account, reveal=reveal) for account in accounts]}


def read(document: JsonValue, now: float) -> tuple[Imported, ...]:
    """The accounts in a document. Raises Unusable; then none of them should be taken."""
    if isinstance(document, dict) and isinstance(document.get("oauth"), dict):
        return (_of_program(document["oauth"], now),)  # type: ignore[arg-type]
    if isinstance(document, dict) and document.get("version", VERSION) != VERSION:
        raise Unusable(f"version: expected {VERSION}; was this exported by a newer gatewright?")
    rows = document.get("accounts") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise Unusable('expected a list of accounts, or an object with "accounts" or "oauth"')
    return tuple(_row(row, f"accounts[{i}]", now) for i, row in enumerate(rows))


def _one(account: Account, *, reveal: bool) -> JsonObject:
    tokens = account.tokens
    shown: JsonObject = {
        "provider": account.provider,
        "name": account.name,
        "state": account.state,
        "identity": dict(account.identity),
        "expires_at": tokens.expires_at if tokens else None,
        "obtained_at": tokens.obtained_at if tokens else None,
        "access_token": None,
        "refresh_token": None,
    }
    if tokens is not None:
        shown["access_token"] = tokens.access if reveal else MASK
        shown["refresh_token"] = (tokens.refresh if reveal else MASK) if tokens.refresh else None
    return shown


def _row(row: JsonValue, where: str, now: float) -> Imported:
    """Ours, or ob12api's: `email`, `org_id`, `org_name`, `user_id` beside the tokens."""
    if not isinstance(row, dict):
        raise Unusable(f"{where}: expected an object")
    identity = row.get("identity")
    found: dict[str, str] = {}
    if isinstance(identity, dict):
        found = {part: text for part, text in identity.items() if isinstance(text, str)}
    for part in ("user_id", "org_id", "org_name"):
        if text := _text(row.get(part)):
            found.setdefault(part, text)
    return Imported(
        provider=_text(row.get("provider")),
        name=_text(row.get("name")) or _text(row.get("email")),
        tokens=_tokens(row, where, now),
        identity=found,
    )


def _of_program(oauth: JsonObject, now: float) -> Imported:
    user = oauth.get("user")
    user = user if isinstance(user, dict) else {}
    parts = {"user_id": _text(user.get("id")), "org_id": _text(oauth.get("organization_id"))}
    return Imported(
        provider="",
        name=_text(user.get("email")) or parts["user_id"],
        tokens=_tokens(oauth, "oauth", now),
        identity={part: text for part, text in parts.items() if text},
    )


def _tokens(row: JsonObject, where: str, now: float) -> Tokens:
    access, refresh = _text(row.get("access_token")), _text(row.get("refresh_token"))
    if MASK in (access, refresh):
        raise Unusable(f"{where}: the tokens are masked; export them with --reveal")
    if not access and not refresh:
        raise Unusable(f'{where}: expected "access_token" and "refresh_token"')
    for name, token in (("access_token", access), ("refresh_token", refresh)):
        if not all("!" <= c <= "~" for c in token):
            raise Unusable(f"{where}.{name}: not a token")
    expires_at = _seconds(row.get("expires_at"), f"{where}.expires_at")
    if not access or (expires_at is None and refresh):
        expires_at = now  # nothing is known of it: it is refreshed before it is used
    obtained_at = _seconds(row.get("obtained_at"), f"{where}.obtained_at")
    if obtained_at is None or obtained_at > now:
        obtained_at = now
    return Tokens(access=access, refresh=refresh, obtained_at=obtained_at, expires_at=expires_at)


def _seconds(value: JsonValue, where: str) -> float | None:
    """Unix seconds, from seconds, milliseconds or RFC 3339 text. 0 is how ob12api says that nothing is known."""
    if isinstance(value, str) and value:
        try:
            value = dt.datetime.fromisoformat(value).timestamp()
        except ValueError:
            raise Unusable(f"{where}: expected seconds since 1970 or a date") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value:
        return None
    return float(value) / 1000 if value >= _MILLISECONDS_FROM else float(value)


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) and value.isprintable() else ""
