"""Other gateways' configurations, made into gatewright.yaml.

One rule: what is read is carried or told. Every key of the source ends up in the result, or in the list of what was left, with
the reason; nothing of it is followed, fetched or executed.
"""

from gatewright.importing.draft import Draft, Left
from gatewright.importing.result import Result, imported
from gatewright.importing.source import CannotImport

__all__ = ["CannotImport", "Draft", "Left", "Result", "imported"]
