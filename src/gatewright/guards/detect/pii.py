"""Kind `pii`: what tells of a person and can be known by its form: cards, accounts, national numbers, addresses, phones.

One rule: no names and no places: those are not known by form; kind `presidio` looks for them.
"""

import msgspec

from gatewright.guards.detect.pii_rows import ROWS
from gatewright.guards.detect.scan import Scan
from gatewright.guards.detect.settings import chosen, read, wrong
from gatewright.guards.rules import Compiled
from gatewright.jsontypes import JsonObject

KINDS = frozenset(row.kind for row in ROWS)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    only: tuple[str, ...] = ()
    """Kinds that are looked for, or globs of them (`us_*`). Empty: all."""
    without: tuple[str, ...] = ()
    """Kinds that are not."""


def compiled(settings: JsonObject) -> Compiled:
    """Raises ValueError."""
    said = read(settings, Settings)
    kinds = dict.fromkeys(row.kind for row in ROWS)
    wanted = set(chosen(said.only, kinds, "only") or kinds) - set(chosen(said.without, kinds, "without"))
    if not wanted:
        raise wrong("without", "nothing is left to look for")
    scan = Scan(row for row in ROWS if row.kind in wanted)
    return Compiled(detector=scan, longest=scan.longest)
