"""docs/metrics.md: prose from metrics.head.md, then every metric there is."""

from pathlib import Path

from gatewright.record.metrics_families import FAMILIES

ROOT = Path(__file__).resolve().parents[2]


def page() -> str:
    head = (ROOT / "docs" / "metrics.head.md").read_text(encoding="utf-8")
    rows = ["| metric | kind | labels | |", "|---|---|---|---|"]
    for family in FAMILIES:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(f"| `{family.shown}` | {family.kind} | {labels} | {family.help} |")
    return head.rstrip() + "\n\n" + "\n".join(rows) + "\n"
