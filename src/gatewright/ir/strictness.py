"""Which schemas OpenAI accepts as strict: other providers say `strict` and mean less.

One rule: every object is closed and requires all that it has, at any depth.
https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from gatewright.ir.loss import Losses, join
from gatewright.jsontypes import JsonValue


def flaw(schema: JsonValue, at: str = "") -> str:
    """What OpenAI would refuse in a strict schema, with its place; empty when nothing."""
    if not isinstance(schema, dict):
        return ""
    here = at or "the schema"
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        if schema.get("additionalProperties") is not False:
            return f"{here} is open to additional properties"
        required = schema.get("required")
        asked = required if isinstance(required, list) else []
        optional = [name for name in properties if name not in asked] if isinstance(properties, dict) else []
        if optional:
            return f"{here} has optional properties ({optional[0]})"
    if "oneOf" in schema or "allOf" in schema:
        return f"{here} has oneOf or allOf"
    for key in ("properties", "$defs", "definitions"):
        parts = schema.get(key)
        for name, part in parts.items() if isinstance(parts, dict) else ():
            if found := flaw(part, f"{at}.{name}" if at else name):
                return found
    branches = schema.get("anyOf")
    for part in (*(branches if isinstance(branches, list) else ()), schema.get("items")):
        if found := flaw(part, at):
            return found
    return ""


def strict_or_loss(schema: JsonValue, at: str, losses: Losses, *, strict: bool | None) -> bool | None:
    """`strict` as another API may be told of it: false, with a loss, where the schema is not strict enough for OpenAI."""
    if not strict:
        return strict
    found = flaw(schema)
    if not found:
        return True
    losses.approximated(join(at, "strict"), f"openai would refuse it as strict: {found}", value=True)
    return False
