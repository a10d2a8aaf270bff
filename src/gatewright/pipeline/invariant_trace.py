"""What is known of a conversation at Invariant's paths: its policies, what they object to, its answer as the provider told it.

    policies ▸ guard ▸ heard ▸ attempts          heard keeps the answer; when all is over, the conversation is pushed

One rule: the bytes that go by are only kept hold of; what they mean is read beside the loop, and only to be pushed.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from gatewright.dialects.openai_chat.usage import render_usage
from gatewright.dialects.protocol import Dialect
from gatewright.errors import GatewrightError
from gatewright.exchange import Exchange, Next, Reply, Segment
from gatewright.invariant.choices import other_choices
from gatewright.ir.blocks import DialectName
from gatewright.ir.fold import Folder
from gatewright.ir.request import Asked, Request
from gatewright.ir.response import Response, Usage
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.invariant_judge import Judge
from gatewright.pipeline.invariant_keys import Brought
from gatewright.pipeline.invariant_policies import NONE, Policies
from gatewright.pipeline.sources import BaseSource, WrappedSource
from gatewright.pipeline.translate import Dialects
from gatewright.record.explorer_body import PolicyError, annotations_of, push_body
from gatewright.wire.http import Call
from gatewright.wire.json import BadJson

MAX_BYTES: Final = 32 << 20
"""Of an answer that is kept to be pushed. A longer one is pushed without what comes beyond."""

Pushes: TypeAlias = Literal["always", "reference"]
Messages: TypeAlias = Callable[[Request, Response | None, DialectName], Sequence[JsonObject]]
Metadata: TypeAlias = Callable[[bytes, Response | None, DialectName], JsonObject]

ENDS_OF_TURNS: Final = frozenset({"stop", "length", "content_filter"})
"""With which words Invariant's gateway takes an answer of OpenAI's for the end of a conversation."""


class Conversation:
    """One exchange, as its policies and its trace see it."""

    __slots__ = (
        "answer", "blocked", "broken", "dataset", "errors", "parts", "policies", "pushed", "size", "stream", "unauthorized",
        "usage",
    )  # fmt: skip

    def __init__(self, dataset: str = "", policies: Policies = NONE, *, pushed: bool = False) -> None:
        self.dataset = dataset
        self.policies = policies
        self.pushed = pushed
        """Whether it goes to Explorer."""
        self.broken = False
        """Its answer did not come to its end, and no policy was the reason."""
        self.errors: tuple[PolicyError, ...] = ()
        """Of the policies that block."""
        self.blocked: Literal["", "request", "answer"] = ""
        self.unauthorized = False
        """The service that judges does not know the key."""
        self.answer: Response | None = None
        """As it was judged, or as it was rendered from. None: nobody has read it yet."""
        self.parts: list[bytes] = []
        """Of the answer, as the provider told it."""
        self.size = 0
        self.stream = False
        """Whether the parts are those of a stream."""
        self.usage: Usage | None = None
        """What a stream told of it, whether its client was shown it or not."""

    def hear(self, wire: bytes) -> None:
        if wire and self.size < MAX_BYTES:
            self.size += len(wire)
            self.parts.append(wire)


def conversation_of(exchange: object) -> Conversation | None:
    """Of an exchange at Invariant's paths. None: there is none, or nothing is to be known of it."""
    headers = exchange.call.headers if isinstance(exchange, Exchange) else None
    about = headers.about if isinstance(headers, Brought) else None
    return about if isinstance(about, Conversation) else None


class Heard:
    """Beneath the guard: keeps hold of the answer, where it is to be pushed."""

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        reply = await following(exchange)
        about = conversation_of(exchange)
        if about is None or reply.problem is not None or not (about.pushed or about.policies.block):
            return reply
        if reply.source is not None:
            assert isinstance(reply.source, BaseSource)
            about.stream = True
            reply.source = HeardSource(reply.source, about)
        else:
            about.answer = reply.response
            about.stream = exchange.stream and reply.response is None
            about.hear(reply.body)
        return reply


