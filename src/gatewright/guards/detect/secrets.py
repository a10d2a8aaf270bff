"""Kind `secrets`: keys and tokens in the formats of those who issue them, and values that are said to be secret and look it.

One rule: a prefix alone is nothing. A row has a checksum, a structure or entropy to hold before it is told, so that documents
full of hashes, UUIDs and base64 say nothing.
"""

from typing import Final

import msgspec

from gatewright.guards.detect.scan import Scan
from gatewright.guards.detect.secret_rows import ROWS
from gatewright.guards.detect.settings import chosen, read, wrong
from gatewright.guards.rules import Compiled
from gatewright.jsontypes import JsonObject

LONGEST: Final = 16_384
"""Characters of a secret that is waited for: of a private key, or a token with many claims."""
GENERIC: Final = ("generic", "url_password")
"""Rows that know no issuer: told by what they are called, or by where they stand."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    only: tuple[str, ...] = ()
    """Kinds of secrets that are looked for. Empty: all."""
    without: tuple[str, ...] = ()
    """Kinds that are not."""
    generic: bool = True
    """Whether values of `api_key=`, `password:` and the like count that no issuer's format tells."""


def compiled(settings: JsonObject) -> Compiled:
    """Raises ValueError."""
    said = read(settings, Settings)
    kinds = dict.fromkeys(row.kind for row in ROWS)
    wanted = set(chosen(said.only, kinds, "only") or kinds) - set(chosen(said.without, kinds, "without"))
    if not said.generic:
        wanted -= set(GENERIC)
    if not wanted:
        raise wrong("without", "nothing is left to look for")
    return Compiled(detector=Scan(row for row in ROWS if row.kind in wanted), longest=LONGEST)
