"""The dialects under test. While a folder is being written, what cannot be imported is left out."""

import importlib
import sys

from gatewright.dialects.protocol import Dialect
from gatewright.ir.blocks import DialectName

DIALECTS: dict[DialectName, Dialect] = {}
for _name in ("anthropic", "openai_chat", "openai_responses", "gemini"):
    try:
        DIALECTS[_name] = getattr(importlib.import_module(f"gatewright.dialects.{_name}"), _name.upper())
    except Exception as _error:
        print(f"dialect {_name} cannot be imported: {_error!r}", file=sys.stderr)
