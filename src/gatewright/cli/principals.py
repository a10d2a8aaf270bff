"""How the commands about principals work: on the configured database, by the rules of the admin API; and what they print.

One rule: what changes is known to every running worker within a second; a key is printed once, to stdout, and nowhere else.
"""

import getpass
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Literal, NoReturn, TypeAlias, TypeVar

import msgspec
import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatewright.admin.forms import document_of, record_of
from gatewright.admin.registrar import Forbidden, Invalid, Registrar, Shown
from gatewright.admitting import declared_by, store_of
from gatewright.cli.source import give_up, read_config
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.principals.records import Kind
from gatewright.stores.audit import Actor
from gatewright.stores.principals import Conflict, Missing, Stale
from gatewright.stores.sql import BadDatabase, DatabaseError

Result = TypeVar("Result")
Format: TypeAlias = Literal["table", "json"]

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration file, which says where the database is.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="For people, or for machines.")]
Option: TypeAlias = str | None
Many: TypeAlias = list[str] | None

_PAGE: Final = 500
_DURATION: Final = re.compile(r"([0-9]+)(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COLOURS: Final = {"active": "green", "disabled": "yellow", "expired": "yellow", "revoked": "red"}


def registrar_of(config: Path | None) -> Registrar:
    """For whoever has this machine's account: he who can read the database may do all. Exits with 1 without a database."""
    settings = read_config(config)
    try:
        store = store_of(settings)
    except (DatabaseError, BadDatabase, OSError) as error:
        fail(f"the database cannot be used: {error}")
    return Registrar(store, declared_by(settings), Actor(f"cli:{_account()}", "", "cli"))


def tried(work: Callable[[], Result]) -> Result:
    """What `work` gives. Exits with 1 where it is refused, and says why."""
    try:
        return work()
    except Missing as error:
        fail(f'there is no "{error}"')
    except Stale as error:
        fail(f'"{error}" was changed meanwhile; look at it again')
    except (Conflict, Forbidden, Invalid) as error:
        fail(str(error))
    except DatabaseError as error:
        fail(f"the database does not answer: {error}")


def form_of(kind: type[BaseModel], said: Mapping[str, object]) -> BaseModel:
    """The form that options fill; those that were not given are left out. Exits with 2 where they make no sense."""
    given = {name: value for name, value in said.items() if value is not None and value != []}
    try:
        return kind.model_validate_json(msgspec.json.encode(given))
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in found["loc"])
        give_up(f"{place}: {found['msg']}" if place else found["msg"])


def all_of(registrar: Registrar, kind: Kind, where: Sequence[tuple[str, str]] = ()) -> list[Shown]:
    """Those of the configuration, then the stored ones by their ids."""
    found = tried(lambda: registrar.declared(kind, where))
    after = ""
    while rows := tried(partial(registrar.page, kind, after=after, size=_PAGE, where=where)):
        found += rows
        after = rows[-1].row.record.id
    return found


def key_named(registrar: Registrar, name: str) -> Shown:
    """The key of that name or id. Exits with 1 when there is none."""
    found = [shown for shown in tried(lambda: registrar.declared("keys")) if name == shown.row.record.id]
    found = found or tried(lambda: registrar.page("keys", after="", size=1, where=(("name", name),)))
    return found[0] if found else tried(lambda: registrar.get("keys", name))


def show(kind: Kind, found: Sequence[Shown], columns: Sequence[str], how: Format, hint: str) -> None:
    """Records, one a line. `hint`: what to do where there are none."""
    documents = [document_of(kind, shown) for shown in found]
    if how == "json":
        typer.echo(json.dumps(documents, indent=2, ensure_ascii=False))
        return
    if not documents:
        typer.echo(f"no {kind}; {hint}", err=True)
        return
    console().print(table_of(documents, columns))


def show_one(kind: Kind, shown: Shown, how: Format, more: JsonObject | None = None) -> None:
    """One record, a line a field. `more`: what is told beside it."""
    document = {**document_of(kind, shown), **(more or {})}
    if how == "json":
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in document.items():
        if name not in ("object", "etag") and value not in (None, [], {}, "", False):
            table.add_row(Text(name, style="dim"), _cell(name, value))
    console().print(table)


def console() -> Console:
    """For people: as wide as their terminal; where there is none, as wide as it takes."""
    return Console() if sys.stdout.isatty() else Console(width=240)


def table_of(documents: Iterable[JsonObject], columns: Sequence[str]) -> Table:
    """What all have nothing to say of is left out."""
    rows = [[_cell(column, document.get(column)) for column in columns] for document in documents]
    told = [i for i in range(len(columns)) if any(row[i].plain for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i in told:
        whole = columns[i] in ("id", "name", "status")  # what is copied, or looked for
        table.add_column(columns[i].replace("_", " "), no_wrap=whole, overflow="fold")
    for row in rows:
        table.add_row(*(row[i] for i in told))
    return table


def _cell(column: str, value: JsonValue) -> Text:
    if value is None or value in ([], {}):
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "")
    if isinstance(value, list):
        return Text(", ".join(str(item) for item in value))
    if isinstance(value, dict):
        return Text(", ".join(f"{name}={item}" for name, item in value.items()))
    return Text(str(value), style=_COLOURS.get(str(value), "") if column == "status" else "bold" if column == "key" else "")


def seconds_of(text: str) -> int:
    """`30s`, `15m`, `24h`, `7d`. Exits with 2 for anything else."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        give_up(f'expected a time such as 30m, 24h or 7d, got "{text}"')
    return int(found[1]) * _SECONDS[found[2]]


def moment_of(text: str) -> str:
    """RFC 3339: a date, a moment, or a time from now such as `30d`. Exits with 2 for anything else."""
    if _DURATION.fullmatch(text.strip()):
        return datetime.fromtimestamp(time.time() + seconds_of(text), UTC).isoformat()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        give_up(f'expected a date such as 2027-01-31, or a time from now such as 30d, got "{text}"')
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).isoformat()


def pairs_of(words: Sequence[str] | None) -> JsonObject:
    """`name=value`, several times. Exits with 2 for anything else."""
    found: JsonObject = {}
    for word in words or ():
        name, sign, value = word.partition("=")
        if not sign or not name:
            give_up(f'expected name=value, got "{word}"')
        found[name] = value
    return found


def changed(registrar: Registrar, kind: Kind, record_id: str, changes: JsonObject, form: type[BaseModel]) -> Shown:
    """Replace a record by itself and `changes`."""
    shown = tried(lambda: registrar.get(kind, record_id))
    document = document_of(kind, shown)
    said = {name: document[name] for name in form.model_fields if document.get(name) is not None}
    filled = form_of(form, {**said, **changes})
    return Shown(row=tried(lambda: registrar.replace(kind, record_of(kind, filled, shown.row.record.id), None)))


def fail(message: str) -> NoReturn:
    """Tell why it was not done, and exit with code 1."""
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's account has no name
        return str(os.getuid())
