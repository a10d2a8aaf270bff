"""Processes and signals: one server, or a supervisor of several, that drain when told to stop.

One rule: after SIGTERM nothing new is taken, what runs may finish, and the exit is clean (code 0).
https://www.uvicorn.org/deployment/
"""

import signal
import sys
from contextlib import suppress

import uvicorn
from uvicorn.supervisors import Multiprocess

COULD_NOT_START = 3


class Workers(Multiprocess):
    """uvicorn's supervisor, which keeps the listening socket open while its workers drain: the kernel would go on taking
    connections that nobody serves. Ours closes it first, so that they are refused.
    """

    def terminate_all(self) -> None:
        for listening in self.sockets:
            listening.close()
        super().terminate_all()


def run(config: uvicorn.Config) -> None:
    """Serve until told to stop. Exits with 3 when the server could not start."""
    # Having drained, uvicorn raises the signal again for whoever handled it before: the default would make the exit look a death.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    if config.workers > 1:
        Workers(config, [config.bind_socket()]).run()
        return
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(COULD_NOT_START)
