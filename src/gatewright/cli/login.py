"""`gatewright login`: somebody confirms in a browser, and the account is kept.

One rule: codes and links go to stderr for the person, the result to stdout for the script; tokens go into the store alone.
"""

import asyncio
import json
import os
import sys
import time
import webbrowser
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from gatewright.account import Account
from gatewright.cli.redirect import listening
from gatewright.cli.source import find_file, give_up, read_config
from gatewright.config import Config, ConfigError, ProviderConfig
from gatewright.config.credentials import AccountsConfig
from gatewright.config.load import resolve_config
from gatewright.config.suggest import hint
from gatewright.config.tree import TOP, Tree
from gatewright.credentials import fetch_for
from gatewright.errors import GatewrightError
from gatewright.jsontypes import JsonObject
from gatewright.logins import open_accounts
from gatewright.providers.auth.seam import Fetch
from gatewright.providers.catalog import HOSTS
from gatewright.providers.oauth import device, pkce
from gatewright.providers.oauth.answers import NoGrant, identity_in, name_in, tokens_in
from gatewright.providers.oauth.descriptions import Description
from gatewright.providers.oauth.exchange import look_up

Flow = Literal["device", "browser"]

BROWSER_S = 600.0
"""How long a login by browser may take."""
FAILED = 1
INTERRUPTED = 130


