"""All that is stored of principals, as one reader knows it; and a change, which makes another of it at the cost of the change.

    Stored + Change ─▶ Stored, Touched ─▶ roll.roll_after

One rule: what a change does not concern is the same object afterwards.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final, TypeAlias, TypeVar

import msgspec

from gatewright.limits.terms import Level
from gatewright.principals.records import Granted, GrantedBudget, GrantedLimit, Held, Kind, Organization, Records, Team, User

Place: TypeAlias = tuple[Level, str]
"""Level and id of whom something is granted to."""
T = TypeVar("T")
G = TypeVar("G", GrantedLimit, GrantedBudget)


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """Records by their ids; of keys with what opens them."""

    organizations: Mapping[str, Organization] = {}
    teams: Mapping[str, Team] = {}
    users: Mapping[str, User] = {}
    keys: Mapping[str, Held] = {}
    limits: Mapping[str, GrantedLimit] = {}
    budgets: Mapping[str, GrantedBudget] = {}


class Stored(msgspec.Struct, frozen=True):
    """Everything, of one moment."""

    version: int
    """0: nothing was read yet."""
    entries: Entries
    records: Records
    """The same, as the roll is made from it."""


NOTHING: Final = Stored(0, Entries(), Records())


class Change(msgspec.Struct, frozen=True):
    """What has become of the records between two versions."""

    version: int
    """After it."""
    written: Entries
    """What is new or another."""
    gone: Mapping[Kind, Collection[str]] = {}


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a change concerns, by id; it concerns all that belong to them."""

    everybody: bool = False
    organizations: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    digests: frozenset[bytes] = frozenset()
    """Of what opened these keys before, or does now."""


def after(before: Stored, change: Change) -> tuple[Stored, Touched]:
    """What is stored after a change, and whom that concerns."""
    was, written, gone = before.entries, change.written, change.gone
    entries = Entries(
        organizations=_merged(was.organizations, written.organizations, gone.get("organizations", ())),
        teams=_merged(was.teams, written.teams, gone.get("teams", ())),
        users=_merged(was.users, written.users, gone.get("users", ())),
        keys=_merged(was.keys, written.keys, gone.get("keys", ())),
        limits=_merged(was.limits, written.limits, gone.get("limits", ())),
        budgets=_merged(was.budgets, written.budgets, gone.get("budgets", ())),
    )
    grants = (
        *_old_and_new(was.limits, written.limits, gone.get("limits", ())),
        *_old_and_new(was.budgets, written.budgets, gone.get("budgets", ())),
    )
    places: set[Place] = {(grant.level, grant.owner) for grant in grants}
    records = Records(
        organizations=entries.organizations,
        teams=entries.teams,
        users=entries.users,
        keys=before.records.keys if entries.keys is was.keys else tuple(entries.keys.values()),
        granted=_granted(before.records.granted, entries, places) if places else before.records.granted,
    )
    opened = _old_and_new(was.keys, written.keys, gone.get("keys", ()))

    def ids(kind: Kind, of: Mapping[str, object], level: Level) -> frozenset[str]:
        return frozenset((*of, *gone.get(kind, ()), *(owner for where, owner in places if where == level)))

    return Stored(change.version, entries, records), Touched(
        everybody=any(level == "all" for level, _ in places),
        organizations=ids("organizations", written.organizations, "organization"),
        teams=ids("teams", written.teams, "team"),
        users=ids("users", written.users, "user"),
        keys=ids("keys", written.keys, "key"),
        digests=frozenset(digest for held in opened for digest in (held.digest, held.previous) if digest),
    )


def _merged(before: Mapping[str, T], written: Mapping[str, T], gone: Collection[str]) -> Mapping[str, T]:
    if not written and not gone:
        return before
    found = {**before, **written}
    for one in gone:
        found.pop(one, None)
    return found


def _old_and_new(before: Mapping[str, T], written: Mapping[str, T], gone: Iterable[str]) -> list[T]:
    """Of whatever a change writes or takes away, as it was and as it is."""
    return [*(before[one] for one in (*written, *gone) if one in before), *written.values()]


def _granted(before: Mapping[Place, Granted], entries: Entries, places: Collection[Place]) -> Mapping[Place, Granted]:
    """What is granted, at these places anew; at each in the order of the ids."""
    limits, budgets = _at(entries.limits.values(), places), _at(entries.budgets.values(), places)
    found = dict(before)
    for place in places:
        of_limits, of_budgets = limits.get(place, ()), budgets.get(place, ())
        if of_limits or of_budgets:
            found[place] = Granted(tuple(one.limit for one in of_limits), tuple(one.budget for one in of_budgets))
        else:
            found.pop(place, None)
    return found


def _at(grants: Iterable[G], places: Collection[Place]) -> dict[Place, list[G]]:
    found: dict[Place, list[G]] = {}
    for grant in sorted((one for one in grants if (one.level, one.owner) in places), key=lambda one: one.id):
        found.setdefault((grant.level, grant.owner), []).append(grant)
    return found
