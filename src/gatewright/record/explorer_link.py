"""The way to one server of Invariant's: its Explorer, or the service that judges. Kept connections, a deadline for each question.

One rule: its URL is the operator's. What goes wrong is told with host and port, never with a key or what it answered.
"""

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

from gatewright.errors import Problem, UpstreamFailed
from gatewright.transport.client import HttpTransport
from gatewright.transport.failures import TransportError
from gatewright.transport.proxy import proxy_for
from gatewright.transport.seam import Outgoing, Timeouts, header_lines
from gatewright.transport.strand import in_a_task

MAX_BYTES: Final = 4 << 20
"""Of an answer: all policies of a dataset, or the errors of a long conversation."""


class NoAnswer(UpstreamFailed):
    """Nothing came that could be read."""

    def __init__(self, message: str, *, sent: bool, late: bool = False) -> None:
        super().__init__(Problem(kind="timeout" if late else "upstream", message=message))
        self.sent = sent
        """Whether it may have been heard."""


class Asks(Protocol):
    """What is asked of such a way: `Link`."""

    async def ask(
        self, method: str, path: str, key: str, body: bytes = b"", *, deadline_s: float = 5.0, more: Mapping[str, str] = {}
    ) -> tuple[int, bytes]:
        """(status, body). Raises NoAnswer. To be awaited in a task. `more`: headers beside the usual ones."""
        ...


class Link:
    """Belongs to the event loop that first uses it."""

    def __init__(self, base: str, environ: Mapping[str, str], *, max_connections: int = 16) -> None:
        parts = urlsplit(base)
        self.where = parts.netloc.rpartition("@")[2]
        self._under = parts.path.rstrip("/")
        self._transport = HttpTransport(
            f"{parts.scheme}://{self.where}", proxy=proxy_for(base, environ), max_connections=max_connections
        )

    async def ask(
        self, method: str, path: str, key: str, body: bytes = b"", *, deadline_s: float = 5.0, more: Mapping[str, str] = {}
    ) -> tuple[int, bytes]:
        """As `Asks` says."""
        fields = {"accept": "application/json", "user-agent": "gatewright", "authorization": f"Bearer {key}", **more}
        if body:
            fields["content-type"] = "application/json"
        try:
            asked = Outgoing(
                method=method.encode("ascii"),
                path=(self._under + path).encode("ascii"),
                headers=header_lines(fields.items()),
                body=body,
                timeouts=Timeouts(deadline_s, deadline_s, deadline_s, deadline_s, deadline_s),
            )
            await in_a_task()
            async with asyncio.timeout(deadline_s):
                incoming = await self._transport.send(asked)
                return incoming.status, await incoming.read(MAX_BYTES)
        except TransportError as error:
            raise NoAnswer(error.problem.message, sent=error.sent) from None
        except TimeoutError:
            raise NoAnswer(f"{self.where}: no answer within {deadline_s:g} s", sent=True, late=True) from None
        except ValueError as error:  # a key or a name that cannot stand in a request
            raise NoAnswer(f"{self.where}: {error}", sent=False) from None

    async def close(self) -> None:
        await self._transport.close()
