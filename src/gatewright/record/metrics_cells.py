"""What metrics are kept in: a cell for each combination of labels, and what several workers' become together.

A histogram is a list: how many fell into each bucket, then beyond the last; then the sum of all. One rule: sums and counts never
go back.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from gatewright.ir.response import Usage
from gatewright.record.metrics_families import BY_NAME, FIRST_SECONDS, OWN_SECONDS, RATES, SECONDS, TOKENS, Joining
from gatewright.stores.ledger_rows import AXES

LabelValues: TypeAlias = tuple[str, ...]
Histogram: TypeAlias = list[float]
Value: TypeAlias = float | Histogram
Counted: TypeAlias = dict[str, dict[LabelValues, Value]]
"""By family and the values of its labels."""


class MetricsRule(msgspec.Struct, frozen=True, kw_only=True):
    """As configured."""

    enabled: bool = True
    public: bool = False
    """Told to whoever asks, without a key."""
    max_series: int = 2000
    """Combinations of labels of requests that are told apart."""
    max_models: int = 200
    """Models that are told apart though the configuration does not name them."""
    otlp: bool | None = None
    """Whether metrics are sent by OTLP. None: when the environment says where to."""


class Timed:
    """What is measured of calls that are alike but for their status."""

    __slots__ = ("axes", "duration", "first", "labels", "overhead", "rate", "raw", "read", "untold", "written")

    def __init__(self, labels: LabelValues) -> None:
        self.labels = labels
        self.raw: list[tuple[float, float, float, float, int, int]] = []
        """Of requests not yet folded: how long, our own time, until the first token, tokens a second (below zero: none), read,
        written. To sort some hundred of them costs half of what it costs to find each one's bucket."""
        self.duration = empty(SECONDS)
        self.overhead = empty(OWN_SECONDS)
        self.first = empty(FIRST_SECONDS)
        self.rate = empty(RATES)
        self.read = empty(TOKENS)
        self.written = empty(TOKENS)
        self.axes = [0] * len(AXES)
        self.untold = 0

    def fold(self) -> None:
        """Put what is raw into the histograms."""
        if not self.raw:
            return
        took, own, first, speed, read, written = zip(*self.raw, strict=True)
        self.raw.clear()
        _fold(self.duration, SECONDS, took)
        _fold(self.overhead, OWN_SECONDS, own)
        _fold(self.first, FIRST_SECONDS, first)
        _fold(self.rate, RATES, speed)
        _fold(self.read, TOKENS, read)
        _fold(self.written, TOKENS, written)

    def used(self, usage: Usage) -> int:
        """Count an attempt's tokens; those that were written."""
        axes = self.axes
        read, written = usage.input or 0, usage.output or 0
        axes[0] += read
        axes[5] += written
        read, written = more_used(axes, usage, read, written)
        observe(self.read, TOKENS, read)
        observe(self.written, TOKENS, written)
        return written


class Cell:
    """One series of requests."""

    __slots__ = ("clean", "count", "labels", "timed")

    def __init__(self, labels: LabelValues, timed: Timed) -> None:
        self.labels = labels
        self.timed = timed
        self.clean = 0
        """Requests of one attempt that went well."""
        self.count = 0
        """All others."""


def empty(buckets: tuple[float, ...]) -> Histogram:
    return [0] * (len(buckets) + 2)


def observe(histogram: Histogram, buckets: tuple[float, ...], value: float) -> None:
    """Add one value."""
    histogram[bisect_left(buckets, value)] += 1
    histogram[-1] += value


def _fold(histogram: Histogram, buckets: tuple[float, ...], values: Sequence[float]) -> None:
    """Add many; those below zero are none."""
    some = sorted(values)
    before = 0
    if some[0] < 0:
        del some[: bisect_left(some, 0.0)]
    for at, bucket in enumerate(buckets):
        after = bisect_right(some, bucket, before)
        histogram[at] += after - before
        before = after
    histogram[-2] += len(some) - before
    histogram[-1] += sum(some)


def more_used(axes: list[int], usage: Usage, read: int, written: int) -> tuple[int, int]:
    """All that was read, and written, with the axes that most calls have nothing on."""
    for at, more in ((1, usage.cache_read), (2, usage.cache_write_5m), (3, usage.cache_write_1h), (4, usage.audio_in)):
        if more:
            axes[at] += more
            read += more
    for at, more in ((6, usage.reasoning), (7, usage.audio_out)):
        if more:
            axes[at] += more
            written += more
    return read, written


def add(counted: Counted, name: str, labels: LabelValues, count: float) -> None:
    """To a counter or a gauge."""
    series = counted.setdefault(name, {})
    before = series.get(labels, 0)
    assert not isinstance(before, list)
    series[labels] = before + count


def of_cells(cells: Iterable[Cell], timed: Iterable[Timed]) -> Counted:
    """What the cells say, by family; a copy."""
    found: Counted = {}
    for cell in cells:
        add(found, "gatewright_requests", cell.labels, cell.count + cell.clean)
        if cell.clean:
            _, _, provider, model, _, upstream, *_ = cell.labels
            add(found, "gatewright_attempts", (provider, model, upstream, "first", "ok"), cell.clean)
    for one in timed:
        one.fold()
        for name, histogram in (
            ("gatewright_request_duration_seconds", one.duration),
            ("gatewright_overhead_seconds", one.overhead),
            ("gatewright_time_to_first_token_seconds", one.first),
            ("gatewright_output_tokens_per_second", one.rate),
            ("gatewright_request_input_tokens", one.read),
            ("gatewright_request_output_tokens", one.written),
        ):
            if any(histogram):
                found.setdefault(name, {})[one.labels] = histogram.copy()
        _, route, provider, model, *_ = one.labels
        for axis, tokens in zip(AXES, one.axes, strict=True):
            if tokens:
                add(found, "gatewright_tokens", (route, provider, model, axis), tokens)
        if one.untold:
            add(found, "gatewright_usage_untold", (provider, model), one.untold)
    return found


def _sum(one: float, other: float) -> float:
    return one + other


def _max(one: float, other: float) -> float:
    return max(one, other)


def _min(one: float, other: float) -> float:
    return min(one, other)


_JOINS: Final[Mapping[Joining, Callable[[float, float], float]]] = {"sum": _sum, "max": _max, "min": _min}


def joined(parts: Iterable[Mapping[str, Mapping[LabelValues, Value]]]) -> Counted:
    """Several workers' as one. What is of another version's form is left out."""
    found: Counted = {}
    for part in parts:
        for name, series in part.items():
            family = BY_NAME.get(name)
            if family is None:
                continue
            ours = found.setdefault(name, {})
            size = len(family.buckets) + 2 if family.kind == "histogram" else 0
            for labels, value in series.items():
                if len(labels) != len(family.labels) or (len(value) if isinstance(value, list) else 0) != size:
                    continue
                before = ours.get(labels)
                if before is None:
                    ours[labels] = value.copy() if isinstance(value, list) else value
                elif isinstance(before, list) and isinstance(value, list):
                    ours[labels] = [a + b for a, b in zip(before, value, strict=True)]
                elif not isinstance(before, list) and not isinstance(value, list):
                    ours[labels] = _JOINS[family.joining](before, value)
    return found
