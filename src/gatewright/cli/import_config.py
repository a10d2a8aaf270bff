"""`gatewright import litellm|bifrost|portkey`: another gateway's configuration, made into gatewright.yaml.

One rule: the file goes to stdout (or `-o`), everything that is for people to stderr; nothing that is there already is overwritten
unasked.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from gatewright.cli.source import give_up
from gatewright.config import ConfigError
from gatewright.config.load import resolve_config
from gatewright.config.tree import read_yaml
from gatewright.importing import CannotImport, Draft, Result, imported
from gatewright.importing.bifrost import read_bifrost
from gatewright.importing.litellm import read_litellm
from gatewright.importing.portkey import read_portkey
from gatewright.importing.result import told
from gatewright.importing.source import read_source

import_app = typer.Typer(help="Make gatewright.yaml from another gateway's configuration.", no_args_is_help=True)

FileArgument = Annotated[Path, typer.Argument(help="The other gateway's file; - for stdin.", show_default=False)]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Where to write. Default: stdout.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite the output file.")]


@import_app.command()
def litellm(file: FileArgument, output: OutputOption = None, force: ForceOption = False) -> None:  # noqa: FBT002 - a flag
    """From LiteLLM's proxy: config.yaml."""
    _run(file, "LiteLLM", read_litellm, output, force=force)


@import_app.command()
def bifrost(file: FileArgument, output: OutputOption = None, force: ForceOption = False) -> None:  # noqa: FBT002 - a flag
    """From Bifrost: config.json."""
    _run(file, "Bifrost", read_bifrost, output, force=force)


@import_app.command()
def portkey(file: FileArgument, output: OutputOption = None, force: ForceOption = False) -> None:  # noqa: FBT002 - a flag
    """From a Portkey gateway config (JSON)."""
    _run(file, "Portkey", read_portkey, output, force=force)


def _run(file: Path, gateway: str, read: Callable[[Draft], None], output: Path | None, *, force: bool) -> None:
    if output is not None and output.exists() and not force:
        give_up(f"{output} is there already; --force overwrites it")
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        draft = Draft(read_source("stdin" if str(file) == "-" else str(file), content))
        read(draft)
    except OSError as error:
        give_up(f"{file}:1:1 cannot be read: {error.strerror}")
    except CannotImport as error:
        give_up(str(error))
    result = imported(draft, gateway)
    if output is None:
        typer.echo(result.text, nl=False)
    else:
        _write(output, result.text)
    typer.echo(summary(draft, result, output, os.environ), err=True)


def _write(output: Path, text: str) -> None:
    """Readable by its owner alone: a credential may stand in it."""
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as written:
            written.write(text)
    except OSError as error:
        give_up(f"{output} cannot be written: {error.strerror}")


def summary(draft: Draft, result: Result, output: Path | None, environ: Mapping[str, str]) -> str:
    """For the operator: what was carried, what was not and why, what is still to be done."""
    counts = ", ".join(f"{n} {word}" if n == 1 else f"{n} {word}s" for n, word in result.counts)
    lines = [f"{output or 'stdout'}: {counts}"]
    if result.left:
        lines += ["", f"Not carried over ({len(result.left)}):"]
        lines += [f"  {told(draft, one)}" for one in result.left]
    unset = [name for name in result.variables if not environ.get(name)]
    if unset:
        lines += ["", f"Set for the gateway: {', '.join(unset)}"]
    problems = check(result, environ)
    if problems:
        lines += ["", "Still to be mended:", *(f"  {problem}" for problem in problems)]
    return "\n".join(lines)


def check(result: Result, environ: Mapping[str, str]) -> tuple[str, ...]:
    """What `gatewright check` will say once every variable is set."""
    assumed = {name: stand_in(name) for name in result.variables} | dict(environ)
    try:
        resolve_config(read_yaml(result.text), "gatewright.yaml", Path(), assumed)
    except ConfigError as error:
        return tuple(line for line in str(error).splitlines() if "/nowhere/" not in line)
    return ()


STAND_INS: tuple[tuple[str, str], ...] = (
    (r"REGION", "us-east-1"),
    (r"LOCATION", "us-central1"),
    (r"VERSION", "2024-10-21"),
    (r"ROLE", "arn:aws:iam::123456789012:role/gatewright"),
    (r"URL|BASE|ENDPOINT|HOST", "https://gateway.example.com/v1"),
    (r"CREDENTIALS|FILE", "/nowhere/credentials.json"),
)
"""Pattern in a variable's name → a value of the kind that it will have."""


def stand_in(name: str) -> str:
    """A value for a variable that is not set, of the kind that its name promises; another for another name."""
    return next((value for pattern, value in STAND_INS if re.search(pattern, name)), f"stand-in-for-{name.lower()}")
