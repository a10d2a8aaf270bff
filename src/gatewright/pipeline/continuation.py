"""How a second stream is rendered into the first: with the renderer that told the first, as if one model had said it all.

    first    events ─▶ Live ─▶ the client's renderer ─▶ wire
    second   events ─▶ (Homecoming) ─▶ Splicer ─▶ Live ─▶ the same renderer ─▶ wire

One rule: an error is never rendered before it is known that nobody goes on.
"""

import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from gatewright.dialects.protocol import Dialect, StreamRenderer
from gatewright.errors import Problem
from gatewright.ir.blocks import DialectName, Text, ToolCall
from gatewright.ir.claude_models import facts_of, version_of
from gatewright.ir.continuing import Continued, Delivered
from gatewright.ir.events import BlockStart, BlockStop, MessageStart, MessageStop, StreamError, StreamEvent, UsageUpdate
from gatewright.ir.fold import Folder, unfold
from gatewright.ir.loss import Loss
from gatewright.ir.request import Asked, Request
from gatewright.ir.response import Finish, Response, Usage
from gatewright.ir.splicing import Splicer
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.endpoint import Candidate
from gatewright.wire.json import encode
from gatewright.wire.sse import without_line_separators

_HOLDS_CALLS: frozenset[DialectName] = frozenset(("gemini",))
"""Dialects whose calls leave whole: one that was cut has not been seen."""
_NAME = re.compile(rb"^event: ?(\S+)", re.MULTILINE)
_ENDS_OF = {
    b"response.output_item.done": b"response.output_item.added",
    b"response.content_part.done": b"response.content_part.added",
    b"response.reasoning_summary_part.done": b"response.reasoning_summary_part.added",
    b"content_block_stop": b"content_block_start",
}
"""The name of an event that ends something → of the one that began it."""
_FLUSH = StreamError(Problem(kind="upstream", message=""))

replace = msgspec.structs.replace


def takes_prefill(candidate: Candidate, client: DialectName, request: Request) -> bool:
    """Whether a target goes on with an assistant's turn that is begun. Only where its maker says so: elsewhere it is refused
    (Gemini: "Requests ending with a model turn are not supported"), or a new answer begins.
    """
    if candidate.dialect_for(client) not in ("anthropic", "bedrock_converse"):
        return False
    if version_of(candidate.model) is None or not facts_of(candidate.model).prefill:
        return False
    choice = request.tool_choice
    if choice is not None and choice.mode not in ("auto", "none"):
        return False  # a forced call is a prefilled answer itself
    return not any(key in words for words in (candidate.defaults, candidate.overrides) for key in ("effort", "thinking"))


class Live:
    """The renderer of a stream that may be gone on with. It keeps what was delivered, and keeps back errors."""

    def __init__(self, renderer: StreamRenderer, client: Dialect) -> None:
        self.losses: list[Loss] = renderer.losses
        self.client = client
        self._renderer = renderer
        self._folder = Folder()
        self._open = False
        self._told: list[StreamEvent] = []
        self._held: list[StreamEvent] | None = [] if client.name in _HOLDS_CALLS else None
        """A call that is not yet whole; None: calls go out as they come."""

    def render(self, events: Sequence[StreamEvent]) -> bytes:
        """The wire for these events, errors left out."""
        going: list[StreamEvent] = []
        for event in events:
            if isinstance(event, StreamError):
                continue
            if self._held is not None and (self._held or (isinstance(event, BlockStart) and isinstance(event.block, ToolCall))):
                self._held.append(event)
                if not isinstance(event, BlockStop):
                    continue
                going += self._held
                self._held = []
            else:
                going.append(event)
        for event in going:
            self._folder.add(event)
            self._open = isinstance(event, BlockStart) or (self._open and not isinstance(event, BlockStop))
        self._told += going
        return self._wire(going) if going else b""

    def _wire(self, events: Sequence[StreamEvent]) -> bytes:
        wire = self._renderer.render(events)
        return without_line_separators(wire) if self.client.framing == "sse" else wire

    def fail(self, problem: Problem) -> bytes:
        """The wire that ends the stream in an error."""
        return self._wire([StreamError(problem)])

    def keepalive(self) -> bytes:
        return self._renderer.keepalive()

    def taken(self) -> list[StreamEvent]:
        """What was rendered since this was last asked."""
        told, self._told = self._told, []
        return told

    @property
    def delivered(self) -> Delivered:
        """What the client has. To be asked after a cut: an open block is counted with all that it has said."""
        self._folder.add(_FLUSH)
        return Delivered(tuple(self._folder.blocks), self._open)

    @property
    def start(self) -> MessageStart | None:
        """The message's start, if it is out."""
        return self._folder.start


