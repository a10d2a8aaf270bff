"""`python -m gatewright`: the command line."""

from gatewright.cli import main

main()
