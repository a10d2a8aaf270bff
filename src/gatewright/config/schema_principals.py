"""The shape of who may call: organizations, teams, users and keys, and the identity providers whose tokens count.

One rule: what is said at one level narrows what the levels above it allow.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from gatewright.config.schema_limits import BudgetSection, LimitSection
from gatewright.config.schema_parameters import OverridesSection
from gatewright.config.secrets import Secret
from gatewright.config.section import Count, Name, Section
from gatewright.exchange import Role
from gatewright.ir.blocks import DialectName

Models = Annotated[list[Name], Field(min_length=1)]


class GroupSection(Section):
    """What an organization, a team and a user have in common."""

    models: Models = ["*"]
    """Models that its keys may use: names, aliases, `provider/model`, with `*` for any text. Default: all."""
    disabled: bool = False
    """Whether all its keys are refused for now."""
    metadata: dict[Name, str] = {}
    """Your own words about it."""
    traces: bool = True
    """False: no traces are kept of what its keys ask, where any are."""
    limits: list[LimitSection] = []
    """For all its keys together."""
    budgets: list[BudgetSection] = []
    """For all its keys together."""


class OrganizationSection(GroupSection):
    """Whoever teams, users and keys belong to."""


class TeamSection(GroupSection):
    """People who share limits, budgets and an admin."""

    organization: Name | None = None
    """That it belongs to."""


class UserSection(GroupSection):
    """A person, or a service, with one or several keys."""

    organization: Name | None = None
    """That it belongs to, where its team does not say so."""
    team: Name | None = None
    """That it belongs to."""
    role: Role = "member"
    """With a token of an identity provider whose claims name none."""


class KeySection(Section):
    """A client key."""

    name: Name
    """For logs and usage; never secret."""
    key: Secret
    """What clients send: `env:NAME`, `file:/path`, or a literal (warned about)."""
    models: Models = ["*"]
    """Models it may use: names, aliases, `provider/model`, with `*` for any text. Default: all."""
    tags: list[Name] = []
    """Words that conditions of routes ask for."""
    role: Role = "member"
    """`admin` may ask for what concerns the whole gateway, `team_admin` for what concerns its team; `viewer` may look, and call
    no model."""
    organization: Name | None = None
    """That it belongs to, where its team does not say so."""
    team: Name | None = None
    """That it belongs to, where its user does not say so."""
    user: Name | None = None
    """That it belongs to."""
    expires: datetime | None = None
    """From when on it is refused, such as `2027-01-01T00:00:00Z`. Default: never."""
    disabled: bool = False
    """Whether it is refused for now."""
    dialects: list[DialectName] = []
    """In which it may make model calls. Default: in all."""
    routes: list[Name] = []
    """What it may ask for: operations (`generate`, `count_tokens`, `list_models`, `forward`, …) and paths with `*`
    (`/v1/embeddings`). Default: all that its role allows."""
    ips: list[Name] = []
    """Networks it may be used from, such as `10.0.0.0/8`. Default: any. Behind a proxy see `server.trusted_proxies`."""
    defaults: OverridesSection = OverridesSection()
    """Parameters for what its requests leave unsaid."""
    max_tokens: Count | None = None
    """Most tokens of an answer; a request for more is given so many."""
    metadata: dict[Name, str] = {}
    """Your own words about it, for traces."""
    traces: bool = True
    """False: no traces are kept of what it asks, where any are."""
    show_cost: bool = False
    """Whether its answers say in headers what they cost, and what is left of its budget."""
    limits: list[LimitSection] = []
    """For this key."""
    budgets: list[BudgetSection] = []
    """For this key."""


class ClaimsSection(Section):
    """Which claims of a token say who somebody is. One within another: `realm_access.roles`."""

    user: Name = "sub"
    """The user's name: `sub`, `email`, …"""
    team: Name | None = None
    """One name, or a list of which the first team that is known counts; a token without a known one is refused."""
    organization: Name | None = None
    """One name, or a list, as `team`."""
    role: Name | None = None
    """One word, or a list of which the highest counts. Without one: the user's own role, else `member`."""


def _one(value: object) -> object:
    return [value] if isinstance(value, str) else value


class JwtSection(Section):
    """An identity provider (OIDC) whose tokens are taken in place of keys."""

    issuer: Name
    """As the tokens name it, to the letter, such as `https://login.example.com`."""
    audience: Annotated[list[Name], Field(min_length=1), BeforeValidator(_one, json_schema_input_type=str | list[str])]
    """For whom tokens must be: one of these."""
    jwks: Name | None = None
    """URL of its keys. Default: as `{issuer}/.well-known/openid-configuration` says, which must be on the issuer's host."""
    algorithms: Annotated[
        list[Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]],
        Field(min_length=1),
    ] = ["RS256", "ES256"]
    """Signatures that count. Never `none`, and none with a shared secret."""
    claims: ClaimsSection = ClaimsSection()
    roles: dict[Name, Role] = {}
    """What the claim of the role calls a role → that role. Default: it has the gateway's own words."""
    models: Models = ["*"]
    """Models that its tokens may use. Default: all."""
    skew_s: Annotated[float, Field(ge=0, le=300)] = 30
    """By how much its clock may differ."""


class AuthSection(Section):
    """Other ways to say who one is than a key."""

    jwt: list[JwtSection] = []
    """Identity providers whose tokens are taken."""
