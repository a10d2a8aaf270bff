"""Asks those who must be waited for, beside the call where a rule allows it.

One rule: a verdict comes before any byte of the answer; one that forbids ends the call.
"""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from gatewright.exchange import Exchange, Next, Reply
from gatewright.guards.check import Checker
from gatewright.guards.rules import Rule
from gatewright.guards.terms import Finding, Text
from gatewright.ir.request import Request
from gatewright.ir.response import Response

log = logging.getLogger("gatewright")

_FAILED = Finding(kind="unanswered", message="the check failed on a bug of ours")


class Subject(msgspec.Struct, frozen=True):
    """What they are asked about."""

    request: Request
    answer: Response | None
    texts: Sequence[Text]


async def ask(rules: Sequence[Rule], exchange: Exchange, checker: Checker, subject: Subject) -> None:
    """Ask all of them at once, and tell `checker` what they say."""
    said = await asyncio.gather(*(_one(rule, exchange, subject) for rule in rules))
    for rule, findings in zip(rules, said, strict=True):
        checker.said(rule, findings)


async def _one(rule: Rule, exchange: Exchange, subject: Subject) -> Sequence[Finding]:
    asked = rule.check.asked
    assert asked is not None
    texts = [text for text in subject.texts if text.part in rule.parts]
    try:
        return await asked.ask(subject.request, subject.answer, texts, exchange)
    except Exception:  # what cannot be checked does not pass
        log.exception("request %s: rule %r failed on a bug of ours", exchange.request_id, rule.name)
        return (_FAILED,)


async def beside(call: Next, exchange: Exchange, verdict: asyncio.Task[None], checker: Checker) -> Reply | None:
    """The reply, once the verdict is there; None where a rule ended the call."""
    calling = asyncio.ensure_future(call(exchange))
    try:
        await asyncio.wait((calling, verdict), return_when=asyncio.FIRST_COMPLETED)
        if not verdict.done() and calling.exception() is None and calling.result().problem is None:
            await verdict  # where there is no answer, nobody waits
        if verdict.done():
            verdict.result()
        if checker.stop is None:
            return await calling
    except BaseException:
        await _dropped(calling)
        raise
    finally:
        verdict.cancel()
    await _dropped(calling)
    return None


async def _dropped(calling: "asyncio.Future[Reply]") -> None:
    """End a call whose answer nobody gets."""
    calling.cancel()
    await asyncio.wait((calling,))
    if not calling.cancelled() and calling.exception() is None and (source := calling.result().source) is not None:
        source.abort()
