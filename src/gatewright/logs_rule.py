"""What is to be logged, as configured."""

from typing import Literal, TypeAlias

import msgspec

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
Format: TypeAlias = Literal["auto", "json", "pretty"]
Requests: TypeAlias = Literal["off", "errors", "all"]


class LoggingRule(msgspec.Struct, frozen=True, kw_only=True):
    """`logging:` of the configuration."""

    level: Level = "warning"
    format: Format = "auto"
    requests: Requests = "off"
