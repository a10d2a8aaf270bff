"""Whoever changes principals: the rules that hold for the API and for the command line alike.

One rule: nobody gives what he has not. A team's admin changes users and keys of that team, none of them above himself; what the
configuration declares is changed there and nowhere else.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from gatewright.exchange import Role
from gatewright.principals.networks import network
from gatewright.principals.records import (
    KIND_OF,
    RESERVED,
    ROLES,
    AnyRecord,
    Grant,
    GrantedBudget,
    GrantedLimit,
    Key,
    Kind,
    Organization,
    Records,
    Team,
    User,
)
from gatewright.principals.roll import Roll, place_of
from gatewright.principals.secrets import digest, new_key
from gatewright.stores.audit import Actor, AuditLine
from gatewright.stores.principals import Conflict, Missing, PrincipalStore, Row

LONGEST_OVERLAP_S: Final = 90 * 86_400
Where: TypeAlias = Sequence[tuple[str, str]]

_GROUPS: Final[frozenset[Kind]] = frozenset({"organizations", "teams"})
"""What admins alone change."""


class Forbidden(Exception):
    """Whoever asks may not. The message says why."""


class Invalid(Exception):
    """What is asked for makes no sense. The message says why."""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it stands, wherever it stands."""

    row: Row
    declared: bool = False
    """Whether the configuration says it; then it has no version, and cannot be changed here."""