def login(  # noqa: PLR0917 - typer passes them by name
    provider: Annotated[str, typer.Argument(help="A provider whose credential is a login, such as ob1.")],
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file.")] = None,
    flow: Annotated[
        str | None, typer.Option(help="`device` (a code to confirm anywhere) or `browser` (on this machine).")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,  # noqa: FBT002 - a flag
    name: Annotated[str | None, typer.Option(help="What to call the account. Default: as the provider does.")] = None,
    choose: Annotated[str | None, typer.Option(help="Which organization, by id or name. Default: the first.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Log in to a provider; the account is used by the gateway at once."""
    settings, target = account_provider(config, provider)
    description = description_of(target)
    way = chosen_flow(description, flow, provider)
    opening = not no_browser and can_open(os.environ, sys.platform)
    try:
        account, replaced = asyncio.run(_login(settings, target, way, opening=opening, name=name, choose=choose))
    except NoGrant as error:
        fail(f"the login to {provider} failed: {error.problem.message}")
    except GatewrightError as error:
        fail(error.problem.message)
    except OSError as error:
        fail(f"port {description.redirect_port} of this machine cannot be listened on: {error.strerror}")
    except KeyboardInterrupt:
        typer.echo("\ngiven up; nothing was kept", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps({"provider": provider, "name": account.name, "id": account.id, "replaced": replaced}))
        return
    org = account.identity.get("org_name") or account.identity.get("org_id") or ""
    typer.echo(f"{provider}: logged in as {account.name}{org and f' ({org})'}{' again' if replaced else ''}")


def account_provider(path: Path | None, provider: str) -> tuple[Config, ProviderConfig]:
    """The configuration, and the provider in it. One that the catalogue knows needs no entry. Exits with code 2."""
    settings = read_config(path)
    target = settings.providers.get(provider)
    if target is None and provider in HOSTS and HOSTS[provider].login:
        if (file := find_file(path)) is not None:
            typer.echo(f'note: {file} has no provider "{provider}"; add it under "providers:" for calls to use it', err=True)
        tree = Tree(value={"providers": {provider: {}}}, places={(): TOP}, keys={})
        try:
            target = resolve_config(tree, "catalogue", Path(), os.environ).providers[provider]
        except ConfigError as error:
            give_up(str(error))
    if target is None:
        give_up(f'unknown provider "{provider}"{hint(provider, with_logins(settings))}')
    if not isinstance(target.credential, AccountsConfig):
        others = ", ".join(with_logins(settings))
        give_up(f'provider "{provider}" has no logins, it uses a key (see "api_key"); with logins: {others}')
    return settings, target


def with_logins(settings: Config) -> list[str]:
    """Providers that one can log in to."""
    configured = [name for name, one in settings.providers.items() if isinstance(one.credential, AccountsConfig)]
    return [*configured, *(name for name, host in HOSTS.items() if host.login and name not in configured)]


def description_of(target: ProviderConfig) -> Description:
    """How to log in there."""
    assert isinstance(target.credential, AccountsConfig)
    return target.credential.description


def chosen_flow(description: Description, asked: str | None, provider: str) -> Flow:
    """The way to log in. Exits with code 2 where there is no such way."""
    if asked is None:
        return description.flows[0]
    if asked not in description.flows:
        give_up(f'{provider} has no login by "{asked}"; it has: {", ".join(description.flows)}')
    return asked


def can_open(environ: Mapping[str, str], platform: str) -> bool:
    """Whether a browser would open on this person's screen. In a bare terminal one would take the terminal over."""
    if environ.get("SSH_CONNECTION") or environ.get("CI"):
        return False
    return platform == "darwin" or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def fail(message: str) -> NoReturn:
    """Tell what went wrong and exit with code 1."""
    typer.echo(message, err=True)
    raise typer.Exit(FAILED)


async def _login(
    settings: Config, target: ProviderConfig, way: Flow, *, opening: bool, name: str | None, choose: str | None
) -> tuple[Account, bool]:
    description = description_of(target)
    fetch = fetch_for(target, os.environ)
    store = open_accounts(settings.server.state_dir, os.environ)
    try:
        present = await store.all(target.name)  # a store that does not work is told before anybody confirms anything
        answer = await (_by_device if way == "device" else _by_browser)(description, fetch, opening=opening)
        tokens = tokens_in(answer, time.time())
        identity = await _whole_identity(target, description, fetch, answer, choose)
        called = name or name_in(answer, description) or f"account-{len(present) + 1}"
        return await store.add(target.name, called, tokens, identity)
    finally:
        await store.close()


async def _by_device(description: Description, fetch: Fetch, *, opening: bool) -> JsonObject:
    begun = await device.begin(description, fetch)
    typer.echo(
        f"To log in to {description.title}, open\n\n  {begun.url}\n\nand confirm the code\n\n  {begun.user_code}\n", err=True
    )
    if opening:
        webbrowser.open(begun.url)
    ends = time.monotonic() + begun.expires_in
    return await device.wait(description, begun, fetch, clock=time.monotonic, sleep=_waiting(ends))


async def _by_browser(description: Description, fetch: Fetch, *, opening: bool) -> JsonObject:
    async with listening(description.redirect_path, description.redirect_port) as redirect:
        started = pkce.start(description, redirect.uri, os.urandom(2 * pkce.CHANCE_BYTES))
        typer.echo(f"To log in to {description.title}, open in a browser of this machine\n\n  {started.url}\n", err=True)
        if opening:
            webbrowser.open(started.url)
        try:
            async with asyncio.timeout(BROWSER_S):
                query = await redirect.query()
        except TimeoutError:
            raise NoGrant(f"no browser came back within {BROWSER_S:g} s", error="expired_token") from None
        return await pkce.redeem(description, started, pkce.code_in(query, started, description), fetch)


def _waiting(ends: float) -> Callable[[float], Awaitable[None]]:
    """Sleeps, and on a terminal tells how long the code is good for."""
    if not sys.stderr.isatty():
        typer.echo("Waiting until it is confirmed (Ctrl-C gives up)", err=True)
        return asyncio.sleep

    async def sleep(seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            minutes, rest = divmod(max(0, int(ends - time.monotonic())), 60)
            typer.echo(f"\rWaiting until it is confirmed ({minutes}:{rest:02} left, Ctrl-C gives up) ", err=True, nl=False)
            await asyncio.sleep(min(left, 1.0))
        typer.echo("\r\x1b[K", err=True, nl=False)

    return sleep


async def _whole_identity(
    target: ProviderConfig, description: Description, fetch: Fetch, answer: JsonObject, choose: str | None
) -> dict[str, str]:
    """What the token answer tells of the account, and what the API does. An API that does not tell is a note, not the end."""
    identity = identity_in(answer, description)
    headers = {name: value.reveal() for name, value in target.headers}
    access = str(answer["access_token"])
    for lookup in description.lookups:
        try:
            rows = await look_up(lookup, fetch, base_url=target.base_url, bearer=access, identity=identity, headers=headers)
        except NoGrant as error:
            typer.echo(f"note: {error.problem.message}; going on without", err=True)
            continue
        key = next(iter(lookup.takes))
        if choose is not None:
            wanted = [row for row in rows if choose in row.values()]
            if not wanted:
                have = ", ".join(" ".join(row.values()) for row in rows) or "none"
                raise NoGrant(f'no {lookup.title} "{choose}"; there are: {have}')
            rows = (wanted[0],)
        elif len(rows) > 1:
            others = ", ".join(row.get("org_name", row[key]) for row in rows[1:])
            shown = rows[0].get("org_name", rows[0][key])
            typer.echo(f"note: using the {lookup.title} {shown}; others, with --choose: {others}", err=True)
        identity |= rows[0] if rows else {}
    return identity
