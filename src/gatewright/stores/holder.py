"""Who holds a lease: a name for this process that others can check for life.

One rule: alive unless surely dead. Only a process of the same machine and the same process namespace can be checked; all others
count as alive until their lease ends.
"""

import functools
import os
import secrets
import socket
from pathlib import Path

import msgspec


class Holder(msgspec.Struct, frozen=True):
    """A process. `text` and `parse` are inverse."""

    place: str
    """Machine and process namespace: within it process ids mean something."""
    pid: int
    mark: str
    """Random: tells a process from a later one with its id."""

    def text(self) -> str:
        return f"{self.place} {self.pid} {self.mark}"

    @classmethod
    def parse(cls, text: str) -> "Holder | None":
        place, _, rest = text.partition(" ")
        pid, _, mark = rest.partition(" ")
        return cls(place, int(pid), mark) if pid.isdecimal() else None


def here() -> Holder:
    """This process. The same each time it is asked, and another after a fork."""
    return _process(os.getpid())


@functools.cache
def _process(pid: int) -> Holder:
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return Holder(f"{socket.gethostname() or 'localhost'}/{namespace}", pid, secrets.token_hex(4))


def surely_dead(holder: str, me: Holder) -> bool:
    """Whether the process behind a lease has ended, seen from `me`."""
    other = Holder.parse(holder)
    if other is None or other.place != me.place or other == me:
        return False
    if other.pid == me.pid:
        return True  # its id is ours now
    try:
        os.kill(other.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