class Registrar:
    """For one who asks. All calls block, and raise DatabaseError."""

    def __init__(
        self,
        store: PrincipalStore,
        declared: Records,
        actor: Actor,
        *,
        role: Role = "admin",
        within: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`within`: the one team that counts for whoever asks. None: all do."""
        self._store = store
        self._declared = declared
        self._actor = actor
        self._role: Role = role
        self._within = within
        self._clock = clock

    # -- looking -------------------------------------------------------------------------------------------------------------

    def get(self, kind: Kind, record_id: str) -> Shown:
        """Raises Missing, also for what is none of the asker's business."""
        found = self._declared_record(kind, record_id)
        shown = Shown(row=self._store.get(kind, record_id)) if found is None else Shown(row=_unversioned(found), declared=True)
        if not self._concerns(shown.row.record):
            raise Missing(record_id)
        return shown

    def page(self, kind: Kind, *, after: str, size: int, where: Where = ()) -> list[Shown]:
        """At most `size` in the order of their ids, from behind `after` on; the configuration's among them."""
        found: list[Shown] = []
        while len(found) < size:
            rows = self._store.page(kind, after=after, size=size, where=self._filter(kind, where))
            found += [Shown(row=row) for row in rows if self._concerns(row.record)]
            if len(rows) < size:
                break
            after = rows[-1].record.id
        return found[:size]

    def declared(self, kind: Kind, where: Where = ()) -> list[Shown]:
        """Those of the configuration, in the order of their ids."""
        records = [
            record
            for record in _records(self._declared, kind)
            if self._concerns(record) and all(getattr(record, column) == value for column, value in where)
        ]
        return [Shown(row=_unversioned(record), declared=True) for record in sorted(records, key=lambda record: record.id)]

    def audit(self, *, before: int, size: int, kind: str = "", target: str = "") -> list[AuditLine]:
        """Lines of the log, the youngest first."""
        return self._store.audit(before=before, size=size, kind=kind, target=target, team=self._within)

    # -- changing ------------------------------------------------------------------------------------------------------------

    def create(self, kind: Kind, record: AnyRecord) -> Row:
        """Of all but keys. Raises Forbidden, Invalid, Conflict."""
        record = self._checked(kind, record)
        if self._declared_record(kind, record.id) is not None:
            raise Conflict(f'the configuration declares "{record.id}", and what it says counts; choose another name')
        return self._store.create(kind, record, self._actor)

    def create_key(self, key: Key) -> tuple[Row, str]:
        """The key, and what its clients send: it is told this once. Raises Forbidden, Invalid, Conflict."""
        record = self._checked("keys", key)
        if key.name in RESERVED:
            raise Invalid(f'"{key.name}" is the gateway\'s own; choose another name')
        if any(held.key.name == key.name for held in self._declared.keys):
            raise Conflict(f'the configuration declares a key "{key.name}", and what it says counts; choose another name')
        secret = new_key()
        return self._store.create("keys", record, self._actor, digest=digest(secret.encode())), secret

    def replace(self, kind: Kind, record: AnyRecord, expected: int | None) -> Row:
        """Raises Missing, Stale, Forbidden, Invalid, Conflict."""
        row = self._mine(kind, record.id)
        before = row.record
        self._may_change(kind, before)
        record = self._checked(kind, record)
        if isinstance(before, Key) and isinstance(record, Key):
            if before.revoked:
                raise Conflict("it was revoked, which is for ever; make another key")
            if record.name != before.name:
                raise Invalid("a key keeps its name: what was kept for it goes by that name; make another key")
        if (
            isinstance(before, Grant)
            and isinstance(record, Grant)
            and (before.level, before.owner) != (record.level, record.owner)
        ):
            raise Invalid("what is granted stays with its owner; make another and remove this one")
        return self._store.replace(kind, record, self._actor, expected=_seen(row, expected))

    def remove(self, kind: Kind, record_id: str, expected: int | None) -> None:
        """Raises Missing, Stale, Forbidden, Conflict."""
        row = self._mine(kind, record_id)
        self._may_change(kind, row.record)
        self._store.remove(kind, record_id, self._actor, expected=_seen(row, expected))

    def rotate(self, key_id: str, overlap_s: float, expected: int | None) -> tuple[Row, str]:
        """What clients send from now on; what they sent before is good for so long still. Raises as `replace`."""
        if not 0 <= overlap_s <= LONGEST_OVERLAP_S:
            raise Invalid(f"the overlap is between 0 seconds and {LONGEST_OVERLAP_S // 86_400} days")
        row = self._mine("keys", key_id)
        self._may_change("keys", row.record)
        secret = new_key()
        ends = int(self._clock() + overlap_s)
        return self._store.rotate(key_id, digest(secret.encode()), ends, self._actor, expected=_seen(row, expected)), secret

    def revoke(self, key_id: str, expected: int | None) -> Row:
        """For ever. Once revoked it stays so, and says since when. Raises as `replace`."""
        row = self._mine("keys", key_id)
        before = row.record
        self._may_change("keys", before)
        assert isinstance(before, Key)
        revoked = msgspec.structs.replace(before, revoked=before.revoked or int(self._clock()))
        return self._store.replace("keys", revoked, self._actor, expected=_seen(row, expected), action="revoke")

    # -- rules ---------------------------------------------------------------------------------------------------------------

    def _mine(self, kind: Kind, record_id: str) -> Row:
        """What there is, before it is changed. Raises Missing, Conflict."""
        shown = self.get(kind, record_id)
        if shown.declared:
            raise Conflict(f'"{record_id}" is declared by the configuration: change it there')
        return shown.row

    def _checked(self, kind: Kind, record: AnyRecord) -> AnyRecord:
        """The record as it will be stored. Raises Forbidden, Invalid."""
        roll = Roll(principals={}, barred={}, declared=self._declared, stored=self._store.everything(keys=False)[0])
        if isinstance(record, User | Key):
            if self._within is not None and not record.team:
                record = msgspec.structs.replace(record, team=self._within)
            user = record.user if isinstance(record, Key) else ""
            if isinstance(record, Key) and user and not record.team and (person := roll.user(user)) is not None:
                record = msgspec.structs.replace(record, team=person.team)  # it stays there, wherever the person goes
            place = place_of(roll, organization=record.organization, team=record.team, user=user)
            if isinstance(place, str) and not place.endswith("is disabled"):
                raise Invalid(place.replace(" any more", ""))
            if record.role == "team_admin" and not record.team:
                raise Invalid("a team's admin needs a team")
        if isinstance(record, Team) and record.organization and roll.organization(record.organization) is None:
            raise Invalid(f'its organization "{record.organization}" is not known')
        if isinstance(record, Key):
            for text in record.ips:
                try:
                    network(text)
                except ValueError as error:
                    raise Invalid(f"ips: {error}") from None
        if isinstance(record, Grant):
            self._check_owner(record)
        self._may_change(kind, record)
        return record

    def _check_owner(self, grant: Grant) -> None:
        if grant.level == "all":
            if grant.owner:
                raise Invalid("what holds for all has no owner")
            return
        try:
            shown = self.get(KIND_OF[grant.level], grant.owner)
        except Missing:
            raise Invalid(f'there is no {grant.level} "{grant.owner}"') from None
        if shown.declared:
            raise Conflict(f'the {grant.level} "{grant.owner}" is declared by the configuration: say there what it is granted')

    def _may_change(self, kind: Kind, record: AnyRecord) -> None:
        """Raises Forbidden."""
        if self._role == "admin":
            return
        if self._role != "team_admin" or kind in _GROUPS:
            raise Forbidden(f"only an admin changes {kind}")
        if isinstance(record, Grant) and record.level not in ("user", "key"):
            raise Forbidden(f"only an admin says what is granted to {record.level}")
        if not self._concerns(record):
            raise Forbidden("it is not of your team")
        if isinstance(record, User | Key) and ROLES.index(record.role) > ROLES.index(self._role):
            raise Forbidden(f"a role of `{record.role}` is above yours")

    def _concerns(self, record: AnyRecord) -> bool:
        """Whether it is the asker's business at all."""
        team = self._within
        if team is None:
            return True
        match record:
            case Organization():
                return False
            case Team():
                return record.id == team
            case User() | Key():
                return record.team == team
            case GrantedLimit() | GrantedBudget():
                if record.level == "team":
                    return record.owner == team
                if record.level not in ("user", "key"):
                    return False
                try:
                    owner = self._store.get(KIND_OF[record.level], record.owner).record
                except Missing:
                    return False
                return isinstance(owner, User | Key) and owner.team == team

    def _filter(self, kind: Kind, where: Where) -> Where:
        return (*where, ("team", self._within)) if self._within is not None and kind in ("users", "keys") else where

    def _declared_record(self, kind: Kind, record_id: str) -> AnyRecord | None:
        return next((record for record in _records(self._declared, kind) if record.id == record_id), None)


def _records(records: Records, kind: Kind) -> list[AnyRecord]:
    match kind:
        case "organizations":
            return list(records.organizations.values())
        case "teams":
            return list(records.teams.values())
        case "users":
            return list(records.users.values())
        case "keys":
            return [held.key for held in records.keys]
        case "limits":
            return [
                GrantedLimit(id=f"{level}:{owner}:limits:{i}", level=level, owner=owner, limit=limit)
                for (level, owner), granted in records.granted.items()
                for i, limit in enumerate(granted.limits)
            ]
        case "budgets":
            return [
                GrantedBudget(id=f"{level}:{owner}:budgets:{i}", level=level, owner=owner, budget=budget)
                for (level, owner), granted in records.granted.items()
                for i, budget in enumerate(granted.budgets)
            ]


def _unversioned(record: AnyRecord) -> Row:
    return Row(record=record, version=0, created=0)


def _seen(row: Row, expected: int | None) -> int:
    """The version that a change is made of: what the asker has seen, or what his right was judged by."""
    return row.version if expected is None else expected
