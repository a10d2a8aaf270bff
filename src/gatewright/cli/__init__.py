"""The command line: `gatewright serve`, `check`, `models`, `connect`, `login`, `accounts`, `import`, `config schema`, `version`.

One rule: commands are thin; what they print is made by pure functions, and a wrong configuration ends with exit code 2.
"""

from gatewright.cli.commands import app


def main() -> None:
    """The `gatewright` command."""
    app()
