"""The loop and the turn of the tests of turns."""

from tests.transport.turning import loop, turn

__all__ = ["loop", "turn"]
