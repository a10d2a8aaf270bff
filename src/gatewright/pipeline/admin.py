"""What only an admin's key may ask of a running gateway.

    POST /admin/v1/reload    read the configuration again, in every worker: 200 with what changed, 422 with what is wrong

Closed unless a key says `role: admin` (`permissions.py`). One rule: there is no default key or password that opens it.
"""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from gatewright.errors import Problem, Refused
from gatewright.exchange import Exchange, Next, Principal, Reply
from gatewright.transport.strand import in_a_task

JSON = b"content-type: application/json\r\ncache-control: no-store\r\n"


class Fault(msgspec.Struct, frozen=True):
    """One thing that keeps a configuration from being used."""

    file: str
    line: int
    """From 1. 0: it has no place in the file."""
    column: int
    key: str
    """Path of the key, such as `models.fast.targets[1]`. Empty: the file as a whole."""
    message: str


class Workers(msgspec.Struct, frozen=True):
    """What became of it in the other processes that serve the same configuration."""

    told: int = 0
    took_over: int = 0
    refused: int = 0
    """It could not be used there: their logs say why. The file may have changed in between."""
    silent: int = 0
    """They have not answered in time, and may do it yet."""


class Reloaded(msgspec.Struct, frozen=True):
    """How it went."""

    source: str
    """Path of the configuration."""
    changes: msgspec.Struct | None = None
    """By name. None: it was not taken over, and nothing has changed."""
    warnings: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    """Why it was not."""
    workers: Workers = Workers()


Noted: TypeAlias = Callable[[Principal, str, bytes], Awaitable[None]]
"""(who, path of the configuration, names of what changed, as JSON)."""


class ReloadDesk:
    """Where the call finds who reads the configuration, who comes later than the stages. One for all generations."""

    def __init__(self) -> None:
        self.ask: Callable[[], Awaitable[Reloaded]] | None = None
        """None: this gateway is embedded, and its embedder decides what it is configured by."""


class Reload:
    """Answers `POST /admin/v1/reload`."""

    def __init__(self, desk: ReloadDesk, noted: Noted | None = None) -> None:
        """`noted`: where it is written down that somebody has done so."""
        self.desk = desk
        self.noted = noted

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        if self.desk.ask is None:
            message = "This gateway does not read its configuration again: it is embedded in another program."
            raise Refused(Problem(kind="conflict", code="not_reloadable", message=message))
        await in_a_task()
        done = await self.desk.ask()
        if done.changes is None:
            return Reply(422, JSON, _refusal(done))
        if self.noted is not None and exchange.principal is not None:
            await self.noted(exchange.principal, done.source, msgspec.json.encode(done.changes))
        answer = {
            "object": "reload",
            "source": done.source,
            **msgspec.to_builtins(done.changes),
            "warnings": done.warnings,
            "workers": done.workers,
        }
        return Reply(200, JSON, msgspec.json.encode(answer))


def _refusal(done: Reloaded) -> bytes:
    """In the form of OpenAI's errors, with every fault apart."""
    told = "; ".join(
        f"{fault.file}:{fault.line}:{fault.column} {f'{fault.key}: ' if fault.key else ''}{fault.message}"
        if fault.line
        else fault.message
        for fault in done.faults
    )
    error = {
        "message": f"Not taken over; what was loaded before goes on. {told}",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_configuration",
        "problems": done.faults,
    }
    return msgspec.json.encode({"error": error})
