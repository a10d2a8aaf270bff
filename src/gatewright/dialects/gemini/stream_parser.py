"""streamGenerateContent, from the upstream: chunks → events.

Every chunk is a whole GenerateContentResponse whose text parts are deltas. One rule: consecutive parts of one kind are one
block; a change of kind closes it, and so does a signature, because it ends the part that it signs. The end is the end of the
body: usage and finish reason may come in any chunk, and some models send STOP in each.
https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

import msgspec

from gatewright.dialects.gemini.blocks_stream import BlockStream
from gatewright.dialects.gemini.errors import problem_of
from gatewright.dialects.gemini.finish import blocked, parse_finish, take_finish
from gatewright.dialects.gemini.json_array import JsonArraySplitter
from gatewright.dialects.gemini.proto import Proto, dotted
from gatewright.dialects.gemini.response import CANDIDATE, CONTENT, unix_seconds
from gatewright.dialects.gemini.usage import parse_usage
from gatewright.errors import Malformed, Problem
from gatewright.ir.events import MessageStart, MessageStop, NativeEvent, StreamError, StreamEvent, UsageUpdate
from gatewright.ir.loss import is_void
from gatewright.ir.request import Asked
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import BadJson, decode_lenient, kind
from gatewright.wire.sse import OversizedEvent, SseParser

_BOM = b"\xef\xbb\xbf"
_NO_USAGE = msgspec.Raw()
_UNTOLD: JsonValue = "\0"


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    thought: bool = False


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    parts: list[_Part]
    role: str = ""


class _Candidate(msgspec.Struct, forbid_unknown_fields=True):
    content: _Content
    index: int = -1


class _Chunk(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The common chunk: one candidate with text and nothing else. Whatever differs takes the general way."""

    candidates: list[_Candidate]
    usage_metadata: msgspec.Raw = _NO_USAGE
    model_version: str = ""
    response_id: str = ""
    create_time: str = ""


_plain = msgspec.json.Decoder(_Chunk).decode


