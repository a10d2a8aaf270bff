"""`gatewright accounts`: the logins that are kept, looked at, refreshed, removed, brought in and taken out.

One rule: a token is printed by `export --reveal` alone. A running gateway sees every change within seconds.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatewright.account import Account
from gatewright.cli.login import account_provider, description_of, fail, with_logins
from gatewright.cli.source import give_up, read_config
from gatewright.config import Config
from gatewright.config.suggest import hint
from gatewright.credentials import fetch_for
from gatewright.errors import GatewrightError
from gatewright.jsontypes import JsonObject
from gatewright.logins import open_accounts
from gatewright.providers.oauth import formats
from gatewright.providers.oauth.renewal import Renewal
from gatewright.stores.accounts import AccountStore

Result = TypeVar("Result")

MAX_IMPORT_BYTES = 16 << 20

app = typer.Typer(help="Accounts that people logged in with.", no_args_is_help=True)

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="For machines.")]
SomeProvider = Annotated[str | None, typer.Argument(help="A provider. Default: all.")]
SomeAccount = Annotated[str | None, typer.Argument(help="An account's name or id. Default: all of the provider.")]


@app.command("list")
def list_accounts(provider: SomeProvider = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:  # noqa: FBT002 - a flag
    """List accounts: how they stand, when their tokens end, whether they rest."""
    settings = read_config(config)
    accounts = _with_store(settings, lambda store: store.all(provider))
    now = time.time()
    if as_json:
        typer.echo(json.dumps([row_of(account, now) for account in accounts], indent=2))
        return
    if not accounts:
        known = ", ".join(with_logins(settings))
        typer.echo(
            f"nobody is logged in{f' to {provider}' if provider else ''}; log in with: gatewright login ({known})", err=True
        )
        return
    table = Table("provider", "account", "", "state", "token ends", "", box=None, pad_edge=False)
    for account in accounts:
        row = row_of(account, now)
        words = (account.provider, account.name, row["organization"], row["shown"], ends_in(account, now), account.reason)
        table.add_row(*(Text(str(word or "")) for word in words))
    Console(soft_wrap=True).print(table)


@app.command()
def refresh(
    provider: SomeProvider = None,
    account: SomeAccount = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,  # noqa: FBT002 - a flag
) -> None:
    """Refresh tokens now, whether or not they are about to end; exit code 1 when one cannot be."""
    settings = read_config(config)
    outcomes = _with_store(settings, lambda store: _refresh(config, store, provider, account))
    if as_json:
        typer.echo(json.dumps(outcomes, indent=2))
    else:
        for outcome in outcomes:
            typer.echo(f"{outcome['provider']}: {outcome['name']}: {outcome['error'] or 'refreshed'}", err=bool(outcome["error"]))
    if any(outcome["error"] for outcome in outcomes):
        raise typer.Exit(1)


@app.command()
def remove(
    provider: Annotated[str, typer.Argument(help="A provider.")],
    account: Annotated[str, typer.Argument(help="The account's name or id.")],
    config: ConfigOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Remove an account; the gateway stops using it within seconds."""
    settings = read_config(config)
    chosen = _with_store(settings, lambda store: _chosen(store, provider, account))
    for one in chosen:
        if not yes and not (sys.stdin.isatty() and typer.confirm(f"Remove {one.name} of {one.provider}?", err=True)):
            fail("not removed; say --yes to remove without being asked")
        _remove(settings, one.id)
        typer.echo(f"{one.provider}: {one.name}: removed")


@app.command("import")
def import_accounts(
    file: Annotated[
        Path | None, typer.Argument(help="JSON; `-` reads stdin. Default: the login of the provider's own program.")
    ] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", "-p", help="Where the accounts are. Default: as the file says.")
    ] = None,
    config: ConfigOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Also those that are there already.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Bring accounts in: an export of ours, the accounts of ob12api, or `~/.ob1/credentials.json`."""
    settings = read_config(config)
    place, text = _document(config, settings, file, provider)
    try:
        found = formats.read(msgspec.json.decode(text), time.time())
    except formats.Unusable as error:
        fail(f"{place}: {error}")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        fail(f"{place}: not JSON")
    named = [msgspec.structs.replace(one, provider=provider or one.provider or _only(settings)) for one in found]
    for name in sorted({one.provider for one in named}):
        account_provider(config, name)
    kept = _with_store(settings, lambda store: _import(store, named, replace=replace))
    for line in kept:
        typer.echo(line)


@app.command()
def export(
    provider: SomeProvider = None,
    config: ConfigOption = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="With the tokens: whoever has them is the account.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Print accounts as JSON; tokens are masked unless --reveal is said."""
    accounts = _with_store(read_config(config), lambda store: store.all(provider))
    typer.echo(json.dumps(formats.written(accounts, reveal=reveal), indent=2))
    lost = [account.name for account in accounts if account.tokens is None]
    if lost and reveal:
        fail(f"without tokens, because they cannot be opened: {', '.join(lost)}")


