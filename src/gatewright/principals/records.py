"""Organizations, teams, users and keys as they are declared or stored. No secret is in any of them.

One rule: a record says what somebody has written and nothing that follows from it; `roll.py` draws the conclusions.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from gatewright.exchange import Role
from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject
from gatewright.limits.terms import Budget, Level, Limit

NAME_PATTERN: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}$"
"""Of whatever is stored: good in a path, in a shell and in a table."""
ROLES: Final[tuple[Role, ...]] = ("viewer", "member", "team_admin", "admin")
"""In the order of what they may do."""

Id: TypeAlias = Annotated[str, Meta(pattern=NAME_PATTERN)]
Above: TypeAlias = Annotated[str, Meta(pattern=rf"^$|{NAME_PATTERN}")]
"""The id of a level above; empty for none."""
Glob: TypeAlias = Annotated[str, Meta(min_length=1, max_length=256)]
Globs: TypeAlias = Annotated[tuple[Glob, ...], Meta(min_length=1, max_length=200)]
Words: TypeAlias = Annotated[tuple[Glob, ...], Meta(max_length=200)]
Notes: TypeAlias = Annotated[dict[Annotated[str, Meta(max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=32)]
Kind: TypeAlias = Literal["organizations", "teams", "users", "keys", "limits", "budgets"]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What all of them have."""

    id: Id
    disabled: bool = False
    """Whether its keys, and those of whoever is beneath it, are refused for now."""


class Group(Record, frozen=True, kw_only=True):
    """Somebody that keys belong to."""

    models: Globs = ("*",)
    """Globs of the model names that may be asked for."""
    metadata: Notes = {}
    traces: bool = True
    """False: no traces are kept of what its keys ask, where any are."""


class Organization(Group, frozen=True, kw_only=True):
    pass


class Team(Group, frozen=True, kw_only=True):
    organization: Above = ""


class User(Group, frozen=True, kw_only=True):
    organization: Above = ""
    team: Above = ""
    role: Role = "member"
    """Of tokens of an identity provider whose claims name none."""


class Key(Record, frozen=True, kw_only=True):
    """A virtual key, without what clients send."""

    name: Id
    """For people; no two have the same, not even one after the other."""
    models: Globs = ("*",)
    tags: Words = ()
    role: Role = "member"
    organization: Above = ""
    team: Above = ""
    user: Above = ""
    expires: Annotated[int, Meta(ge=0)] = 0
    """Unix seconds. 0: never."""
    dialects: Annotated[tuple[DialectName, ...], Meta(max_length=16)] = ()
    routes: Words = ()
    """Operations (`generate`, `forward`, …) and globs of paths (`/v1/embeddings`). Empty: all that its role allows."""
    ips: Words = ()
    """Networks that it may call from, such as `10.0.0.0/8`. Empty: any."""
    defaults: JsonObject = {}
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    metadata: Notes = {}
    show_cost: bool = False
    traces: bool = True
    revoked: Annotated[int, Meta(ge=0)] = 0
    """Unix seconds since when it is good for nothing, for ever. 0: it is not."""


class Grant(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Whose a limit or budget is."""

    id: Id
    level: Level
    owner: Above = ""
    """Id of the organization, team, user or key; empty for `all`."""


class GrantedLimit(Grant, frozen=True, kw_only=True):
    limit: Limit


class GrantedBudget(Grant, frozen=True, kw_only=True):
    budget: Budget


AnyRecord: TypeAlias = Organization | Team | User | Key | GrantedLimit | GrantedBudget

TYPES: Final[Mapping[Kind, type[Organization | Team | User | Key | GrantedLimit | GrantedBudget]]] = {
    "organizations": Organization,
    "teams": Team,
    "users": User,
    "keys": Key,
    "limits": GrantedLimit,
    "budgets": GrantedBudget,
}
KIND_OF: Final[Mapping[Level, Kind]] = {"organization": "organizations", "team": "teams", "user": "users", "key": "keys"}
"""Where the owner of a limit or budget is to be found."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A key with what is kept in place of what clients send."""

    key: Key
    digest: bytes
    """SHA-256 of it."""
    previous: bytes = b""
    """Of the one before a rotation; empty where there is none."""
    previous_ends: int = 0
    """Unix seconds until which that is good as well."""


class Granted(msgspec.Struct, frozen=True):
    limits: tuple[Limit, ...] = ()
    budgets: tuple[Budget, ...] = ()


NOTHING: Final = Granted()

PROBER: Final = "gatewright-probe"
RESERVED: Final = frozenset((PROBER,))
"""Names of keys that are the gateway's own: what it calls of its own accord is written down under them."""


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """All there is of one source: the configuration, or the database."""

    organizations: Mapping[str, Organization] = {}
    teams: Mapping[str, Team] = {}
    users: Mapping[str, User] = {}
    keys: tuple[Held, ...] = ()
    granted: Mapping[tuple[Level, str], Granted] = {}
    """By level and id of the owner."""
