"""Metrics, told: `GET /metrics` for Prometheus and whoever reads its formats.

One rule: what is told is about everybody, so whoever belongs to a team or an organization is not told.
"""

from typing import Protocol

from gatewright.errors import Problem, Refused
from gatewright.exchange import Exchange, Next, Reply
from gatewright.pipeline.usage_report import within
from gatewright.transport.seam import header_lines
from gatewright.transport.strand import in_a_task


class Scraped(Protocol):
    """Who knows."""

    async def scrape(self, accept: str) -> tuple[str, bytes]:
        """Content type and body, in a format of those that are accepted. In a task."""
        ...


class MetricsReport:
    """The stage that answers."""

    def __init__(self, measures: Scraped) -> None:
        self.measures = measures

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        principal = exchange.principal
        if principal is not None and within(principal):
            message = f'The key "{principal.name}" belongs to some, and metrics are about all: it takes one that belongs to none.'
            raise Refused(Problem(kind="permission", code="not_permitted", message=message))
        await in_a_task()
        content_type, body = await self.measures.scrape(exchange.call.headers.get("accept") or "")
        return Reply(200, header_lines((("content-type", content_type), ("cache-control", "no-store"))), body)
