"""Quirks: the named ways in which hosts deviate from the dialects they speak, as data.

One rule: a host without quirks pays nothing; one with them pays for the requests that they concern.
"""

from gatewright.providers.quirks.betas import BETAS, let_through
from gatewright.providers.quirks.seam import Mending, Quirk, mendings
from gatewright.providers.quirks.table import BY_NAME, QUIRKS

__all__ = ["BETAS", "BY_NAME", "QUIRKS", "Mending", "Quirk", "let_through", "mendings"]
