"""Guard: the one choke point. What is asked and what is answered passes here, in the neutral form, or is refused.

    limit ▸ state ▸ guard ▸ cache ▸ attempts

Beneath `state`, so that a conversation that goes on by an id is all there, and what is kept is what was let through; above
`cache`, so that an answer that is given again is looked at again, by the rules of today.
One rule: bytes that nothing was changed in go on as they are; what cannot be read cannot pass.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from gatewright.errors import GatewrightError, refuse
from gatewright.exchange import Exchange, Next, Operation, Reply
from gatewright.guards.check import Checker, put_back
from gatewright.guards.check_stream import StreamCheck
from gatewright.guards.redact import Redactor
from gatewright.guards.rules import Rule
from gatewright.guards.terms import Direction
from gatewright.guards.texts import texts
from gatewright.ir.blocks import Reasoning, Refusal
from gatewright.ir.events import StreamEvent
from gatewright.ir.fold import unfold
from gatewright.ir.request import Asked, Request
from gatewright.ir.response import Response
from gatewright.pipeline.attempt import JSON, answered, error_reply, stream_type
from gatewright.pipeline.framed import named
from gatewright.pipeline.guard_asking import Subject, ask, beside
from gatewright.pipeline.guard_book import RuleBook, blocked, told
from gatewright.pipeline.guard_json import edited_json
from gatewright.pipeline.guard_source import DECLINED, Ends, GuardSource
from gatewright.pipeline.sources import BaseSource
from gatewright.pipeline.translate import Dialects
from gatewright.wire.json import encode
from gatewright.wire.sse import without_line_separators

_ONLY_ASKED: Final[tuple[Operation, ...]] = ("count_tokens", "count_input")
"""What is answered with a number."""

replace = msgspec.structs.replace


class Guard:
    """The stage, for everything that has a neutral form. Sets `exchange.findings`, and `request` where something is replaced."""

    def __init__(self, dialects: Dialects, book: RuleBook, clock: Callable[[], float] = time.monotonic) -> None:
        self.dialects = dialects
        self.book = book
        self.clock = clock

    def __call__(self, exchange: Exchange, following: Next) -> Awaitable[Reply]:
        rules = self.book.rules_for(exchange)
        if not rules and self.book.terms.reasoning != "drop":
            return following(exchange)
        return self._guarded(exchange, following, rules)

    async def _guarded(self, exchange: Exchange, following: Next, rules: Sequence[Rule]) -> Reply:
        request = exchange.understood(self.dialects)
        redactor = Redactor()
        checker = Checker(rules, "request", redactor)
        said = texts(request)
        redactor.avoid(text.text for text in said)
        seen = checker.walk.request(request)
        checker.judge(request, None)

        def onward() -> None:
            if seen is not request:
                exchange.request = seen

        reply = await self.called(exchange, following, checker, Subject(request, None, said), onward)
        if reply.problem is not None or exchange.operation in _ONLY_ASKED or checker.stop is not None:
            return reply
        return await self.answer(exchange, reply, rules, redactor, request)

    async def called(
        self, exchange: Exchange, following: Next, checker: Checker, subject: Subject, onward: Callable[[], None]
    ) -> Reply:
        """The reply of what is beneath, if the request may go there. Those are asked who must be waited for.

        `onward`: puts what is to go on in its place.
        """
        try:
            reply = await self._let_through(exchange, following, checker, subject, onward)
        finally:
            exchange.findings = tuple(checker.findings)
        if reply is None:
            assert checker.stop is not None
            return self.refused(exchange, checker.stop, "request")
        reply = _own(reply)
        reply.headers += told(checker.findings)
        return reply

    @staticmethod
    async def _let_through(
        exchange: Exchange, following: Next, checker: Checker, subject: Subject, onward: Callable[[], None]
    ) -> Reply | None:
        """None: a rule forbids it."""
        asked = checker.asked
        first = [rule for rule in asked if not rule.concurrent]
        if first and checker.stop is None:
            await ask(first, exchange, checker, subject)
        if checker.stop is not None:
            return None
        onward()
        if len(asked) == len(first):
            return await following(exchange)
        meanwhile = [rule for rule in asked if rule.concurrent]
        return await beside(following, exchange, asyncio.ensure_future(ask(meanwhile, exchange, checker, subject)), checker)

    def refused(self, exchange: Exchange, rule: Rule, direction: Direction) -> Reply:
        """What the client gets in the place of an answer."""
        problem = blocked(exchange, rule, direction)
        client = self.dialects[exchange.dialect]
        if self.book.terms.ending == "error" or exchange.operation not in ("generate", "invoke"):
            return error_reply(client, problem, exchange.request_id)
        answer = Response(
            origin=exchange.dialect,
            id=exchange.request_id,
            model=exchange.model,
            blocks=(Refusal(text=problem.message),),
            finish=DECLINED[exchange.dialect],
            usage=exchange.usage,
        )
        request = answered(exchange.understood(self.dialects), exchange)
        if exchange.stream:
            wire = client.stream_renderer(request).render(unfold(answer))
            head = named(stream_type(client, request.client.get("alt")), client, exchange.request_id)
            return Reply(200, head, without_line_separators(wire) if client.framing == "sse" else wire)
        return Reply(200, named(JSON, client, exchange.request_id), encode(client.render_response(answer, request).body))

    # -- answers ---------------------------------------------------------------------------------------------------------------

    async def answer(
        self, exchange: Exchange, reply: Reply, rules: Sequence[Rule], redactor: Redactor, request: Request
    ) -> Reply:
        """The answer as far as the rules let it go. `request`: what the client asked."""
        terms = self.book.terms
        mine = [rule for rule in rules if "answer" in rule.directions]
        if not mine and not redactor.originals and terms.reasoning != "drop":
            return reply
        if reply.source is None and not exchange.stream:
            return await self._whole(exchange, reply, mine, redactor, request)
        check = StreamCheck(mine, redactor, request, terms.window, terms.reasoning)
        client = self.dialects[exchange.dialect]
        asking = partial(self._ask_streamed, exchange, check, request)
        if reply.source is None:
            return await self._told_at_once(exchange, reply, check, request)
        assert isinstance(reply.source, BaseSource)
        reply.source = GuardSource(
            reply.source,
            check,
            exchange,
            client,
            request=answered(request, exchange),
            parser=client.stream_parser(_asked(exchange)),
            ask=asking,
            ending=terms.ending,
            clock=self.clock,
        )
        return reply

    async def screened(self, exchange: Exchange, reply: Reply) -> Reply:
        """An answer that was asked for by its id. What was asked then was looked at then."""
        rules = self.book.rules_for(exchange)
        looked_at = any("answer" in rule.directions for rule in rules)
        if looked_at and reply.source is not None and "starting_after" in exchange.call.query:
            reply.source.abort()
            raise refuse(  # what was held back of the piece before would follow as if it was nothing
                "invalid_request", "starting_after: rules look at this answer, which is told from its beginning; leave it out."
            )
        request = Request(origin=exchange.dialect, model=exchange.model, stream=reply.source is not None)
        return reply if reply.problem is not None else await self.answer(exchange, reply, rules, Redactor(), request)

    async def _ask_streamed(self, exchange: Exchange, check: StreamCheck, request: Request, answer: Response) -> None:
        await ask(check.asked, exchange, check.checker, Subject(request, answer, texts(request, answer)))

    async def _told_at_once(self, exchange: Exchange, reply: Reply, check: StreamCheck, request: Request) -> Reply:
        """A stream that is all there."""
        client = self.dialects[exchange.dialect]
        parser = client.stream_parser(_asked(exchange))
        events: list[StreamEvent] = [*parser.feed(reply.body), *parser.close()]
        out = check.feed(events)
        while check.question is not None:
            await self._ask_streamed(exchange, check, request, check.question)
            out += check.answered()
        exchange.findings += tuple(check.checker.findings)
        exchange.held_back = (check.most_held, 0.0)
        if check.stop is not None:
            if self.book.terms.ending == "error":
                return self.refused(exchange, check.stop, "answer")
            ends = Ends(exchange)
            ends.note(out)
            out += ends.events(blocked(exchange, check.stop, "answer"), "refusal", exchange.usage)
        reply.headers += told(check.checker.findings)
        if len(out) == len(events) and all(new is old for new, old in zip(out, events, strict=True)):
            return reply
        wire = client.stream_renderer(answered(request, exchange)).render(out)
        reply.body = without_line_separators(wire) if client.framing == "sse" else wire
        reply.response = None
        return reply

    async def _whole(
        self, exchange: Exchange, reply: Reply, rules: Sequence[Rule], redactor: Redactor, request: Request
    ) -> Reply:
        client, reasoning = self.dialects[exchange.dialect], self.book.terms.reasoning
        if reasoning != "check":
            rules = [replace(rule, parts=rule.parts - {"reasoning"}) for rule in rules]
        checker = Checker(rules, "answer", redactor)
        try:
            answer = reply.response or client.parse_response(reply.body, _asked(exchange))
        except GatewrightError:
            return self.unread(exchange, reply, checker, redactor)
        seen = checker.walk.response(answer)
        given = put_back(answer, redactor.originals)
        checker.judge(request, given)
        asked = [rule for rule in rules if rule.check.asked is not None]
        if asked and checker.stop is None:
            await ask(asked, exchange, checker, Subject(request, given, texts(request, given)))
        exchange.findings += tuple(checker.findings)
        if checker.stop is not None:
            return self.refused(exchange, checker.stop, "answer")
        reply.headers += told(checker.findings)
        if seen is answer and given is answer and not (reasoning == "drop" and _reasons(answer)):
            return reply
        if reply.response is not None:  # the client is told it with marks and names of our own
            seen = Checker(rules, "answer", redactor).walk.response(client.parse_response(reply.body, _asked(exchange)))
        seen = put_back(seen, redactor.originals)
        if reasoning == "drop":
            seen = replace(seen, blocks=tuple(_silent(block) if isinstance(block, Reasoning) else block for block in seen.blocks))
        reply.body = encode(client.render_response(seen, answered(request, exchange)).body)
        reply.response = None
        return reply

    def unread(self, exchange: Exchange, reply: Reply, checker: Checker, redactor: Redactor) -> Reply:
        """An answer of which nothing is known but that it is JSON. What is not even that does not pass."""
        body = edited_json(reply.body, checker, redactor.originals)
        exchange.findings += tuple(checker.findings)
        if checker.stop is not None:
            return self.refused(exchange, checker.stop, "answer")
        reply.headers += told(checker.findings)
        reply.body = body
        return reply


def _own(reply: Reply) -> Reply:
    """A reply to be written on: the one from beneath may be what the cache is about to keep, and others are given."""
    return Reply(reply.status, reply.headers, reply.body, reply.source, reply.problem, response=reply.response)


def _asked(exchange: Exchange) -> Asked:
    issuer, _, model = exchange.served.partition("/")
    return Asked(issuer=issuer, model=model)


def _reasons(answer: Response) -> bool:
    return any(isinstance(block, Reasoning) and (block.text or block.summary) for block in answer.blocks)


def _silent(block: Reasoning) -> Reasoning:
    return replace(block, text="", summary=())
