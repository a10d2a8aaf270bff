"""A kind of rule that must be waited for: it says what the play tells it to, when the play lets it."""

import asyncio
from collections.abc import Sequence

from gatewright.guards.rules import Asker, Compiled
from gatewright.guards.terms import Finding, Text
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.guard_kinds import Means

NAME = "played"
WHERE = "tests.plays.asked_kind:read"


class Oracle:
    """Who is asked. Finds `word`; waits for `free`."""

    def __init__(self) -> None:
        self.asked: list[tuple[Request, Response | None, list[str]]] = []
        self.cancelled = 0
        self.free = asyncio.Event()
        self.word = "SESAME"
        self.breaks = False

    async def ask(self, request: Request, answer: Response | None, texts: Sequence[Text], asker: Asker) -> Sequence[Finding]:
        assert asker.request_id
        self.asked.append((request, answer, [text.text for text in texts]))
        try:
            await self.free.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.breaks:
            raise ValueError("a bug")
        return [Finding(kind="word") for text in texts if self.word in text.text]


ORACLES: list[Oracle] = []
"""The play's, last."""


class _Maker:
    compiled = Compiled()

    def make(self, means: Means) -> Oracle:
        assert means.endpoints
        return ORACLES[-1]


def read(settings: JsonObject) -> _Maker:
    assert not settings
    return _Maker()
