"""`gatewright reload`: have a running gateway read its configuration again, in every worker, and be told what changed.

    POST /admin/v1/reload     with the key of an admin, from GATEWRIGHT_KEY or standard input

One rule: the key is never an argument, for arguments are seen by everybody on the machine.
"""

import getpass
import os
import sys
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
import typer

from gatewright.cli.source import give_up, read_config

REFUSED: Final = 1
"""Exit code where the gateway has not taken the configuration over."""
LONGEST_S: Final = 60.0
MOST_BYTES: Final = 1 << 20
KEY: Final = "GATEWRIGHT_KEY"


class _Fault(msgspec.Struct, frozen=True):
    message: str = "it did not say why"


class _Error(msgspec.Struct, frozen=True):
    error: _Fault = _Fault()


class _Workers(msgspec.Struct, frozen=True):
    """How the others took it."""

    took_over: int = 0
    refused: int = 0
    silent: int = 0


class _Named(msgspec.Struct, frozen=True):
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class _Told(msgspec.Struct, frozen=True):
    source: str
    providers: _Named = _Named()
    models: _Named = _Named()
    aliases: _Named = _Named()
    keys: _Named = _Named()
    settings: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    workers: _Workers = _Workers()


def reload(
    url: Annotated[str, typer.Option(help="Where the gateway listens. Default: as the configuration says.")] = "",
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Configuration file, as for the other commands.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All that the gateway says, for machines.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Have a running gateway read its configuration again. What is wrong with it is told, and nothing changes then."""
    if not url:
        server = read_config(config).server
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(server.host, server.host)  # noqa: S104 - where it is reached, not bound
        url = f"http://{f'[{host}]' if ':' in host else host}:{server.port}"
    if urlsplit(url).scheme not in ("http", "https"):
        give_up(f"--url: expected http:// or https://, got {url[:200]}")
    key = os.environ.get(KEY) or (getpass.getpass("admin key: ") if sys.stdin.isatty() else sys.stdin.readline().strip())
    if not key:
        give_up(f"an admin's key is needed: set {KEY}, or send it on standard input")
    status, body = _asked(f"{url.rstrip('/')}/admin/v1/reload", key)
    if as_json:
        typer.echo(body.decode("utf-8", "replace"))
    elif status == 200:
        _tell(body)
    if status != 200:
        if not as_json:
            typer.echo(_why(status, body), err=True)
        raise typer.Exit(REFUSED)


def _asked(url: str, key: str) -> tuple[int, bytes]:
    """Status and body. Exits where nobody answers."""
    request = urllib.request.Request(url, data=b"", method="POST", headers={"authorization": f"Bearer {key}"})  # noqa: S310 - checked
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stays())  # its key is nobody else's business
    try:
        with opener.open(request, timeout=LONGEST_S) as answer:
            return answer.status, answer.read(MOST_BYTES)
    except urllib.error.HTTPError as error:
        return error.code, error.read(MOST_BYTES)
    except (OSError, HTTPException, ValueError) as error:
        give_up(f"{url} does not answer: {getattr(error, 'reason', error)}")


class _Stays(urllib.request.HTTPRedirectHandler):
    """A redirection would take the key elsewhere."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def _tell(body: bytes) -> None:
    told = msgspec.json.decode(body, type=_Told)
    others = told.workers
    there = 1 + others.took_over + others.refused + others.silent
    typer.echo(f"{told.source} was read again, by {1 + others.took_over} of {there} worker{'s' * (there > 1)}")
    for name in ("providers", "models", "aliases", "keys"):
        named: _Named = getattr(told, name)
        for how in ("added", "changed", "removed"):
            if names := getattr(named, how):
                typer.echo(f"  {name} {how}: {', '.join(names)}")
    if told.settings:
        typer.echo(f"  settings changed: {', '.join(told.settings)}")
    for warning in told.warnings:
        typer.echo(f"  warning: {warning}")


def _why(status: int, body: bytes) -> str:
    try:
        return f"{status}: {msgspec.json.decode(body, type=_Error).error.message}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"{status}: {body[:300].decode('utf-8', 'replace')}"