class HeardSource(WrappedSource):
    """Around the source that answers: its segments as they are."""

    __slots__ = ("_about",)

    def __init__(self, inner: BaseSource, about: Conversation) -> None:
        super().__init__(inner)
        self._about = about

    async def _pull(self) -> Segment | None:
        inner = self._inner
        segment = await inner.next()
        if segment is not None:
            self._about.hear(segment.wire)
        self.content = inner.content
        if segment is None or inner.ended:
            self._over()
        return segment

    def _end(self) -> None:
        self._about.usage = self.usage
        super()._end()


class Account:
    """One conversation on its way to Explorer: what is read of it, and what is told."""

    def __init__(self, exchange: Exchange, about: Conversation, dialects: Dialects, *, pushes: Pushes) -> None:
        self.about = about
        self.dialect: DialectName = exchange.dialect
        self.call: Call = exchange.call
        self.model = exchange.model
        self.request = exchange.neutral
        self._dialects = dialects
        self._pushes = pushes

    async def body(self, judge: Judge, messages: Messages, metadata: Metadata, *, key: str) -> bytes | None:
        """Of the push. None: there is nothing to push."""
        about = self.about
        read = await asyncio.to_thread(self._read, messages)
        if read is None:
            return None
        said, answer = read
        errors = about.errors
        if about.policies.log:
            verdict = await judge.judge(said, 0, about.policies.log, key=key, dataset=about.dataset)
            errors = (*errors, *verdict.errors)
        return await asyncio.to_thread(self._written, said, answer, errors, metadata)

    def _read(self, messages: Messages) -> tuple[Sequence[JsonObject], Response | None] | None:
        about = self.about
        dialect = self._dialects[self.dialect]
        try:
            request = self.request if self.request is not None else dialect.parse_request(self.call)
        except (GatewrightError, BadJson):
            return None  # the provider has refused it, or it went through by luck: it has no messages
        answer = None if about.blocked == "request" else about.answer or self._answer()
        if answer is None and about.blocked != "request":
            return None
        if not about.blocked and self._pushes == "reference" and (about.broken or not ends_a_turn(answer, self.dialect)):
            return None
        return messages(request, answer, self.dialect), answer

    def _answer(self) -> Response | None:
        dialect = self._dialects[self.dialect]
        try:
            return answer_in(self.about, dialect, self.model)
        except (GatewrightError, BadJson):
            return None

    def _written(
        self, said: Sequence[JsonObject], answer: Response | None, errors: Sequence[PolicyError], metadata: Metadata
    ) -> bytes:
        about = self.about
        return push_body(about.dataset, said, metadata(self.call.body, answer, self.dialect), annotations_of(errors))


def answer_in(about: Conversation, dialect: Dialect, model: str) -> Response | None:
    """What the provider's bytes mean, all choices of them. None: they do not tell an answer. Raises GatewrightError, BadJson."""
    body = b"".join(about.parts)
    asked = Asked(model=model)
    if not about.stream:
        return dialect.parse_response(body, asked)
    folder = Folder()
    parser = dialect.stream_parser(asked)
    events = [*parser.feed(body), *parser.close()]
    for event in events:
        folder.add(event)
    if folder.start is None:
        return None
    told = folder.response
    usage = told.usage or about.usage
    if usage is not None and not usage.raw and dialect.name == "openai_chat":  # it was taken out: the client had not asked for it
        usage = msgspec.structs.replace(usage, raw=render_usage(usage))
    return msgspec.structs.replace(told, usage=usage, others=(*told.others, *other_choices(events)))


def ends_a_turn(answer: Response | None, dialect: DialectName) -> bool:
    """Whether Invariant's gateway would push it: of OpenAI's answers by the first choice's finish; of Gemini's, any finish."""
    if answer is None or dialect == "anthropic":
        return answer is not None
    if answer.finish is None:
        return False
    if dialect == "openai_chat":
        word = answer.finish.raw or {"stop_sequence": "stop", "refusal": "stop"}.get(answer.finish.reason, answer.finish.reason)
        return word in ENDS_OF_TURNS
    return True
