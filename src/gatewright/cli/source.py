"""Which configuration a command works with: the file that is named, the one that lies here, or the environment.

One rule: a configuration that cannot be used is told on stderr, every problem on its line, and ends the command with code 2.
"""

import os
from pathlib import Path
from typing import NoReturn

import typer

from gatewright.config import Config, ConfigError, from_environment, load_config

FILE_NAME = "gatewright.yaml"
CONFIG_VARIABLE = "GATEWRIGHT_CONFIG"
BAD_CONFIG = 2
"""Exit code for a configuration that cannot be used."""


def find_file(named: Path | None) -> Path | None:
    """The configuration file to read; None: there is none, the environment counts."""
    if named is not None:
        return named
    if given := os.environ.get(CONFIG_VARIABLE):
        return Path(given)
    here = Path(FILE_NAME)
    return here if here.exists() else None


def read_config(named: Path | None, *, port: int | None = None) -> Config:
    """The configuration to work with. Exits with code 2 when it is wrong."""
    path = find_file(named)
    try:
        if path is not None:
            return load_config(path, os.environ)
        return from_environment(os.environ, port=port)
    except ConfigError as error:
        give_up(str(error))
    except OSError as error:
        give_up(f"the generated client key cannot be kept: {error}; set GATEWRIGHT_HOME to another folder, or GATEWRIGHT_KEY")


def give_up(message: str) -> NoReturn:
    """Tell what is wrong with the configuration and exit with code 2."""
    typer.echo(message, err=True)
    raise typer.Exit(BAD_CONFIG)
