"""What is written to the admin API and read from it: forms made into records, records made into documents.

One rule: limits and budgets are written as in `gatewright.yaml`; no document holds a secret, but the one that answers its making.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from gatewright.admin.registrar import Invalid, Shown
from gatewright.config.references import Desk
from gatewright.config.resolve_limits import resolve_budgets, resolve_limits
from gatewright.config.resolve_principals import check_routes
from gatewright.config.schema_limits import BudgetSection, LimitSection
from gatewright.config.schema_parameters import OverridesSection
from gatewright.config.tree import Tree
from gatewright.exchange import Role
from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject
from gatewright.limits.terms import DAY, HOUR, MINUTE, MONTH, SECOND, Budget, Level, Limit
from gatewright.principals.records import (
    NAME_PATTERN,
    TYPES,
    AnyRecord,
    GrantedBudget,
    GrantedLimit,
    Key,
    Kind,
    Record,
)
from gatewright.principals.secrets import new_id

Result = TypeVar("Result")

_PER: Final = {SECOND: "second", MINUTE: "minute", HOUR: "hour", DAY: "day", MONTH: "month"}
_OBJECTS: Final[dict[Kind, str]] = {
    "organizations": "organization",
    "teams": "team",
    "users": "user",
    "keys": "key",
    "limits": "limit",
    "budgets": "budget",
}
Id = Annotated[str, Field(pattern=NAME_PATTERN)]
Globs = Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(min_length=1, max_length=200)]
Words = Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=200)]
Notes = Annotated[dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=32)]


class Form(BaseModel):
    """Base of all forms: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


class OrganizationForm(Form):
    """Whoever teams, users and keys belong to."""

    id: Id
    disabled: bool = False
    """Whether all its keys are refused for now."""
    models: Globs = ["*"]
    """Models that its keys may use, with `*` for any text."""
    metadata: Notes = {}
    traces: bool = True
    """False: no traces are kept of what its keys ask, where any are."""


class TeamForm(OrganizationForm):
    """People who share limits, budgets and an admin."""

    organization: Id | None = None


class UserForm(OrganizationForm):
    """A person, or a service, with one or several keys."""

    organization: Id | None = None
    team: Id | None = None
    role: Role = "member"
    """With a token of an identity provider whose claims name none."""


class KeyForm(Form):
    """A virtual key. Its id and what clients send are made here."""

    name: Id
    """No two have the same, not even one after the other."""
    disabled: bool = False
    models: Globs = ["*"]
    tags: Words = []
    role: Role = "member"
    organization: Id | None = None
    team: Id | None = None
    user: Id | None = None
    expires: datetime | None = None
    """From when on it is refused."""
    dialects: list[DialectName] = []
    """In which it may make model calls. Empty: in all."""
    routes: Words = []
    """Operations (`generate`, …) and paths with `*`. Empty: all that its role allows."""
    ips: Words = []
    """Networks it may be used from. Empty: any."""
    defaults: OverridesSection = OverridesSection()
    """Parameters for what its requests leave unsaid."""
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    metadata: Notes = {}
    show_cost: bool = False
    traces: bool = True
    """False: no traces are kept of what it asks, where any are."""


class LimitForm(LimitSection):
    """A limit, as in the configuration, and whose it is."""

    level: Level
    owner: Id | None = None
    """Id of the organization, team, user or key; none for `all`."""


class BudgetForm(BudgetSection):
    """A budget, as in the configuration, and whose it is."""

    level: Level
    owner: Id | None = None
    """Id of the organization, team, user or key; none for `all`."""


class RotationForm(Form):
    """How long what clients sent before goes on."""

    overlap_s: Annotated[int, Field(ge=0, le=90 * 86_400)] = 0
    """Seconds. 0: it ends at once."""


FORMS: Final[dict[Kind, type[BaseModel]]] = {
    "organizations": OrganizationForm,
    "teams": TeamForm,
    "users": UserForm,
    "keys": KeyForm,
    "limits": LimitForm,
    "budgets": BudgetForm,
}


