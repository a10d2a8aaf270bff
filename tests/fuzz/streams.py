"""Mutations of streams: events lost, doubled, out of order, of another dialect, damaged within; wires cut, flipped, framed anew.

One rule: a mutant says where its wire must be complete for a clean end to be believed (`clean_from`), where that is known.
"""

import re
from random import Random
from zlib import crc32

from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonValue
from gatewright.wire import eventstream
from gatewright.wire import json as wire_json
from gatewright.wire.sse import SseEvent, SseParser, sse
from tests.fuzz import words
from tests.fuzz.documents import mutate, mutate_bytes

TELLS_ITS_END: dict[DialectName, re.Pattern[bytes]] = {
    "openai_chat": re.compile(rb'"finish_reason"\s*:\s*"|\[DONE\]|chat\.completion\.done|"finishReason"'),
    "openai_responses": re.compile(rb"response\.(completed|incomplete|failed|cancelled)"),
    "anthropic": re.compile(rb'message_stop|"stop_reason"\s*:\s*"'),
    "bedrock_converse": re.compile(rb"messageStop"),
    "gemini": re.compile(rb'"finishReason"|"finish_reason"|"blockReason"|"block_reason"'),
}
"""No event without one of these can end a stream of the dialect cleanly."""

OVERSIZED = 17 << 20
"""Bytes of an event beyond what any parser keeps."""


def are_frames(wire: bytes) -> bool:
    """Whether a wire begins with a binary frame."""
    return len(wire) >= 12 and crc32(wire[:8]) == int.from_bytes(wire[8:12], "big")


def frames_of(wire: bytes) -> list[SseEvent]:
    """(event type, payload) of the frames before the first that is none; an exception's type begins with `!`."""
    decoder = eventstream.Decoder()
    try:
        messages = decoder.feed(wire)
    except eventstream.BadFrame:
        return []
    return [(str(m.headers.get(":event-type") or f"!{m.headers.get(':exception-type')}").encode(), m.payload) for m in messages]


def frame(name: bytes, data: bytes) -> bytes:
    kind = "exception" if name.startswith(b"!") else "error" if name == b"error" else "event"
    word = name.decode("utf-8", "replace").removeprefix("!")
    told = {":error-code": word, ":error-message": "no"} if kind == "error" else {f":{kind}-type": word}
    return eventstream.encode({**told, ":content-type": "application/json", ":message-type": kind}, data)


def events_of(wire: bytes) -> list[SseEvent]:
    if are_frames(wire):
        return frames_of(wire)
    parser = SseParser()
    return [*parser.feed(wire), *parser.close()]


def is_array(wire: bytes) -> bool:
    return wire.lstrip()[:1] in (b"[", b"{")


def _document(data: bytes) -> JsonValue:
    try:
        return wire_json.decode_lenient(data)
    except wire_json.BadJson:
        return None


def _damage(random: Random, event: SseEvent, graft: JsonValue) -> SseEvent:
    name, data = event
    document = _document(data)
    if document is None or random.random() < 0.1:
        return name, mutate_bytes(random, data).replace(b"\n", b" ").replace(b"\r", b" ")
    return name, words.encoded(mutate(random, document, graft))


def _strange_event(random: Random) -> SseEvent:
    name = random.choice((b"", b"error", b"ping", b"message_stop", b"response.failed", b"\xff", b"x" * 300))
    pick = random.random()
    if pick < 0.3:
        return name, random.choice(
            (b"", b"[DONE]", b"{}", b"null", b"[]", b"not json", b'{"error": null}', b'{"error": "no"}', b"{", b"1")
        )
    if pick < 0.6:
        error = {"error": words.anything(random)} if random.random() < 0.5 else {"type": "error", "error": words.anything(random)}
        return name, words.encoded(error)
    return name, words.encoded(words.anything(random))


def mutate_events(random: Random, events: list[SseEvent], others: list[SseEvent]) -> list[SseEvent]:
    """The events, with one to four changes to which come, when, and what they hold."""
    for _ in range(random.choice((1, 1, 2, 4))):
        if not events:
            return [_strange_event(random)]
        at = random.randrange(len(events))
        match random.randrange(11):
            case 0:
                del events[at]
            case 1:
                events[at:at] = [events[at]] * random.choice((1, 1, 3))
            case 2:
                to = random.randrange(len(events))
                events.insert(to, events.pop(at))
            case 3:
                part = events[at : at + 6]
                random.shuffle(part)
                events[at : at + 6] = part
            case 4:
                events.insert(at, _strange_event(random))
            case 5:
                start = random.randrange(len(others))
                events[at:at] = others[start : start + random.choice((1, 2, 5))]
            case 6:
                events[at] = (random.choice((b"", b"error", b"message_delta", b"response.completed")), events[at][1])
            case 7:
                del events[at : at + random.choice((2, 5, 1000))]
            case _:
                graft = _document(random.choice(others)[1])
                events[at] = _damage(random, events[at], graft)
    return events


def written(random: Random, events: list[SseEvent]) -> bytes:
    """The events on a wire, framed as some server might."""
    pick = random.random()
    if pick < 0.7:
        return b"".join(sse(data, name) for name, data in events)
    out: list[bytes] = []
    end = random.choice((b"\n", b"\r\n", b"\r"))
    for name, data in events:
        if random.random() < 0.1:
            out.append(
                random.choice(
                    (b": comment" + end, b"id: 7" + end, b"retry: 1" + end, b"nonsense" + end, b": \xff\x00" + end + end)
                )
            )
        if name:
            out.append(b"event:" + random.choice((b" ", b"")) + name + end)
        out.append(b"data:" + random.choice((b" ", b"")) + data + end + end)
    return (b"\xef\xbb\xbf" if random.random() < 0.2 else b"") + b"".join(out)


def mutant(random: Random, wire: bytes, other: bytes) -> bytes:
    """A stream that no provider should send."""
    if is_array(wire):
        document = _document(wire)
        if document is None or random.random() < 0.4:
            return mutate_bytes(random, wire)
        return words.encoded(mutate(random, document))
    events = events_of(wire)
    framed = are_frames(wire)
    others = events_of(other) or [(b"", b"{}")]
    if random.random() < 0.75:
        events = mutate_events(random, events, others)
    wire = b"".join(frame(name, data) for name, data in events) if framed else written(random, events)
    return mutate_bytes(random, wire) if random.random() < 0.3 else wire


def end_told_at(name: DialectName, wire: bytes) -> int:
    """Where the first event that can end the stream is complete; the length of the wire when none does."""
    mark = TELLS_ITS_END[name]
    if is_array(wire):
        found = mark.search(wire)
        return found.start() if found else len(wire)
    if are_frames(wire):
        end = 0
        for whole in eventstream.Splitter().feed(wire):
            end += len(whole)
            if mark.search(whole):
                return end
        return len(wire)
    start = 0
    for match in re.finditer(rb"\r?\n\r?\n", wire):
        if mark.search(wire, start, match.start()):
            return len(wire[: match.start()].rstrip(b" "))  # what is told is told before the spaces that some write behind it
        start = match.end()
    return len(wire)


def pieces(random: Random, wire: bytes) -> list[bytes]:
    """The wire in random pieces."""
    if len(wire) > 1 << 20:
        return [wire[i : i + 65_536] for i in range(0, len(wire), 65_536)]
    if random.random() < 0.05 and len(wire) < 4000:
        return [wire[i : i + 1] for i in range(len(wire))]
    cuts = sorted(random.randrange(len(wire) + 1) for _ in range(random.choice((0, 1, 3, 12))))
    return [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
