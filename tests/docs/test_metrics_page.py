"""What is written about metrics is what there is: the page, and the dashboard."""

import json
import re

from gatewright.record.metrics_families import FAMILIES
from tests.docs.generate import PAGES, ROOT

SAMPLES = {
    name: family
    for family in FAMILIES
    for name in (
        (f"{family.name}_bucket", f"{family.name}_sum", f"{family.name}_count") if family.kind == "histogram" else (family.shown,)
    )
}
"""What can be asked for."""
DASHBOARD = json.loads((ROOT / "docs" / "grafana.json").read_text(encoding="utf-8"))
_NAME = re.compile(r"\b(?:gatewright|process)_[a-z_]+\b")
_SELECTED = re.compile(r"\b((?:gatewright|process)_[a-z_]+)(?:\{([^}]*)\})?")


def queries() -> list[str]:
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    return asked + [v["query"]["query"] for v in DASHBOARD["templating"]["list"] if v["type"] == "query"]


def test_the_page_is_current():
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == PAGES["metrics.md"](), "python -m tests.docs.generate"


def test_every_metric_that_the_page_names_exists():
    """In its prose, too."""
    text = (ROOT / "docs" / "metrics.head.md").read_text(encoding="utf-8") + (ROOT / "docs" / "logging.md").read_text(
        encoding="utf-8"
    )
    known = set(SAMPLES) | {family.name for family in FAMILIES}
    assert set(_NAME.findall(text)) <= known


def test_the_dashboard_asks_for_what_there_is():
    """Names, and the labels that are selected and grouped by."""
    asked = queries()
    assert len(asked) > 30
    for query in asked:
        for name, selected in _SELECTED.findall(query):
            assert name in SAMPLES, query
            labels = {part.split("=")[0].strip().rstrip("!") for part in re.findall(r'\w+!?=~?"', selected or "")}
            assert labels <= {*SAMPLES[name].labels, "le"}, query
        grouped = {label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")}
        for name in {name for name, _ in _SELECTED.findall(query)}:
            assert grouped <= {*SAMPLES[name].labels, "le"}, query


def test_every_metric_is_on_the_dashboard():
    """Or nobody looks at it."""
    seen = {SAMPLES[name].name for query in queries() for name, _ in _SELECTED.findall(query)}
    assert {family.name for family in FAMILIES} - seen == set()


def test_panels_do_not_lie_over_one_another():
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
