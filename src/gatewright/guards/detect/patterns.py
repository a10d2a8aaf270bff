"""Kind `patterns`: regular expressions of the operator's own, in RE2's syntax.

One rule: a pattern that RE2 cannot run in linear time is no pattern here; it is refused when the configuration is read.
https://github.com/google/re2/wiki/Syntax
"""

import msgspec

from gatewright.guards.detect.scan import BadPattern, Row, Scan
from gatewright.guards.detect.scan import read as structure
from gatewright.guards.detect.settings import read, wrong
from gatewright.guards.rules import Compiled
from gatewright.jsontypes import JsonObject


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pattern with a name of its own."""

    pattern: str
    name: str = "pattern"
    """What findings call it."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    patterns: tuple[str | Named, ...]
    """What is looked for. A match of any of them is found."""
    ignore_case: bool = False
    multiline: bool = False
    """`^` and `$` stand for the beginning and end of lines, too."""
    dot_all: bool = False
    """`.` stands for the end of a line, too."""


def compiled(settings: JsonObject) -> Compiled:
    """Raises ValueError."""
    said = read(settings, Settings)
    if not said.patterns:
        raise wrong("patterns", "at least one pattern is needed")
    flags = "".join(flag for flag, on in (("i", said.ignore_case), ("m", said.multiline), ("s", said.dot_all)) if on)
    rows = []
    for index, each in enumerate(said.patterns):
        named = Named(each) if isinstance(each, str) else each
        if not named.name:
            raise wrong(f"patterns[{index}].name", "a name must not be empty")
        path = f"patterns[{index}]" if isinstance(each, str) else f"patterns[{index}].pattern"
        pattern = f"(?{flags}){named.pattern}" if flags else named.pattern
        try:
            structure(named.pattern)
        except BadPattern as error:
            raise wrong(path, str(error)) from None
        rows.append(Row(named.name, pattern))
    scan = Scan(rows)
    return Compiled(detector=scan, longest=scan.longest)