def row_of(account: Account, now: float) -> JsonObject:
    """How an account stands, for `--json` and for the table."""
    rests_s = max(0.0, account.cool_until - now)
    shown = {"needs_login": "needs login"}.get(account.state, account.state)
    if account.state == "active" and rests_s:
        shown = f"rests {rests_s:.0f} s"
    elif account.state == "active" and account.pending_since is not None and now - account.pending_since > 60:
        shown = "refresh unanswered"
    return {
        "provider": account.provider,
        "name": account.name,
        "id": account.id,
        "organization": account.identity.get("org_name") or account.identity.get("org_id"),
        "state": account.state,
        "shown": shown,
        "reason": account.reason or None,
        "expires_at": account.tokens.expires_at if account.tokens else None,
        "refreshable": bool(account.tokens and account.tokens.refresh),
        "rests_s": round(rests_s),
    }


def ends_in(account: Account, now: float) -> str:
    """When the access token ends, in words."""
    if account.tokens is None:
        return "?"
    if account.tokens.expires_at is None:
        return "never"
    left = account.tokens.expires_at - now
    past = " ago" if left < 0 else ""
    for unit, seconds in (("days", 86_400), ("h", 3600), ("min", 60)):
        if abs(left) >= 2 * seconds:
            return f"{'' if past else 'in '}{abs(left) / seconds:.0f} {unit}{past}"
    return f"{'' if past else 'in '}{abs(left):.0f} s{past}"


def _remove(settings: Config, account_id: str) -> None:
    _with_store(settings, lambda store: store.remove(account_id))


async def _refresh(config: Path | None, store: AccountStore, provider: str | None, account: str | None) -> list[dict[str, str]]:
    outcomes: list[dict[str, str]] = []
    for one in await _chosen(store, provider, account):
        _, target = account_provider(config, one.provider)
        renewal = Renewal(description_of(target), store, fetch_for(target, os.environ), clock=time.time)
        error = ""
        try:
            await renewal.renew(one)
        except GatewrightError as failure:
            error = failure.problem.message
        outcomes.append({"provider": one.provider, "name": one.name, "error": error})
    return outcomes


async def _chosen(store: AccountStore, provider: str | None, account: str | None) -> tuple[Account, ...]:
    accounts = await store.all(provider)
    if account is None:
        if not accounts:
            give_up(f"nobody is logged in{f' to {provider}' if provider else ''}")
        return accounts
    found = tuple(one for one in accounts if account in (one.name, one.id))
    if not found:
        give_up(f'{provider} has no account "{account}"{hint(account, [one.name for one in accounts])}')
    return found


async def _import(store: AccountStore, found: Iterable[formats.Imported], *, replace: bool) -> list[str]:
    told: list[str] = []
    for one in found:
        present = await store.all(one.provider)
        name = one.name or f"account-{len(present) + 1}"
        if not replace and any(account.name == name for account in present):
            told.append(f"{one.provider}: {name}: is there already; --replace takes these tokens instead")
            continue
        await store.add(one.provider, name, one.tokens, one.identity)
        told.append(f"{one.provider}: {name}: imported")
    return told


def _document(config: Path | None, settings: Config, file: Path | None, provider: str | None) -> tuple[str, bytes]:
    """(what to call it, its bytes)."""
    if file is not None and str(file) == "-":
        return "stdin", sys.stdin.buffer.read(MAX_IMPORT_BYTES)
    if file is None:
        _, target = account_provider(config, provider or _only(settings))
        home = description_of(target).home_file
        if not home:
            give_up("say which file to import")
        file = Path(os.environ.get("HOME") or Path.home()) / home
    try:
        with file.open("rb") as opened:
            return str(file), opened.read(MAX_IMPORT_BYTES)
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror}")


def _only(settings: Config) -> str:
    """The one provider that one can log in to. Exits with code 2 when there are several."""
    names = with_logins(settings)
    if len(names) != 1:
        give_up(f"say where the accounts are with --provider: {', '.join(names)}")
    return names[0]


def _with_store(settings: Config, work: Callable[[AccountStore], Awaitable[Result]]) -> Result:
    """What `work` gives, with the store opened and closed around it. Exits with code 1 when it cannot be used."""

    async def run() -> Result:
        store = open_accounts(settings.server.state_dir, os.environ)
        try:
            return await work(store)
        finally:
            await store.close()

    try:
        return asyncio.run(run())
    except GatewrightError as error:
        fail(error.problem.message)
