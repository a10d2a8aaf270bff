"""The roll: of every key, who it is; or why it is nobody any more. A pure function of what is declared and what is stored.

One rule: it fails closed. A key whose team is gone, disabled or not its own is refused, not let in without one.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from gatewright.exchange import Principal
from gatewright.limits.terms import Level, Scope
from gatewright.principals.networks import network
from gatewright.principals.records import NOTHING, Granted, Group, Held, Key, Organization, Records, Team, User
from gatewright.principals.stored import Stored, Touched

Why: TypeAlias = tuple[str, str]
"""Code and message of a refusal."""

REVOKED: Final[Why] = ("key_revoked", "This API key was revoked.")
DISABLED: Final[Why] = ("key_disabled", "This API key is disabled for now.")
EXPIRED: Final[Why] = ("key_expired", "This API key has expired.")
REPLACED: Final[Why] = ("key_replaced", "This API key was replaced by another one.")
SHADOWED: Final[Why] = ("key_disabled", "The gateway's configuration declares another key of this name, which counts instead.")


class Roll(msgspec.Struct, frozen=True, kw_only=True):
    """By the SHA-256 of a key."""

    principals: dict[bytes, Principal]
    barred: dict[bytes, Why]
    """Of those that are known and no longer good."""
    declared: Records
    stored: Records

    def organization(self, name: str) -> Organization | None:
        return self.declared.organizations.get(name) or self.stored.organizations.get(name)

    def team(self, name: str) -> Team | None:
        return self.declared.teams.get(name) or self.stored.teams.get(name)

    def user(self, name: str) -> User | None:
        return self.declared.users.get(name) or self.stored.users.get(name)


class Place(msgspec.Struct, frozen=True):
    """Where in the house somebody belongs."""

    organization: str = ""
    team: str = ""
    user: str = ""
    groups: tuple[Group, ...] = ()
    """Those records, the widest first."""


def roll_of(declared: Records, stored: Records, now: float, before: Roll | None = None) -> Roll:
    """What is declared wins over what is stored under the same name. `now`: unix seconds.

    A principal of `before` that has not changed is that very object: others remember what they know of it.
    """
    roll = Roll(principals={}, barred={}, declared=declared, stored=stored)
    old = {} if before is None else before.principals
    names = {held.key.name for held in declared.keys}
    for held in stored.keys:  # first: what comes later wins
        _enter(roll, held, now, old, SHADOWED if held.key.name in names else None)
    for held in declared.keys:
        _enter(roll, held, now, old, None)
    return roll


def roll_after(before: Roll, stored: Stored, touched: Touched, now: float) -> Roll:
    """As `roll_of` what is declared in `before` and now `stored`; only those are looked at whom the change has `touched`.

    Whoever is not touched is as he was found to be then: a key that has ended since is still among the principals, and says so.
    """
    if touched.everybody:
        return roll_of(before.declared, stored.records, now, before)
    roll = Roll(principals=dict(before.principals), barred=dict(before.barred), declared=before.declared, stored=stored.records)
    is_touched = _touches(roll, touched)
    anew = set(touched.digests)
    for digest in touched.digests:
        roll.principals.pop(digest, None)
        roll.barred.pop(digest, None)
    names = {held.key.name for held in roll.declared.keys}
    keys = stored.entries.keys
    if touched.organizations or touched.teams or touched.users:
        found = [held for held in keys.values() if is_touched(held.key)]
    else:
        found = [keys[one] for one in touched.keys if one in keys]
    for held in found:  # first: as in `roll_of`
        _enter(roll, held, now, before.principals, SHADOWED if held.key.name in names else None)
        anew.update(digest for digest, _ in _digests(held))
    for held in roll.declared.keys:
        if held.digest in anew or is_touched(held.key):
            _enter(roll, held, now, before.principals, None)
    return roll


def _touches(roll: Roll, touched: Touched) -> Callable[[Key], bool]:
    """Whether a key, or somebody that it belongs to, is touched. What has not changed leads to where it led before."""
    organizations, keys = touched.organizations, touched.keys
    teams, users = set(touched.teams), set(touched.users)
    if organizations or teams or users:
        sources = (roll.declared, roll.stored)
        teams.update(name for of in sources for name, team in of.teams.items() if team.organization in organizations)
        users.update(
            name for of in sources for name, user in of.users.items() if user.organization in organizations or user.team in teams
        )

    def is_touched(key: Key) -> bool:
        return key.id in keys or key.team in teams or key.user in users or key.organization in organizations

    return is_touched


def _enter(roll: Roll, held: Held, now: float, old: Mapping[bytes, Principal], otherwise: Why | None) -> None:
    for digest, ends in _digests(held):
        found = otherwise or _principal(roll, held, now, ends)
        if isinstance(found, Principal):
            known = old.get(digest)
            same = known is not None and msgspec.structs.astuple(known) == msgspec.structs.astuple(found)
            roll.principals[digest] = known if known is not None and same else found
            roll.barred.pop(digest, None)
        else:
            roll.barred[digest] = found
            roll.principals.pop(digest, None)


def _digests(held: Held) -> Iterator[tuple[bytes, int]]:
    yield held.digest, 0
    if held.previous:
        yield held.previous, held.previous_ends


def _principal(roll: Roll, held: Held, now: float, ends: int) -> Principal | Why:
    """`ends`: of a key that was rotated, until when; else 0."""
    key = held.key
    if key.revoked:
        return REVOKED
    if key.disabled:
        return DISABLED
    if key.expires and key.expires <= now:
        return EXPIRED
    if ends and ends <= now:
        return REPLACED
    place = place_of(roll, organization=key.organization, team=key.team, user=key.user)
    if isinstance(place, str):
        return ("key_disabled", f"This API key is disabled: {place}.")
    try:
        networks = tuple(network(text) for text in key.ips)
    except ValueError:  # written by another version: nobody may guess what it meant
        return DISABLED
    expires = min((end for end in (key.expires, ends) if end), default=0)
    return Principal(
        name=key.name,
        models=key.models,
        tags=key.tags,
        role=key.role,
        key_id=key.id,
        user=place.user,
        team=place.team,
        organization=place.organization,
        within=within_of(place),
        dialects=frozenset(key.dialects),
        routes=key.routes,
        networks=networks,
        defaults=key.defaults,
        max_tokens=key.max_tokens,
        metadata=key.metadata,
        show_cost=key.show_cost,
        traced=key.traces and all(group.traces for group in place.groups),
        expires=float(expires),
        scopes=scopes_of(roll, place, key.id),
        guarded=bool(expires or networks or key.dialects or key.routes),
    )


def place_of(roll: Roll, *, organization: str = "", team: str = "", user: str = "") -> Place | str:
    """Where somebody belongs who says so much of it; or what keeps that from being true, for a person."""
    person: User | None = None
    if user:
        person = roll.user(user)
        if person is None:
            return f'its user "{user}" is not known any more'
        team = team or person.team
        if person.team and person.team != team:
            return f'its user "{user}" is of another team'
    squad: Team | None = None
    if team:
        squad = roll.team(team)
        if squad is None:
            return f'its team "{team}" is not known any more'
    said = {name for name in (organization, person and person.organization, squad and squad.organization) if name}
    if len(said) > 1:
        return "its team, its user and it are not of one organization"
    house: Organization | None = None
    if said:
        organization = said.pop()
        house = roll.organization(organization)
        if house is None:
            return f'its organization "{organization}" is not known any more'
    groups = tuple(group for group in (house, squad, person) if group is not None)
    for group in groups:
        if group.disabled:
            return f'its {type(group).__name__.lower()} "{group.id}" is disabled'
    return Place(organization, team, user, groups)


def within_of(place: Place) -> tuple[tuple[str, ...], ...]:
    return tuple(group.models for group in place.groups if "*" not in group.models)


def scopes_of(roll: Roll, place: Place, key_id: str) -> tuple[Scope, ...]:
    """Levels at which something is granted, the widest first."""
    levels: tuple[tuple[Level, str], ...] = (
        ("all", ""),
        ("organization", place.organization),
        ("team", place.team),
        ("user", place.user),
        ("key", key_id),
    )
    scopes: list[Scope] = []
    for level, name in levels:
        if not name and level != "all":
            continue
        granted = _granted(roll, level, name)
        if granted.limits or granted.budgets:
            scopes.append(Scope(level, name, granted.limits, granted.budgets))
    return tuple(scopes)


def _granted(roll: Roll, level: Level, name: str) -> Granted:
    declared = roll.declared.granted.get((level, name), NOTHING)
    stored = roll.stored.granted.get((level, name))
    if stored is None:
        return declared
    if level != "all" and _is_declared(roll.declared, level, name):  # what is stored is of somebody else who had this name
        return declared
    return Granted(declared.limits + stored.limits, declared.budgets + stored.budgets)


def _is_declared(declared: Records, level: Level, name: str) -> bool:
    match level:
        case "organization":
            return name in declared.organizations
        case "team":
            return name in declared.teams
        case "user":
            return name in declared.users
        case _:
            return any(held.key.id == name for held in declared.keys)
