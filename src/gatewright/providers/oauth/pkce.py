"""Login by browser: an authorization code, bound to this program by PKCE and brought back to this machine.

One rule: the state must be ours and the code is used once; whatever else comes back is refused.
https://www.rfc-editor.org/rfc/rfc7636, https://www.rfc-editor.org/rfc/rfc8252
"""

import base64
import hashlib
import hmac
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from gatewright.jsontypes import JsonObject
from gatewright.providers.auth.seam import Fetch
from gatewright.providers.oauth.answers import NoGrant
from gatewright.providers.oauth.descriptions import Description
from gatewright.providers.oauth.exchange import ask_for_tokens, host_of

CHANCE_BYTES = 32


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A login under way."""

    url: str
    """To open in a browser."""
    state: str
    verifier: str
    redirect_uri: str

    def __repr__(self) -> str:
        return "Started(***)"


def start(description: Description, redirect_uri: str, chance: bytes) -> Started:
    """`chance`: 64 bytes of it, half for the verifier, half for the state."""
    assert len(chance) == 2 * CHANCE_BYTES
    verifier, state = _base64(chance[:CHANCE_BYTES]), _base64(chance[CHANCE_BYTES:])
    parameters = {
        "response_type": "code",
        "client_id": description.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
    }
    if description.scopes:
        parameters["scope"] = " ".join(description.scopes)
    parts = urlsplit(description.authorize_url)
    query = urlencode([*parse_qsl(parts.query), *{**description.parameters, **parameters}.items()])
    return Started(url=urlunsplit(parts._replace(query=query)), state=state, verifier=verifier, redirect_uri=redirect_uri)


def challenge(verifier: str) -> str:
    """What the server is told of the verifier at first: its SHA-256."""
    return _base64(hashlib.sha256(verifier.encode("ascii")).digest())


def code_in(query: str, started: Started, description: Description) -> str:
    """The code in what the browser brought back. Raises NoGrant."""
    brought = dict(parse_qsl(query))
    host = host_of(description.authorize_url)
    if not hmac.compare_digest(brought.get("state", "").encode(), started.state.encode()):
        raise NoGrant("the browser came back from another login than this one; begin again", error="wrong_state")
    if error := brought.get("error"):
        told = brought.get("error_description", "")
        shown = "".join(c if c.isprintable() else " " for c in f"{error}{': ' if told else ''}{told}"[:300])
        raise NoGrant(f"{host} refused the login: {shown}", error=error)
    if not brought.get("code"):
        raise NoGrant(f"{host} sent the browser back without a code", error="no_code")
    return brought["code"]


async def redeem(description: Description, started: Started, code: str, fetch: Fetch) -> JsonObject:
    """The token answer for a code. Raises NoGrant."""
    return await ask_for_tokens(
        description,
        fetch,
        {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": started.redirect_uri,
            "code_verifier": started.verifier,
        },
    )


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
