"""The dialects under test, in a mapping of their own: tests put liars in their place."""

from gatewright.dialects import BY_NAME
from gatewright.dialects.protocol import Dialect
from gatewright.ir.blocks import DialectName

DIALECTS: dict[DialectName, Dialect] = dict(BY_NAME)
