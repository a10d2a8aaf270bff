"""The loop and the turn, shared with the tests of turns."""

from tests.transport.turning import loop, turn

__all__ = ["loop", "turn"]
