"""Policies at work: found before the call, judged beside it and on the way back, told in Invariant's words; then it is pushed.

    policies ─▶ guard [rule `invariant`: ask the judge] ─▶ heard ─▶ attempts

One rule: what a policy forbids is stopped by the guard, as by any other rule; here is said what is asked and what is told.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from gatewright.errors import GatewrightError, Problem
from gatewright.exchange import Exchange, Next, Reply
from gatewright.guards.rules import Asker, Compiled, Rule
from gatewright.guards.terms import Finding, Text
from gatewright.ir.events import StreamError
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.attempt import error_reply, stream_type
from gatewright.pipeline.guard_book import BLOCKED, OwnWords
from gatewright.pipeline.invariant_judge import NOT_VALID, Judge
from gatewright.pipeline.invariant_keys import Brought, said
from gatewright.pipeline.invariant_policies import Sources
from gatewright.pipeline.invariant_trace import Account, Conversation, Messages, Metadata, Pushes, answer_in, conversation_of
from gatewright.pipeline.invariant_words import refusal
from gatewright.pipeline.sources import BaseSource
from gatewright.pipeline.translate import Dialects
from gatewright.record.explorer import Explorer
from gatewright.wire.json import BadJson

RULE: Final = "invariant"
PUSH: Final = "invariant-push"
"""Header: `skip` keeps a conversation from being pushed; all else is as if it was not there."""


class AskPolicies(OwnWords):
    """Asks the judge about a conversation: a `guards.rules.Asked`."""

    def __init__(self, dialects: Dialects, judge: Judge, messages: Messages, own_key: str = "") -> None:
        """`own_key`: the operator's, for the file's policy where the request brings no key."""
        self._dialects = dialects
        self._judge = judge
        self._messages = messages
        self._own_key = own_key

    async def ask(self, request: Request, answer: Response | None, texts: Sequence[Text], asker: Asker) -> Sequence[Finding]:
        """As `Asked` says: what the policies of this very request object to."""
        about = conversation_of(asker)
        if about is None or not isinstance(asker, Exchange) or not about.policies.block:
            return ()
        if answer is not None and about.stream and (request.sampling.n or 1) > 1:
            answer = msgspec.structs.replace(answer, others=(await asyncio.to_thread(self._others, asker, about)))
        before = self._messages(request, None, asker.dialect)
        whole = before if answer is None else self._messages(request, answer, asker.dialect)
        since = 0 if answer is None else len(before)
        key = judging_key(asker, self._own_key)
        verdict = await self._judge.judge(whole, since, about.policies.block, key=key, dataset=about.dataset)
        if answer is not None:
            about.answer = answer
        if not verdict.errors and not verdict.unauthorized:
            return ()
        about.errors, about.unauthorized = verdict.errors, verdict.unauthorized
        about.blocked = "request" if answer is None else "answer"
        return tuple(
            Finding(kind="policy", message=error.words[:500], path=error.ranges[-1] if error.ranges else "")
            for error in verdict.errors
        ) or (Finding(kind="unauthorized", message=NOT_VALID),)

    def _others(self, exchange: Exchange, about: Conversation) -> tuple[JsonObject, ...]:
        """Further choices of a stream, as far as it has come."""
        try:
            told = answer_in(about, self._dialects[exchange.dialect], exchange.model)
        except (GatewrightError, BadJson):
            return ()
        return () if told is None else told.others

    def problem(self, exchange: Exchange) -> Problem | None:
        """In the words of Invariant's gateway."""
        return problem_of(exchange)


def rule_of(asked: AskPolicies) -> Rule:
    """The rule that a guard is given for Invariant's paths."""
    return Rule(name=RULE, kind=RULE, action="block", check=Compiled(asked=asked))


def judging_key(exchange: Exchange, own_key: str) -> str:
    """Of the service that judges: the client's for it, else his Invariant key, else the operator's."""
    headers = exchange.call.headers
    brought = headers.brought if isinstance(headers, Brought) else None
    return own_key if brought is None else brought.guardrails or brought.invariant or own_key


def problem_of(exchange: Exchange) -> Problem | None:
    """What is told of an exchange that a policy has blocked, in its dialect's document. None: no policy has."""
    about = conversation_of(exchange)
    if about is None or not about.blocked:
        return None
    if about.unauthorized:
        return said(NOT_VALID, exchange.dialect, 401, code=BLOCKED).problem
    return refusal(exchange.dialect, about.blocked, about.errors, stream=exchange.stream)


class Policed:
    """Finds the policies of a request and has the guard beneath hold to those that block."""

    def __init__(self, dialects: Dialects, sources: Sources, rule: Rule, push: "Push | None" = None) -> None:
        self.dialects = dialects
        self.sources = sources
        self.rules = (rule,)
        self.push = push

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        brought, dataset = exchange.call.headers, exchange.params[-1]
        assert isinstance(brought, Brought)
        policies = await self.sources.of(exchange, brought, dataset)
        pushed = bool(self.push is not None and dataset and brought.brought.invariant and brought.get(PUSH) != "skip")
        about = Conversation(dataset, policies, pushed=pushed)
        brought.about = about
        if policies.block:
            exchange.rules = self.rules
        reply = await following(exchange)
        if reply.source is None and reply.problem is not None and (problem := problem_of(exchange)) is not None:
            reply = self._told(exchange, problem)
        if pushed and self.push is not None:
            self._push_later(self.push, exchange, reply, about)
        return reply

    def _told(self, exchange: Exchange, problem: Problem) -> Reply:
        """The refusal; a client that asked for a stream reads it there."""
        dialect = self.dialects[exchange.dialect]
        if not exchange.stream or problem.http_status == 401:
            return error_reply(dialect, problem, exchange.request_id)
        head = stream_type(dialect, exchange.call.query.get("alt"))
        wire = dialect.stream_renderer(exchange.understood(self.dialects)).render((StreamError(problem),))
        return Reply(200, head, wire, problem=problem)

    def _push_later(self, push: "Push", exchange: Exchange, reply: Reply, about: Conversation) -> None:
        source = reply.source
        if source is None:
            if about.blocked or reply.problem is None:
                push(exchange, about)
            return
        assert isinstance(source, BaseSource)

        def ended() -> None:
            about.broken = not about.blocked and (source.problem is not None or source.left)
            push(exchange, about)

        source.when_ended(ended)


class Push:
    """Hands conversations to Explorer."""

    def __init__(
        self,
        explorer: Explorer,
        judge: Judge,
        dialects: Dialects,
        messages: Messages,
        metadata: Metadata,
        *,
        pushes: Pushes = "always",
        own_key: str = "",
    ) -> None:
        self._explorer = explorer
        self._judge = judge
        self._dialects = dialects
        self._messages = messages
        self._metadata = metadata
        self._pushes: Pushes = pushes
        self._own_key = own_key

    def __call__(self, exchange: Exchange, about: Conversation) -> None:
        """Never raises nor waits."""
        headers = exchange.call.headers
        assert isinstance(headers, Brought)
        account = Account(exchange, about, self._dialects, pushes=self._pushes)
        key = judging_key(exchange, self._own_key)

        async def make() -> bytes | None:
            return await account.body(self._judge, self._messages, self._metadata, key=key)

        self._explorer.put(headers.brought.invariant, make, len(exchange.call.body) + about.size)