class GeminiStreamParser:
    """feed(bytes) -> events; raises nothing."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._sse: SseParser | None = None
        self._array: JsonArraySplitter | None = None
        self._head = b""
        self._started = False
        self._done = False
        self._id = self._model = self._time = ""
        self._index = -1
        self._usage = _NO_USAGE
        self._figures: JsonObject = {}
        self._finish: tuple[JsonValue, JsonValue] = (None, None)
        self._extras: JsonObject = {}
        self._told: JsonObject = {}
        self._blocks = BlockStream(asked.issuer)

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self._done:
            return []
        events: list[StreamEvent] = []
        try:
            for document in self._documents(data):
                if not self._done:
                    self._chunk(document, events)
        except (BadJson, Malformed, OversizedEvent) as error:
            self._fail(events, f"the provider's stream cannot be read: {error}")
        if not self._done and self._array is not None and self._array.broken:
            self._fail(events, "the provider's stream cannot be read: neither server-sent events nor a JSON array")
        return events

    def close(self) -> list[StreamEvent]:
        if self._done:
            return []
        events: list[StreamEvent] = []
        try:
            if self._sse is not None:
                for _, document in self._sse.close():
                    if not self._done:
                        self._chunk(document, events)
        except (BadJson, Malformed) as error:
            self._fail(events, f"the provider's stream cannot be read: {error}")
        if not self._done:
            self._end(events)
        return events

    def _documents(self, data: bytes) -> list[bytes]:
        if self._sse is not None:
            return [document for _, document in self._sse.feed(data)]
        if self._array is None:
            self._head += data
            head = self._head.removeprefix(_BOM).lstrip()
            if not head or (len(self._head) < len(_BOM) and _BOM.startswith(self._head)):
                return []
            self._choose(head)
            data, self._head = self._head.removeprefix(_BOM), b""
            return self._documents(data)
        return self._array.feed(data)

    def _choose(self, head: bytes) -> None:
        """The framing shows in the first byte: an array (or a lone object), or server-sent events."""
        if head[:1] in (b"[", b"{"):
            self._array = JsonArraySplitter()
        else:
            self._sse = SseParser()

    def _chunk(self, document: bytes, events: list[StreamEvent]) -> None:
        try:
            chunk = _plain(document)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._any_chunk(document, events)
            return
        candidates = chunk.candidates
        if (
            not self._started
            or len(candidates) != 1
            or (candidate := candidates[0]).index != self._index
            or candidate.content.role != "model"
            or chunk.response_id != self._id
            or chunk.model_version != self._model
            or chunk.create_time != self._time
        ):
            self._any_chunk(document, events)
            return
        blocks = self._blocks
        for part in candidate.content.parts:
            if part.thought:
                blocks.thought(part.text, events)
            else:
                blocks.text(part.text, events)
        usage = chunk.usage_metadata
        if usage is not _NO_USAGE and usage != self._usage:
            self._tell_usage(decode_lenient(bytes(usage)), usage, events)

    def _tell_usage(self, value: JsonValue, raw: msgspec.Raw, events: list[StreamEvent]) -> None:
        self._usage = raw
        if isinstance(value, dict):
            self._figures |= value  # the last wins, figure by figure: a last chunk may leave out what an earlier one told
        if (usage := parse_usage({**self._figures})) is not None:
            events.append(UsageUpdate(usage))

    def _any_chunk(self, document: bytes, events: list[StreamEvent]) -> None:
        if not document.strip() or document == b"[DONE]":
            return
        value = decode_lenient(document)
        if (problem := problem_of(value)) is not None:
            self._done = True
            events.append(StreamError(problem))
            return
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, dict):
                raise BadJson(f"a chunk is {kind(item)}, not an object")
            self._object(Proto(item), events)

    def _object(self, f: Proto, events: list[StreamEvent]) -> None:
        usage = f.object("usageMetadata")
        candidates = f.array("candidates")
        first: Proto | None = None
        others: list[JsonObject] = []
        for value in candidates:
            if not isinstance(value, dict):
                raise BadJson(f"a candidate is {kind(value)}, not an object")
            if first is None and value.get("index") in (None, 0):
                first = Proto(value, CANDIDATE)
            else:
                others.append(value)
        content = None if first is None else first.proto("content")
        self._start(f, first, content, events)
        if first is not None:
            self._candidate(first, content, events)
        events += [NativeEvent(origin="gemini", data={"candidates": [other]}) for other in others]
        rest = f.rest()
        for key in ("candidates", "usageMetadata", "modelVersion", "responseId", "createTime"):
            rest.pop(key, None)
        self._keep(rest)
        if usage is not None:
            self._tell_usage(usage, _NO_USAGE, events)

    def _start(self, f: Proto, first: Proto | None, content: Proto | None, events: list[StreamEvent]) -> None:
        if self._started:
            return
        id_, model, time = f.peek("responseId"), f.peek("modelVersion"), f.peek("createTime")
        form = [] if isinstance(model, str) else ["nomodel"]
        created = unix_seconds(time)
        if created is not None:
            form.append(f"createTime={time}")
        if content is not None and "role" not in content:
            form.append("norole")
        extras: JsonObject = {}
        if first is not None and "index" in first:
            extras[f"{CANDIDATE}.index"] = first.peek("index")
        self._id, self._model, self._time = str(id_ or ""), str(model or ""), str(time or "")
        index = None if first is None else first.peek("index")
        self._index = index if isinstance(index, int) else -1
        self._extras = dict(extras)
        self._told = extras
        self._started = True
        events.append(
            MessageStart(
                id=id_ if isinstance(id_, str) else "",
                model=model if isinstance(model, str) else self._asked.model,
                origin="gemini",
                created=created,
                extras=extras,
                form=tuple(form),
            )
        )

    def _candidate(self, first: Proto, content: Proto | None, events: list[StreamEvent]) -> None:
        if content is not None:
            parts = content.array("parts")
            tokens = self._blocks.logprobs(first, parts)
            for part in parts:
                tokens = self._blocks.part(part, events, tokens)
            if content.peek("role") == "model":
                content.take("role")
            rest = content.rest()
            rest.pop("parts", None)  # null or empty: earlier chunks may have had some
            self._keep(dotted(CONTENT, rest))
        reason, message = take_finish(first)
        if reason is not None:
            self._finish = (reason, message)
        grounding = first.peek("groundingMetadata")
        if not is_void(grounding):
            self._blocks.cite(grounding, events)
        rest = first.rest()
        rest.pop("content", None)  # null or empty
        self._keep(dotted(CANDIDATE, rest))

    def _keep(self, rest: JsonObject) -> None:
        """Fields beside the content: what a later chunk says replaces what an earlier one said, unless it says nothing."""
        for key, value in rest.items():
            if key not in self._extras or not is_void(value):
                self._extras[key] = value

    def _end(self, events: list[StreamEvent]) -> None:
        finish = parse_finish(*self._finish, called=self._blocks.called)
        if finish is None:
            finish = blocked(self._extras.get("promptFeedback"))
        if finish is None or (self._array is not None and self._array.pending):
            self._fail(events, "the provider's stream was cut off")
            return
        self._blocks.stop(events)
        self._done = True
        told = {key: value for key, value in self._extras.items() if self._told.get(key, _UNTOLD) != value}
        events.append(MessageStop(finish=finish, extras=told))

    def _fail(self, events: list[StreamEvent], message: str) -> None:
        self._done = True
        events.append(StreamError(Problem(kind="upstream", message=message)))