def record_of(kind: Kind, form: BaseModel, record_id: str = "") -> AnyRecord:
    """The record that a form describes. `record_id`: of one that there is. Raises Invalid."""
    match form:
        case LimitForm():
            return GrantedLimit(id=record_id or new_id("limit"), level=form.level, owner=form.owner or "", limit=limit_of(form))
        case BudgetForm():
            return GrantedBudget(
                id=record_id or new_id("budget"), level=form.level, owner=form.owner or "", budget=budget_of(form)
            )
    said: JsonObject = form.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    if isinstance(form, KeyForm):
        said["id"] = record_id or new_id("key")
        if form.expires is not None:
            moment = form.expires if form.expires.tzinfo is not None else form.expires.replace(tzinfo=UTC)
            said["expires"] = max(1, int(moment.timestamp()))
        _check(lambda desk: check_routes(form.routes, (), desk))
    elif record_id and said.get("id") != record_id:
        raise Invalid("the id in the document is another than the one in the path")
    try:
        record: AnyRecord = msgspec.convert(said, TYPES[kind])
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from None
    return record


def limit_of(section: LimitSection) -> Limit:
    """Raises Invalid."""
    return _check(lambda desk: resolve_limits([section], (), desk)[:1])[0]


def budget_of(section: BudgetSection) -> Budget:
    """Raises Invalid."""
    return _check(lambda desk: resolve_budgets([section], (), desk)[:1])[0]


def _check(work: Callable[[Desk], Result]) -> Result:
    """What `work` makes with a desk of its own. Raises Invalid with whatever came in there."""
    desk = Desk(Tree(value={}, places={}, keys={}), "", Path(), {})
    found = work(desk)
    if desk.problems:
        raise Invalid("; ".join(problem.message for problem in desk.problems))
    return found


def document_of(kind: Kind, shown: Shown, now: float | None = None) -> JsonObject:
    """What is told of a record. `now`: unix seconds."""
    row, record = shown.row, shown.row.record
    told: JsonObject = {"object": _OBJECTS[kind], "id": record.id}
    match record:
        case GrantedLimit():
            told |= {"level": record.level, "owner": record.owner or None, **limit_document(record.limit)}
        case GrantedBudget():
            told |= {"level": record.level, "owner": record.owner or None, **budget_document(record.budget)}
        case _:
            told |= _fields(record)
    if isinstance(record, Key):
        told["status"] = status_of(record, time.time() if now is None else now)
        told["expires"] = moment(record.expires)
        told["revoked"] = moment(record.revoked)
        told["previous_ends"] = moment(row.previous_ends)
    told["declared"] = shown.declared
    told["created"] = moment(row.created)
    told["etag"] = None if shown.declared else etag_of(row.version)
    return told


def _fields(record: Record) -> JsonObject:
    fields: JsonObject = msgspec.to_builtins({name: getattr(record, name) for name in record.__struct_fields__ if name != "id"})
    for above in ("organization", "team", "user"):
        if above in fields:
            fields[above] = fields[above] or None
    return fields


def limit_document(limit: Limit) -> JsonObject:
    """As it is written in the configuration."""
    amount: JsonObject = {"dollars": dollars(limit.amount)} if limit.unit == "micros" else {limit.unit: limit.amount}
    when: JsonObject = {} if limit.unit == "concurrent" else {"per": _PER.get(limit.per_s, f"{limit.per_s} s")}
    return {**when, **amount, "models": list(limit.models)}


def budget_document(budget: Budget) -> JsonObject:
    """As it is written in the configuration."""
    length = f"{budget.rolling_s // DAY}d" if budget.rolling_s % DAY == 0 else f"{budget.rolling_s // HOUR}h"
    return {
        "per": {"rolling": length} if budget.period == "rolling" else budget.period,
        "dollars": dollars(budget.micros),
        "soft": list(budget.soft),
        "on_exceeded": "stop" if budget.hard else "warn",
        "models": list(budget.models),
    }


def dollars(micros: int) -> float:
    """Of whole micro-dollars. To the digit, for all that a budget can be."""
    return float(Decimal(micros) / 1_000_000)


def status_of(key: Key, now: float) -> Literal["active", "disabled", "expired", "revoked"]:
    if key.revoked:
        return "revoked"
    if key.expires and key.expires <= now:
        return "expired"
    return "disabled" if key.disabled else "active"


def moment(unix_s: int) -> str | None:
    """RFC 3339, in UTC. None for 0."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if unix_s else None


def etag_of(version: int) -> str:
    return f'"{version}"'
