"""The log: everything that is told to whoever runs the gateway, on stderr, as one kind of line.

    log.warning(…), uvicorn, warnings ──▶ level ──▶ the writer's queue ──▶ scrubbed, rendered, written

One rule: it is set up by whoever owns the process, `gatewright serve` and its workers. An embedded gateway logs to the standard
library and leaves the rest to its embedder.
"""

import logging
import os
import sys
import threading
import time
from typing import Final, TextIO

from gatewright.config import Config
from gatewright.config.known_secrets import secrets_in
from gatewright.logs_lines import Fields, LogFormatter, Render, renderer, stamp
from gatewright.logs_requests import Recorder, RequestLines
from gatewright.logs_rule import LoggingRule
from gatewright.logs_scrub import Scrub
from gatewright.logs_writer import Writer

OURS: Final = ("gatewright", "uvicorn")
"""Loggers that follow the configured level; all others are told from a warning on, since what they tell is not ours to judge."""
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class _Handler(logging.Handler):
    def __init__(self, log: "Log") -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.writer.put(self._log.line, record, urgent=record.levelno >= logging.WARNING)


class Log:
    """The log of a process."""

    def __init__(self, rule: LoggingRule, stream: TextIO) -> None:
        terminal = stream.isatty()
        self.pretty = rule.format == "pretty" or (rule.format == "auto" and terminal)
        self.rule = rule
        self._stream = stream
        self.writer = Writer(stream.buffer)
        self._scrub = Scrub()
        self._pid: int | None = None
        self._render: Render = renderer(pretty=self.pretty, colors=terminal and not os.environ.get("NO_COLOR"))
        self.line = LogFormatter(self._render, self._scrubbed)
        self._handler = _Handler(self)

    def begin(self) -> None:
        """Take over the standard library's log, and what Python tells beside it."""
        root = logging.getLogger()
        root.handlers[:] = [self._handler]
        root.setLevel(logging.WARNING)
        logging.captureWarnings(capture=True)
        threading.excepthook = _in_thread

    def tell_pid(self) -> None:
        """Have each line say which process tells it: several write to one place."""
        self._pid = self.line.pid = os.getpid()

    def follow(self, config: Config) -> None:
        """This holds from now on; the format stays."""
        self.rule = config.logging
        self._scrub = Scrub(secrets_in(config))
        for name in OURS:
            logging.getLogger(name).setLevel(_LEVELS[config.logging.level])

    def say(self, level: str, event: str) -> None:
        """A line that is told whatever the level: what was started, and what is wrong with it."""
        told = {"timestamp": stamp(time.time()), "level": level, "logger": "gatewright", "event": self._scrub(event)}
        self.writer.put(self._of_request, told, urgent=True)

    def requests(self, recorder: Recorder, rule: LoggingRule) -> Recorder:
        """The recorder, with a line for each request where these are wanted."""
        return recorder if rule.requests == "off" else RequestLines(recorder, self.writer, rule.requests, self._of_request)

    def _scrubbed(self, text: str) -> str:
        return self._scrub(text)

    def _of_request(self, fields: Fields) -> str:
        return self._render(fields if self._pid is None else {**fields, "pid": self._pid})


_current: Log | None = None


def set_up(config: Config, stream: TextIO | None = None, *, pid: bool = False) -> Log:
    """From now on this process logs as configured, to stderr. Again: only levels and secrets change.

    `pid`: whether lines say which process tells them.
    """
    global _current  # noqa: PLW0603 - a process has one stderr
    if _current is None:
        _current = Log(config.logging, stream or sys.stderr)
        _current.begin()
    if pid:
        _current.tell_pid()
    _current.follow(config)
    return _current


def current() -> Log | None:
    """The log that was set up. None: this is embedded."""
    return _current


def _in_thread(what: threading.ExceptHookArgs) -> None:
    if what.exc_value is not None and not issubclass(what.exc_type, SystemExit):
        name = "?" if what.thread is None else what.thread.name
        error = (what.exc_type, what.exc_value, what.exc_traceback)
        logging.getLogger("gatewright").error("thread %s failed on a bug of ours", name, exc_info=error)
