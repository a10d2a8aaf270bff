"""Traces that go on together: looked at in one search, and cleaned where there is anything to clean. Pure.

    Made, Made, Made ──▶ what they will be written as, one behind the other ──▶ nothing secret in it: a Batch, and no copy more
                                                                        └─────▶ something: each is looked at by itself

One rule: what is written is what was looked at.
"""

from collections.abc import Iterable, Sequence

import msgspec

from gatewright.record.trace_capture import Finished
from gatewright.record.trace_redaction import Redactor
from gatewright.record.traces import Batch
from gatewright.stores.trace_document import Documents, as_written, whole
from gatewright.stores.trace_terms import Trace


class Made(msgspec.Struct, frozen=True):
    """A trace with whatever is secret in it, as it is written."""

    of: Finished
    trace: Trace


def batch_of(made: Sequence[Made], documents: Documents, redactor: Redactor) -> Batch:
    """As they may be written. `documents`: theirs."""
    own: set[bytes] = set()
    for one in made:
        one.of.add_secrets(own)
    shows = redactor.shows(documents.joined, own)
    traces = [_cleaned(one, redactor) if shows or redactor.streams(one.trace, own) else one.trace for one in made]
    if any(trace is not one.trace for one, trace in zip(made, traces, strict=True)):
        documents = Documents(traces)
    return Batch(traces, documents)


def _cleaned(one: Made, redactor: Redactor) -> Trace:
    """The very same where there is nothing to clean."""
    own: set[bytes] = set()
    one.of.add_secrets(own)
    trace = whole(one.trace)
    cleaned = redactor.redacted(trace, *own)
    return one.trace if cleaned is trace else as_written(cleaned)


def joined(batches: Iterable[Batch]) -> Batch:
    """Several as one."""
    traces = [trace for one in batches for trace in one.traces]
    return Batch(traces, Documents(traces))
