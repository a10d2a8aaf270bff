"""Pages made from the code: settings from the schema, hosts from the catalogue. `python -m tests.docs.generate` writes them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gatewright.config import json_schema
from tests.docs import metrics
from tests.docs.hosts import pages
from tests.faults import table as faults
from tests.invariant import documented

ROOT = Path(__file__).resolve().parents[2]


def _kind(schema: dict[str, Any], whole: dict[str, Any]) -> str:
    if "$ref" in schema:
        return _kind(whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if "anyOf" in schema:
        kinds = [_kind(s, whole) for s in schema["anyOf"] if s.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}), whole)}"
    if schema.get("type") == "object":
        return "mapping"
    return str(schema.get("type", "any"))


def _rows(schema: dict[str, Any], whole: dict[str, Any]) -> list[str]:
    rows = ["| key | type | default | |", "|---|---|---|---|"]
    required = set(schema.get("required", ()))
    for key, field in schema.get("properties", {}).items():
        default = (
            "required"
            if key in required
            else f"`{field['default']}`"
            if field.get("default") not in (None, {}, []) and not isinstance(field["default"], dict)
            else ""
        )
        description = " ".join(field.get("description", "").split())
        rows.append(f"| `{key}` | {_kind(field, whole)} | {default} | {description} |")
    return rows


def configuration() -> str:
    """docs/configuration.md: prose from configuration.head.md, then a table for each section."""
    whole = json_schema()
    head = (ROOT / "docs" / "configuration.head.md").read_text(encoding="utf-8")
    parts = [head.rstrip(), "", "## Every key", "", *_rows(whole, whole)]
    for name, section in sorted(whole["$defs"].items()):
        if section.get("properties"):
            title = name.removesuffix("Section")
            parts += ["", f"### {title}", "", " ".join(section.get("description", "").split()), "", *_rows(section, whole)]
    return "\n".join(parts) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "faults.md": faults.page,
    "metrics.md": metrics.page,
    "invariant-policies.md": documented.page,
    **{name: partial(str, text) for name, text in pages().items()},
}


def main() -> None:
    for name, page in PAGES.items():
        place = ROOT / "docs" / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
