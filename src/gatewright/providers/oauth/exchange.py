"""Asking an identity provider: forms out, token answers in.

One rule: every request is bounded in time, and every failure is a NoGrant that names the host and nothing that was sent.
"""

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

import msgspec

from gatewright.errors import GatewrightError
from gatewright.jsontypes import JsonObject
from gatewright.providers.auth.seam import Fetch
from gatewright.providers.oauth.answers import NoGrant, granted
from gatewright.providers.oauth.descriptions import Description, Lookup

TIMEOUT_S = 15.0
"""For one request. Shorter than the lease of a refresh, and than the time in which most accept a used token once more."""
LOOKUP_TIMEOUT_S = 15.0

FORM: Mapping[str, str] = {
    "content-type": "application/x-www-form-urlencoded",
    "accept": "application/json",
    "user-agent": "gatewright",
}


async def ask_for_tokens(description: Description, fetch: Fetch, form: Mapping[str, str]) -> JsonObject:
    """The token endpoint's answer to `form`, which is sent with the client's id. Raises NoGrant."""
    status, headers, body = await send_form(description, fetch, description.token_url, form)
    return granted(status, headers, body, host_of(description.token_url))


async def send_form(
    description: Description, fetch: Fetch, url: str, form: Mapping[str, str]
) -> tuple[int, Mapping[str, str], bytes]:
    """(status, headers, body) of a form sent to an endpoint of the identity provider. Raises NoGrant when nothing came."""
    client = {"client_id": description.client_id}
    if description.client_secret and url == description.token_url:
        client["client_secret"] = description.client_secret
    try:
        return await fetch("POST", url, FORM, urlencode({**form, **client}).encode(), TIMEOUT_S)
    except GatewrightError as error:
        raise unreached(error, url) from None


async def refresh(description: Description, fetch: Fetch, refresh_token: str) -> JsonObject:
    """A new token answer for a refresh token, which may be used up by it. Raises NoGrant."""
    return await ask_for_tokens(description, fetch, {"grant_type": "refresh_token", "refresh_token": refresh_token})


async def look_up(
    lookup: Lookup, fetch: Fetch, *, base_url: str, bearer: str, identity: Mapping[str, str], headers: Mapping[str, str]
) -> tuple[dict[str, str], ...]:
    """What the API tells of the account: one part of an identity for each row. Raises NoGrant."""
    query = urlencode_parts(lookup.path, identity)
    url = f"{base_url.rstrip('/')}/{query}"
    sent = {"accept": "application/json", "user-agent": "gatewright", **headers, "authorization": f"Bearer {bearer}"}
    try:
        status, _, body = await fetch("GET", url, sent, b"", LOOKUP_TIMEOUT_S)
    except GatewrightError as error:
        raise unreached(error, url) from None
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        document = None
    rows = document.get(lookup.rows) if isinstance(document, dict) else None
    if status >= 300 or not isinstance(rows, list):
        raise NoGrant(f"{host_of(url)} answered {status} when asked for the {lookup.title}s of the account")
    found = [
        {part: row[field] for part, field in lookup.takes.items() if isinstance(row.get(field), str)}
        for row in rows
        if isinstance(row, dict)
    ]
    key = next(iter(lookup.takes))
    return tuple(parts for parts in found if parts.get(key))


def urlencode_parts(path: str, identity: Mapping[str, str]) -> str:
    """`path` with the parts of an identity put in, each encoded for a query."""
    for part, value in identity.items():
        path = path.replace("{" + part + "}", urlencode({"": value})[1:])
    return path


def host_of(url: str) -> str:
    """What messages call an endpoint."""
    return urlsplit(url).netloc.rpartition("@")[2]


def unreached(error: GatewrightError, url: str) -> NoGrant:
    """A failure to get an answer, as a NoGrant. What may have been sent counts as heard."""
    message = error.problem.message
    host = host_of(url)
    return NoGrant(
        message if host in message else f"{host}: {message}",
        retry_after_s=error.problem.retry_after_s,
        heard=bool(getattr(error, "sent", True)),
    )