def _abroad(client: Dialect) -> DialectName:
    """Any dialect but the client's."""
    return "openai_chat" if client.name == "anthropic" else "anthropic"


class Homecoming:
    """Events of another API -> the same as the client's own API would have told them.

    A renderer that has begun an answer at home writes what comes with it as it is; so nothing foreign may come with it.
    """

    def __init__(self, client: Dialect, request: Request) -> None:
        if client.name == "gemini":
            request = replace(request, client={**request.client, "alt": "sse"})
        self._client = client
        self._request = request
        self._renderer = client.stream_renderer(request)
        self._parser = client.stream_parser(Asked())

    def feed(self, events: Sequence[StreamEvent]) -> list[StreamEvent]:
        """Figures of usage stay what they were: not every client is told them."""
        told: list[StreamEvent] = []
        for event in events:
            if isinstance(event, UsageUpdate):
                told.append(event)
                continue
            told += (e for e in self._parser.feed(self._renderer.render((event,))) if not isinstance(e, UsageUpdate))
            if isinstance(event, MessageStop):
                told += (e for e in self._parser.close() if not isinstance(e, UsageUpdate))
        return told

    def ending(self) -> JsonObject:
        """What the client's API tells at the end of a text."""
        parser = self._client.stream_parser(Asked())
        events = unfold(Response(origin=_abroad(self._client), id="", model="", blocks=(Text(text="x"),)))
        told = parser.feed(self._client.stream_renderer(self._request).render(events)) + parser.close()
        return next((event.extras for event in told if isinstance(event, BlockStop)), {})

    def usage(self, usage: Usage) -> Usage:
        """The figures with the words that the client's API has for them."""
        whole = Response(
            origin=_abroad(self._client), id="", model="", blocks=(Text(text="x"),), finish=Finish(reason="stop"), usage=usage
        )
        body = encode(self._client.render_response(whole, self._request).body)
        told = self._client.parse_response(body, Asked()).usage
        return usage if told is None else replace(usage, raw=told.raw)


class Spliced:
    """The renderer of a stream that goes on with another."""

    def __init__(self, live: Live, continued: Continued, request: Request, usage: Usage | None) -> None:
        """`request`: the client's. `usage`: what the streams before told."""
        self.losses: list[Loss] = live.losses
        self._live = live
        begun = live.start
        at_home = begun is not None and begun.origin == live.client.name
        self._home = Homecoming(live.client, request) if at_home else None
        """For an answer that was begun in the client's own dialect."""
        self._foreign = False
        self._splicer = Splicer(
            live.delivered,
            begun=begun,
            usage=usage,
            way=continued.way,
            anchor=continued.anchor,
            ending=self._home.ending() if self._home is not None else None,
        )

    def render(self, events: Sequence[StreamEvent]) -> bytes:
        home = self._home
        if home is None:
            return self._live.render(self._splicer.feed(events))
        for event in events:
            if isinstance(event, MessageStart):
                self._foreign = event.origin != self._live.client.name
                break
        told = self._splicer.feed(home.feed(events) if self._foreign else events)
        return self._live.render([UsageUpdate(home.usage(e.usage)) if isinstance(e, UsageUpdate) else e for e in told])

    def keepalive(self) -> bytes:
        return self._live.keepalive()


def reads_on(live: Live, request: Request, passed: bytes, more: bytes) -> bool:
    """Whether the client's own API would read one answer of what is out and a word behind it. For bytes that passed.

    A block that comes in several events is none yet after the first, and yet that is out: half of Gemini's arguments, the head of
    an image. And Responses tells the end of a text in three events, of which only the last is its end here.
    `live`: as if it had told `passed`, and then `more` in its own words; it is not used any further.
    """
    word = Response(
        origin=_abroad(live.client), id="", model="", blocks=(Text(text="x"),), finish=Finish(reason="stop"), usage=Usage()
    )
    text = live.delivered.text + "x"
    behind = Spliced(live, Continued(request, "again"), request, None).render(unfold(word))
    parser = live.client.stream_parser(Asked())
    folder = Folder()
    for event in (*parser.feed(passed + more + behind), *parser.close()):
        folder.add(event)
    read = folder.response
    said = "".join(block.text for block in read.blocks if isinstance(block, Text))
    if not _ends_once(passed + more + behind):
        return False
    return folder.problem is None and said == text and read.finish is not None and read.finish.reason == "stop"


def _ends_once(wire: bytes) -> bool:
    """Whether nothing is told to be done more often than to have begun. Lean hosts leave out that it began."""
    names = Counter(_NAME.findall(wire))
    return all(names[end] <= max(1, names[begin]) for end, begin in _ENDS_OF.items())
