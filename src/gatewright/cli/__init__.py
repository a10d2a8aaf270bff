"""The `gatewright` command line: `serve`, `check`, `models`, `explain`, `connect`, `login`, `import` and more; see `--help`.

One rule: commands are thin; what they print is made by pure functions, and a wrong configuration ends with exit code 2.
"""

import sys


def main() -> None:
    """The `gatewright` command."""
    serves = sys.argv[1:2] == ["serve"]
    if serves:  # a server that is told to read again while it starts must not die of it
        from gatewright.server.hangup import remember  # noqa: PLC0415 - first of all, and only where it is meant

        remember()
    from gatewright.cli.commands import app  # noqa: PLC0415 - takes its time

    if not serves:
        from gatewright.cli.administration import add_to  # noqa: PLC0415 - takes its time, and memory that a server would keep

        add_to(app)
    app()
