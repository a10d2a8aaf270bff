"""The logins that are known: one row each, data only.

One rule: every URL and id here can be said otherwise in the configuration; what is looked up at the API lies under the provider's
base URL, and so moves with it.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec


class Lookup(msgspec.Struct, frozen=True, kw_only=True):
    """Something about an account that only the API can tell, asked once after the login with its token."""

    path: str
    """Under the provider's base URL; `{user_id}` and other parts of the identity are put in."""
    rows: str = "data"
    """Where the answer's list is."""
    takes: Mapping[str, str]
    """Part of the identity → field of a row. The first part is the row's id: `gatewright login --choose` names it."""
    title: str
    """What a row is, for a person."""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """How to log in somewhere, and what a call must carry afterwards."""

    name: str
    title: str
    client_id: str = ""
    """Public: it names the program, and proves nothing."""
    client_secret: str = ""
    """For clients that an operator has registered; sent to the token endpoint only."""
    device_url: str = ""
    """Empty: no device flow (RFC 8628)."""
    authorize_url: str = ""
    """Empty: no login by browser with PKCE (RFC 7636)."""
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    parameters: Mapping[str, str] = {}
    """More to say when a login begins, such as `audience`."""
    redirect_path: str = "/callback"
    redirect_port: int = 0
    """Where the browser is sent back to on this machine. 0: any free port, which RFC 8252 has servers allow."""
    name_from: tuple[str, ...] = ("user.email", "id_token.email", "id_token.preferred_username", "user.id", "id_token.sub")
    """Where the token answer says who it is; the first that is there. `id_token.x` and `access_token.x` look inside a JWT."""
    identity: Mapping[str, str] = {}
    """Part of the identity → where the token answer says it."""
    lookups: tuple[Lookup, ...] = ()
    bearers: tuple[str, ...] = ("{access_token}",)
    """What `Authorization: Bearer` carries; the first whose parts are all known."""
    refresh_ahead_s: float = 600
    """Of a short life, the last quarter."""
    home_file: str = ""
    """Where its own program keeps its login, under the home folder; `gatewright accounts import` looks there."""
    docs: str = ""

    @property
    def flows(self) -> tuple[Literal["device", "browser"], ...]:
        """How one can log in, the preferred way first."""
        ways: tuple[tuple[Literal["device", "browser"], str], ...] = (
            ("device", self.device_url),
            ("browser", self.authorize_url),
        )
        return tuple(way for way, url in ways if url)

    def __repr__(self) -> str:
        return f"Description({self.name!r})"


DESCRIPTIONS: tuple[Description, ...] = (
    Description(
        name="ob1",
        title="OB-1",
        client_id="client_01K8YDZSSKDMK8GYTEHBAW4N4S",
        device_url="https://api.workos.com/user_management/authorize/device",
        token_url="https://api.workos.com/user_management/authenticate",  # noqa: S106 - a URL
        identity={"user_id": "user.id", "org_id": "organization_id"},
        lookups=(
            Lookup(
                path="auth/organizations?user_id={user_id}",
                takes={"org_id": "organizationId", "org_name": "organizationName"},
                title="organization",
            ),
        ),
        bearers=("{access_token}:{org_id}", "{access_token}"),
        home_file=".ob1/credentials.json",
        docs="https://workos.com/docs/reference/authkit/cli-auth",
    ),
)

BY_NAME: dict[str, Description] = {description.name: description for description in DESCRIPTIONS}


def bearer(description: Description, access: str, identity: Mapping[str, str]) -> str:
    """What `Authorization: Bearer` carries for this account."""
    parts = {**identity, "access_token": access}
    for template in description.bearers:
        try:
            if all(parts[name] for name in _names(template)):
                return template.format_map(parts)
        except KeyError:
            continue
    return access


def _names(template: str) -> list[str]:
    return [piece.partition("}")[0] for piece in template.split("{")[1:]]
