"""Questions that are nearly the same: which requests may be compared, and how a provider is asked how near they are.

One rule: all but the words of the last question must be the same, to the byte of the key; the same tenant, model, instructions,
parameters and turns before. Where tools are declared or were used nothing is compared: "weather in Rome" is near to "weather in
Paris". Asking costs a call, which is the client's, and is in the books as any other.
"""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec

from gatewright.dialects.forwarded import usage_in
from gatewright.errors import GatewrightError, Problem
from gatewright.exchange import AttemptRecord, Exchange, Reply
from gatewright.ir.blocks import DialectName, Text, ToolCall, ToolResult
from gatewright.ir.loss import Loss
from gatewright.ir.request import Request
from gatewright.pipeline.asking import Asking, Begins
from gatewright.pipeline.attempt import attributed, error_reply
from gatewright.pipeline.beside import Beside
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.pipeline.health import Health
from gatewright.pipeline.nearest import Vector, direction
from gatewright.pipeline.policy import SemanticRule
from gatewright.pipeline.settle import Recorder
from gatewright.pipeline.translate import Dialects
from gatewright.transport import TransportError
from gatewright.wire.http import Call
from gatewright.wire.json import encode

log = logging.getLogger("gatewright")

LONGEST: Final = 8000
"""Characters of a question that is compared: what is longer is a document, and documents that are near differ in what counts."""
DEADLINE_S: Final = 2.0
"""For the embeddings. Without them the model is asked."""
REST_S: Final = 10.0
"""For so long nobody is asked for embeddings after they did not come."""
MOST_BYTES: Final = 1 << 20
"""Of an answer with embeddings."""

OPENAI: Final[tuple[DialectName, ...]] = ("openai_chat", "openai_responses")


class Question(msgspec.Struct, frozen=True):
    """What of a request is compared."""

    kind: Request
    """The request without the question's words."""
    text: str


def question_of(request: Request) -> Question | None:
    """None for a request that is compared as a whole alone."""
    if request.tools or request.tool_choice is not None or not request.messages or request.messages[-1].role != "user":
        return None
    if any(isinstance(block, ToolCall | ToolResult) for message in request.messages for block in message.blocks):
        return None
    last = request.messages[-1]
    texts = [block.text for block in last.blocks if isinstance(block, Text) and not (block.extras or block.citations)]
    text = "\n".join(texts).strip()
    if len(texts) != len(last.blocks) or not text or len(text) > LONGEST:
        return None
    kind = msgspec.structs.replace(request, messages=(*request.messages[:-1], msgspec.structs.replace(last, blocks=())))
    return Question(kind, text)


class _Item(msgspec.Struct):
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Item]


_answer = msgspec.json.Decoder(_Answer).decode


class Meanings:
    """Asks a provider for embeddings. Within one event loop."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        dialects: Dialects,
        health: Health,
        settles: Recorder,
        recorder: Begins | None = None,
        *,
        beside: Beside | None = None,
    ) -> None:
        """`settles` and `recorder`: whose books the calls are in. `beside`: whom it is asked whether they may be made."""
        self._endpoints = endpoints
        self._dialects = dialects
        self._health = health
        self._settles = settles
        self._recorder = recorder
        self._beside = beside
        self._rests_until = 0.0

    def check(self, rule: SemanticRule) -> None:
        """Raises ValueError where the provider has no embeddings that could be asked for."""
        spoken(self._endpoints[rule.provider])

    async def direction_of(self, text: str, asker: Exchange, rule: SemanticRule) -> Vector | None:
        """Where a text lies among all texts; None where nobody says so in time, or what it costs is not left to the asker.

        To be awaited in a task.
        """
        now = self._health.clock()
        if now < self._rests_until:
            return None
        candidate = Candidate(self._endpoints[rule.provider], rule.model)
        document: dict[str, object] = {"model": rule.model, "input": text, "encoding_format": "float"}
        if rule.dimensions is not None:
            document["dimensions"] = rule.dimensions
        exchange = Exchange(
            request_id=f"{asker.request_id}e",
            dialect="openai_chat",
            operation="forward",
            method="POST",
            call=Call(path="/v1/embeddings", body=encode(document), headers=asker.call.headers),
            started=now,
        )
        exchange.principal, exchange.model, exchange.plan = asker.principal, candidate.name, (candidate,)
        if self._beside is not None and not await self._beside.reserved(exchange):
            return None
        call = _Embedding(self._dialects)
        status, problem = 499, None
        try:
            async with asyncio.timeout(DEADLINE_S):
                reply = await Asking(call, self._health, self._recorder).ask(exchange, candidate, hold=False, last=True)
            status, problem = reply.status, reply.problem
        except TimeoutError:
            problem = Problem(kind="timeout", message=f"{candidate.name}: no embeddings within {DEADLINE_S:g} s")
        except GatewrightError as error:
            status, problem = error.problem.http_status, error.problem
        finally:
            Beside.settle(exchange, partial(self._settles.settle, exchange, status, problem))
        if problem is not None:
            self._rests_until = self._health.clock() + REST_S
            log.warning("cache: questions are compared word by word for %d s: %s", REST_S, problem.message[:300])
        return call.found


class _Embedding:
    """One such call. What is asked, for `Asking`."""

    def __init__(self, dialects: Dialects) -> None:
        self._dialects = dialects
        self.found: Vector | None = None

    async def once(
        self,
        exchange: Exchange,
        candidate: Candidate,
        record: AttemptRecord,
        *,
        until_content: bool = False,
        lost: tuple[Loss, ...] = (),
    ) -> Reply:
        endpoint = candidate.endpoint
        dialect = record.dialect = spoken(endpoint)
        try:
            incoming = await endpoint.send(
                dialect=dialect,
                method="POST",
                path="/embeddings",
                headers=b"",
                body=exchange.call.body,
                model=candidate.model,
                client=exchange.call.headers,
                trail=record,
            )
            record.sent, record.status = True, incoming.status
            record.stage = "answered" if incoming.status >= 400 else "streaming"
            body = await incoming.read(MOST_BYTES)
        except TransportError as error:
            record.sent |= error.sent
            return self.error(exchange, attributed(candidate, error.problem))
        exchange.served = candidate.name
        if incoming.status >= 400:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in incoming.headers}
            return self.error(exchange, self._dialects[dialect].parse_error(incoming.status, headers, endpoint.scrub(body)))
        exchange.usage = usage_in(body)
        try:
            data = _answer(body).data
            self.found = direction(data[0].embedding) if data else None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            self.found = None
        if self.found is None:
            return self.error(exchange, Problem(kind="upstream", message=f"{candidate.name} answered without embeddings"))
        return Reply(incoming.status, b"", body)

    def error(self, exchange: Exchange, problem: Problem) -> Reply:
        return error_reply(self._dialects[exchange.dialect], problem, exchange.request_id)


def spoken(endpoint: Endpoint) -> DialectName:
    """Under whose base its embeddings lie. Raises ValueError where it has none of OpenAI's shape."""
    for dialect in OPENAI:
        if dialect in endpoint.dialects and "embeddings" in endpoint.forwards:
            return dialect
    raise ValueError(f"provider '{endpoint.name}' has no embeddings endpoint of OpenAI's shape")
