"""A log line: a JSON document for machines, or words in colour for people.

    {"timestamp": "2026-11-21T19:52:38.123Z", "level": "warning", "logger": "gatewright", "event": "…", "pid": 7, …}

Rendered by structlog, in the log's own thread. Tracebacks are those of Python: they show code, and never the values in it.
https://www.structlog.org/en/stable/standard-library.html
"""

import json
import logging
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from structlog.types import EventDict, Processor

Fields: TypeAlias = Mapping[str, object]
Render: TypeAlias = Callable[[Fields], str]
FIRST: Final = ("timestamp", "level", "logger", "event")
_LEVELS: Final = {"critical": "error", "fatal": "error", "warn": "warning", "notset": "debug"}


def stamp(seconds: float) -> str:
    """RFC 3339, in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def renderer(*, pretty: bool, colors: bool = False) -> Render:
    """From fields to a line."""
    if not pretty:
        return as_json
    from structlog.dev import ConsoleRenderer, plain_traceback  # noqa: PLC0415 - takes its time, and only a person wants it

    console = ConsoleRenderer(colors=colors, exception_formatter=plain_traceback, pad_event_to=0, sort_keys=False)

    def render(fields: Fields) -> str:
        return str(console(None, "", dict(fields)))

    return render


def as_json(fields: Fields) -> str:
    try:
        return msgspec.json.encode(fields).decode()
    except (UnicodeEncodeError, TypeError, ValueError):  # half a character, which the client cut
        return json.dumps(fields, default=str)


class LogFormatter:
    """Of records of the standard library: ours, uvicorn's and warnings alike."""

    def __init__(self, render: Render, scrub: Callable[[str], str]) -> None:
        from structlog.stdlib import ProcessorFormatter  # noqa: PLC0415 - takes its time

        def finish(_logger: object, _name: str, event: "EventDict") -> str:
            return render(_ordered(event, self.pid))

        self.pid: int | None = None
        """Told with each line, where several processes write to one place."""
        first: list[Processor] = [_known, _Scrubbed(scrub)]
        self._formatter = ProcessorFormatter(
            foreign_pre_chain=first, processors=[ProcessorFormatter.remove_processors_meta, finish], keep_exc_info=False
        )

    def __call__(self, record: logging.LogRecord) -> str:
        return self._formatter.format(record)


def _known(_logger: object, _name: str, event: "EventDict") -> "EventDict":
    """What a record says of itself."""
    record: logging.LogRecord = event["_record"]
    level = record.levelname.lower()
    event["timestamp"], event["level"], event["logger"] = stamp(record.created), _LEVELS.get(level, level), record.name
    error = event.pop("exc_info", None)
    if error is True:
        error = record.exc_info
    if isinstance(error, tuple) and error[0] is not None:
        event["exception"] = _TRACEBACKS.formatException(error)
    if record.stack_info:
        event["stack"] = record.stack_info
    return event


_TRACEBACKS: Final = logging.Formatter()


class _Scrubbed:
    def __init__(self, scrub: Callable[[str], str]) -> None:
        self._scrub = scrub

    def __call__(self, _logger: object, _name: str, event: "EventDict") -> "EventDict":
        for name, value in event.items():
            if name[0] != "_" and isinstance(value, str):
                event[name] = self._scrub(value)
        return event


def _ordered(event: MutableMapping[str, Any], pid: int | None) -> Fields:
    found = {name: event[name] for name in FIRST if name in event}
    if pid is not None:
        found["pid"] = pid
    return {**found, **{name: value for name, value in event.items() if name not in found and name[0] != "_"}}
