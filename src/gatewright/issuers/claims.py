"""What the claims of a token mean here. Pure: the token has been verified.

One rule: what is not understood grants nothing; a token that should name a team and names none that is known is refused.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from gatewright.exchange import Principal, Role
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.principals.records import ROLES
from gatewright.principals.roll import Roll, Why, place_of, scopes_of, within_of

LONGEST_NAME = 256
Names: TypeAlias = tuple[str, ...]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Which claims count. Paths: the claim of that very name, else one within another, `realm_access.roles`."""

    user: str = "sub"
    team: str = ""
    organization: str = ""
    role: str = ""
    roles: Mapping[str, Role] = {}
    """What the claim says → the role. Empty: it has our own words."""
    models: tuple[str, ...] = ("*",)


def principal_of(claims: JsonObject, issuer: str, expires: float, rule: Rule, roll: Roll) -> Principal | Why:
    """Who it is, or why nobody. `issuer`: a name that no other issuer has."""
    users = names_at(claims, rule.user)
    if not users:
        return ("invalid_token", f"The token has no claim `{rule.user}` that names a user.")
    user = users[0]
    person = roll.user(user)
    team = organization = ""
    if rule.team:
        team = next((name for name in names_at(claims, rule.team) if roll.team(name) is not None), "")
        if not team:
            return ("unknown_team", f"The token's claim `{rule.team}` names no team that is known here.")
    if rule.organization:
        known = (name for name in names_at(claims, rule.organization) if roll.organization(name) is not None)
        organization = next(known, "")
        if not organization:
            return ("unknown_organization", f"The token's claim `{rule.organization}` names no organization that is known here.")
    place = place_of(roll, organization=organization, team=team, user=user if person is not None else "")
    if isinstance(place, str):
        return ("not_permitted", f"This token is of no use here: {place}.")
    role = role_of(names_at(claims, rule.role), rule.roles) if rule.role else None
    role = role or (person.role if person is not None else "member")
    if role == "team_admin" and not place.team:
        return ("not_permitted", "The token says that it is a team's admin, and of no team.")
    name = f"{issuer}:{user}"
    return Principal(
        name=name,
        key_id=name,
        models=rule.models,
        role=role,
        user=user,
        team=place.team,
        organization=place.organization,
        within=within_of(place),
        traced=all(group.traces for group in place.groups),
        expires=expires,
        scopes=scopes_of(roll, place, name),
        guarded=True,
    )


def role_of(said: Sequence[str], roles: Mapping[str, Role]) -> Role | None:
    """The highest of those that are known; None: none is."""
    known: Mapping[str, Role] = roles or {role: role for role in ROLES}
    found = [known[word] for word in said if word in known]
    return max(found, key=ROLES.index, default=None)


def names_at(claims: JsonObject, path: str) -> Names:
    """The words of a claim, one or a list; those that are no words are left out."""
    value = claims.get(path)
    if value is None and "." in path:
        value = claims
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
    found: list[JsonValue] = value if isinstance(value, list) else [value]
    return tuple(
        word for word in found if isinstance(word, str) and 0 < len(word) <= LONGEST_NAME and word.isprintable() and word.strip()
    )
