"""Every quirk there is."""

from gatewright.providers.quirks.mended import MENDED
from gatewright.providers.quirks.read import READ
from gatewright.providers.quirks.seam import Quirk

QUIRKS: tuple[Quirk, ...] = (*MENDED, *READ)

BY_NAME: dict[str, Quirk] = {quirk.name: quirk for quirk in QUIRKS}
