"""Secrets and settings as other gateways write them, made into references of ours."""

import re

from gatewright.importing.source import Part
from gatewright.jsontypes import JsonValue

_VARIABLE = re.compile(r"(?:os\.environ/|env\.|env:|\$\{?|\{\{\s*env\.)([A-Za-z_][A-Za-z0-9_]*)\s*(?:\}\}?)?")


def reference(text: str) -> str:
    """`os.environ/X` (LiteLLM), `env.X` (Bifrost), `${X}`: `env:X`. Everything else is itself."""
    found = _VARIABLE.fullmatch(text.strip())
    return f"env:{found[1]}" if found else text


def is_variable(text: str) -> bool:
    """Whether it is a reference of ours to a variable."""
    return text.startswith("env:")


def referred(part: Part, key: str) -> str | None:
    """The text at `key` as a reference; also where it is a mapping with the variable's name (Bifrost). Raises CannotImport."""
    value: JsonValue = part.take(key)
    if isinstance(value, dict):
        variable = value.get("env_var")
        value = f"env:{str(variable).removeprefix('env.')}" if variable else value.get("value")
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise part.expected(key, "text", value)
    return reference(value)
