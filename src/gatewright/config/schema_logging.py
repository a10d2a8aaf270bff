"""The shape of the log: what is written to stderr, and how."""

from typing import Literal

from gatewright.config.section import Section


class LoggingSection(Section):
    """What the gateway writes to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "warning"
    """The least that is written."""
    format: Literal["auto", "json", "pretty"] = "auto"
    """`json`: a document a line; `pretty`: for people. `auto`: pretty on a terminal, else JSON."""
    requests: Literal["off", "errors", "all"] = "off"
    """Whether each request is a line: who, which model and target, how long, how many tokens. Never bodies, headers or keys."""
