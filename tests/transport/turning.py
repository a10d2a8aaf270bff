"""A loop and transports as far as a turn needs them, and what a test has of each."""

import pytest

from gatewright.transport.turn import Turn


class Loop:
    """What is to be called soon, until a test lets it."""

    def __init__(self):
        self.soon = []

    def call_soon(self, callback):
        self.soon.append(callback)

    def turn_round(self):
        """Call what was to be called until now."""
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


class Wire:
    """A transport: what is written to it goes to `written`, or fails."""

    def __init__(self, written, name="", fails=None):
        self.written = written
        self.name = name
        self.fails = fails
        self.closing = False
        self.aborted = False

    def is_closing(self):
        return self.closing

    def write(self, data):
        if self.fails is not None:
            raise self.fails
        self.written.append((self.name, data))

    def abort(self):
        self.closing = self.aborted = True


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def turn(loop):
    return Turn(loop)
