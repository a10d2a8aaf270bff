"""Processes, signals and sockets: one server, or a supervisor of several, that drain when told to stop.

One rule: after SIGTERM nothing new is taken, what runs may finish, and the exit is clean (code 0).
https://www.uvicorn.org/deployment/
https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Final

import uvicorn
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from gatewright.server import hangup

COULD_NOT_START = 3
FIRST_FD: Final = 3
"""From here on a service manager puts the sockets that it listens on for a service."""
READY_WITHIN_S: Final = 60.0
"""How long workers have to start before the service manager is left to draw its conclusions."""
LOOK_EVERY_S: Final = 0.5
"""How often workers are looked after; signals are heard at once."""


class Workers(Multiprocess):
    """uvicorn's supervisor, with three differences.

    It keeps the listening socket open while its workers drain: the kernel would go on taking connections that nobody serves.
    Ours closes it first, so that they are refused, or go to whoever else holds the socket. On SIGHUP it starts all workers
    anew; ours tells them to read their configuration again. And it hears a signal within half a second; ours at once.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        self._terminal = hangup.terminal()
        self._to_tell: list[Process] = []
        """Workers that are owed a SIGHUP: they were still starting, and would have died of it."""
        self._heard, heard = os.pipe()
        for end in (self._heard, heard):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(heard, warn_on_full_buffer=False)
        super().__init__(config, sockets)
        if hangup.came_early():
            self.signal_queue.append(signal.SIGHUP)

    def init_processes(self) -> None:
        super().init_processes()
        if "NOTIFY_SOCKET" in os.environ and all(p.wait_until_ready(READY_WITHIN_S) for p in self.processes):
            tell_ready()

    def run(self) -> None:
        self.init_processes()
        while not self.should_exit.is_set():
            if select.select([self._heard], [], [], LOOK_EVERY_S)[0]:
                os.read(self._heard, 4096)
            self.handle_signals()
            self._tell()
            self.keep_subprocess_alive()
        self.terminate_all()
        self.join_all()

    def terminate_all(self) -> None:
        for listening in self.sockets:
            listening.close()
        super().terminate_all()

    def handle_hup(self) -> None:
        if self._terminal.gone():
            self.should_exit.set()
        else:
            self._to_tell = list(self.processes)

    def _tell(self) -> None:
        """Hand SIGHUP on to those that take it by now. One that has died is replaced, and its successor reads anyway."""
        waiting, self._to_tell = self._to_tell, []
        for process in waiting:
            if process.process.is_alive() and process.pid is not None:
                if process.is_ready(timeout=LOOK_EVERY_S):
                    os.kill(process.pid, signal.SIGHUP)
                else:
                    self._to_tell.append(process)


def run(config: uvicorn.Config) -> None:
    """Serve until told to stop. Exits with 3 when the server could not start."""
    # Having drained, uvicorn raises the signal again for whoever handled it before: the default would make the exit look a death.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    sockets = handed_over()
    if config.workers > 1:
        Workers(config, sockets or [config.bind_socket()]).run()
        return
    config.callback_notify = _serving
    config.timeout_notify = 86_400
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run(sockets or None)
    if not server.started:
        sys.exit(COULD_NOT_START)


async def _serving() -> None:
    """Called by uvicorn with its first turn, and again once a day, which says nothing new."""
    tell_ready()


def handed_over() -> list[socket.socket]:
    """The sockets that a service manager listens on for this process; none when it does not. To be asked once."""
    count, meant = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)  # children are not meant
    if meant != str(os.getpid()) or not count.isdecimal():
        return []
    return [socket.socket(fileno=FIRST_FD + i) for i in range(int(count))]


def tell_ready() -> None:
    """Tell the service manager, if there is one that wants to know, that this service answers."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, suppress(OSError):
        notify.connect("\0" + place[1:] if place.startswith("@") else place)
        notify.send(b"READY=1")
