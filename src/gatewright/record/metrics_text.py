"""Metrics as text: Prometheus' own format, or OpenMetrics for who asks for it.

Written by us, for a gateway with many models has many lines: prometheus_client takes 25 times as long (2026-11-21,
`python -m bench.metrics`). It is the oracle of the tests, which say that both write the same samples.
https://prometheus.io/docs/instrumenting/exposition_formats/
https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from gatewright.record.metrics_cells import LabelValues, Value
from gatewright.record.metrics_families import FAMILIES, Family

PLAIN: Final = "text/plain; version=0.0.4; charset=utf-8"
OPEN: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
NOTHING: Final[Mapping[LabelValues, Value]] = {}
_IN_LABEL: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_IN_HELP: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})


def rendered(counted: Mapping[str, Mapping[LabelValues, Value]], accept: str) -> tuple[str, bytes]:
    """Content type and body. `accept`: the client's header. Families that nothing is known of are told all the same."""
    is_open = wants_open(accept)
    lines = (line for family in FAMILIES for line in _family(family, counted.get(family.name, NOTHING), is_open=is_open))
    return (OPEN if is_open else PLAIN), ("\n".join(lines) + ("\n# EOF\n" if is_open else "\n")).encode()


def wants_open(accept: str) -> bool:
    """Whether a client takes OpenMetrics: whoever does prefers it."""
    for one in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in one.split(";"))
        if kind == "application/openmetrics-text":
            said = dict(parameter.partition("=")[::2] for parameter in parameters)
            return said.get("q", "1") not in ("0", "0.0", "0.00", "0.000") and said.get("version", "1.0.0") in ("1.0.0", "0.0.1")
    return False


def _family(family: Family, series: Mapping[LabelValues, Value], *, is_open: bool) -> Iterator[str]:
    name = family.name if is_open else family.shown
    yield f"# HELP {name} {family.help.translate(_IN_HELP)}"
    yield f"# TYPE {name} {family.kind}"
    if family.kind == "histogram":
        bounds = (*(f'le="{float(bound)!r}"' for bound in family.buckets), 'le="+Inf"')
        for labels, value in series.items():
            if isinstance(value, list):
                yield from _histogram(family.name, _labels(family, labels), bounds, value)
        return
    shown = family.shown
    for labels, number in _numbers(family, series):
        told = _labels(family, labels)
        yield f"{shown}{{{told}}} {number!r}" if told else f"{shown} {number!r}"


def _histogram(name: str, labels: str, bounds: tuple[str, ...], value: list[float]) -> Iterator[str]:
    before = f"{name}_bucket{{{labels}{',' if labels else ''}"
    count: float = 0
    for bound, count in zip(bounds, accumulate(value[:-1]), strict=True):
        yield f"{before}{bound}}} {count!r}"
    around = f"{{{labels}}}" if labels else ""
    yield f"{name}_count{around} {count!r}"
    yield f"{name}_sum{around} {value[-1]!r}"


def _labels(family: Family, values: LabelValues) -> str:
    return ",".join(f'{name}="{value.translate(_IN_LABEL)}"' for name, value in zip(family.labels, values, strict=True))


def _numbers(family: Family, series: Mapping[LabelValues, Value]) -> Iterable[tuple[LabelValues, float]]:
    """A counter without labels is 0 before anything happened: who asks how fast it grows need not ask whether it is there."""
    if not series and not family.labels and family.kind == "counter":
        return (((), 0),)
    return ((labels, value) for labels, value in series.items() if not isinstance(value, list))
