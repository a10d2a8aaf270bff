"""Guards over what is forwarded: nothing is known of it but that it is JSON, a form, events or text; so all is looked at.

One rule: every string of a document is a text of its own; a form's parts and a file are texts where they are UTF-8. Bytes that
are none (pictures, sound) pass unseen: docs/guards.md lists them.
"""

from collections.abc import Awaitable, Sequence
from typing import Final

import msgspec

from gatewright.dialects.forms import contents
from gatewright.exchange import Exchange, Next, Reply
from gatewright.guards.check import Checker
from gatewright.guards.redact import Redactor
from gatewright.guards.rules import Rule
from gatewright.guards.terms import Text
from gatewright.guards.texts import Walk
from gatewright.ir import blocks
from gatewright.ir.request import Request
from gatewright.jsontypes import JsonValue
from gatewright.pipeline.guard import Guard
from gatewright.pipeline.guard_asking import Subject, ask
from gatewright.pipeline.guard_book import told
from gatewright.pipeline.guard_json import edited
from gatewright.pipeline.guard_plain import EventSource, Kit, TextSource
from gatewright.pipeline.sources import BaseSource
from gatewright.wire.json import BadJson, decode_lenient, encode

_NOTHING_BACK: Final[dict[str, str]] = {}


class ForwardGuard(Guard):
    """The stage for `forward`: beneath `limit`, right above the call."""

    def __call__(self, exchange: Exchange, following: Next) -> Awaitable[Reply]:
        rules = self.book.rules_for(exchange)
        return self._forwarded(exchange, following, rules) if rules else following(exchange)

    async def _forwarded(self, exchange: Exchange, following: Next, rules: Sequence[Rule]) -> Reply:
        redactor = Redactor()
        checker = Checker(rules, "request", redactor)
        body = Body(exchange.onward, exchange.call.headers.get("content-type") or "")
        said = [Text("other", "query", value) for _, value in exchange.call.pairs] + body.texts()
        redactor.avoid(text.text for text in said)
        for text in said[: len(exchange.call.pairs)]:
            checker.see(text)  # what stands in a query cannot be replaced; it can be refused
        sent = body.edited(checker)
        request = as_request(exchange, said)
        checker.judge(request, None)

        def onward() -> None:
            exchange.onward = sent

        reply = await self.called(exchange, following, checker, Subject(request, None, said), onward)
        if reply.problem is not None or checker.stop is not None:
            return reply
        return await self._answered(exchange, reply, rules, redactor, request)

    async def _answered(
        self, exchange: Exchange, reply: Reply, rules: Sequence[Rule], redactor: Redactor, request: Request
    ) -> Reply:
        mine = [rule for rule in rules if "answer" in rule.directions]
        if not mine and not redactor.originals:
            return reply
        checker = Checker(mine, "answer", redactor)
        if reply.source is not None:
            assert isinstance(reply.source, BaseSource)
            events = b"text/event-stream" in reply.headers
            make = EventSource if events else TextSource
            kit = Kit(mine, checker, redactor, self.book.terms.window)
            reply.source = make(reply.source, kit, exchange, self.dialects[exchange.dialect])
            return reply
        reply = self.unread(exchange, reply, checker, redactor)
        if reply.problem is None and checker.asked:
            answer = msgspec.structs.replace(request, messages=())
            words = Text("other", "", reply.body.decode("utf-8", "replace"))
            await ask(checker.asked, exchange, checker, Subject(answer, None, [words]))
            exchange.findings += tuple(checker.findings)
            reply.headers += told(checker.findings)
            if checker.stop is not None:
                return self.refused(exchange, checker.stop, "answer")
        return reply


def as_request(exchange: Exchange, said: Sequence[Text]) -> Request:
    """For judges: a request in which the user says all of it."""
    words = tuple(blocks.Text(text=text.text, at=text.path) for text in said)
    return Request(origin=exchange.dialect, model=exchange.model, messages=(blocks.Message(role="user", blocks=words),))


class Body:
    """A body of which only the content type is known."""

    def __init__(self, body: bytes, content_type: str) -> None:
        """Raises Refused for a form that cannot be walked."""
        self._body = body
        self._document: JsonValue = None
        self._places: list[tuple[int, int]] = []
        if content_type.lower().startswith("multipart/"):
            self._places = contents(body, content_type)
            return
        try:
            self._document = decode_lenient(body) if body else None
        except BadJson:
            self._places = [(0, len(body))]

    def texts(self) -> list[Text]:
        found: list[Text] = []

        def see(text: Text) -> str:
            found.append(text)
            return text.text

        Walk(see).json(self._document, "other", "")
        return found + [text for _, _, text in self._parts()]

    def edited(self, checker: Checker) -> bytes:
        """As it may go on; the same bytes where nothing was replaced."""
        if not self._places:
            seen = edited(self._document, checker, _NOTHING_BACK)
            return self._body if seen is self._document else encode(seen)
        done, at = b"", 0
        for start, end, text in self._parts():
            new = checker.see(text)
            if new != text.text:
                done += self._body[at:start] + new.encode()
                at = end
        return done + self._body[at:] if at else self._body

    def _parts(self) -> list[tuple[int, int, Text]]:
        """Parts that are text."""
        found: list[tuple[int, int, Text]] = []
        for i, (start, end) in enumerate(self._places):
            piece = self._body[start:end]
            if b"\0" in piece:
                continue
            try:
                found.append((start, end, Text("other", f"part[{i}]", piece.decode())))
            except UnicodeDecodeError:
                continue
        return found
