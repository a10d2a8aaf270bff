"""`gatewright traces export --otlp`: traces that were kept, as spans to a collector, afterwards.

One rule: what was sent before may be sent again: ids are made from the request's, so it is the same trace there.
"""

import os
from collections.abc import Iterable, Iterator

import typer

from gatewright import __version__
from gatewright.cli.source import give_up
from gatewright.config import Config
from gatewright.record.export_meaning import both
from gatewright.record.otlp import BATCH, Missing, Sender, check_installed
from gatewright.record.otlp_rule import NoEndpoint, OtlpRule, otlp_rule
from gatewright.record.otlp_spans import SpanTerms, spans_of
from gatewright.record.traces import Trace
from gatewright.tracing import sent_by

FAILED = 1
"""Exit code where a collector did not take them."""


def rule_of(settings: Config, endpoint: str, *, bodies: bool) -> OtlpRule:
    """What the configuration says; `endpoint`: another collector. Raises NoEndpoint."""
    hosts = {name: provider.kind for name, provider in settings.providers.items()}
    configured = None if endpoint else sent_by(settings, os.environ)
    if configured is not None:
        return configured
    return otlp_rule(os.environ, endpoint=endpoint or None, content=bodies, hosts=hosts, version=__version__)


def send(settings: Config, traces: Iterable[Trace], endpoint: str, *, bodies: bool) -> None:
    """Ends the command where they cannot be sent."""
    try:
        check_installed()
        rule = rule_of(settings, endpoint, bodies=bodies)
    except (NoEndpoint, Missing) as error:
        give_up(str(error))
    terms = SpanTerms(content=rule.content and bodies, langfuse=rule.langfuse, hosts=rule.hosts)
    sender = Sender(rule, os.environ)
    sent = rejected = 0
    try:
        for batch in _batches(traces):
            outcome = sender.send([span for trace in batch for span in spans_of(trace, *both(trace), terms)])
            if not outcome.good:
                typer.echo(f"{rule.url}: {outcome.why}; {sent} traces were sent before", err=True)
                raise typer.Exit(FAILED)
            sent += len(batch)
            rejected += outcome.rejected
    finally:
        sender.close()
    typer.echo(f"{sent} traces sent to {rule.url}" + (f"; {rejected} spans were not wanted" if rejected else ""), err=True)
    if rejected:
        raise typer.Exit(FAILED)


def _batches(traces: Iterable[Trace]) -> Iterator[list[Trace]]:
    batch: list[Trace] = []
    for trace in traces:
        batch.append(trace)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
