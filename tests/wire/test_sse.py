"""Server-sent events on the wire."""

import json

from gatewright.wire.sse import SseParser, event_name, sse, without_line_separators


def test_line_separators_are_escaped_and_mean_the_same():
    """A raw U+2028 ends a line for some readers, and a stream there."""
    text = "a\u2028b\u2029c — “d”"
    event = without_line_separators(sse(json.dumps({"text": text}, ensure_ascii=False).encode()))
    assert len(event.decode().splitlines()) == 2
    assert json.loads(event[6:])["text"] == text


def test_without_them_the_bytes_are_the_same():
    """Most events hold none."""
    event = sse("Grüße — …".encode())
    assert without_line_separators(event) == event


def test_a_name_cannot_write_events_of_its_own():
    """A provider's event type with line breaks in it must not become an event of the gateway's."""
    wire = sse(b"{}", event_name("x\r\ndata: [DONE]\n\nevent: error"))
    assert SseParser().feed(wire) == [(b"x  data: [DONE]  event: error", b"{}")]


def test_a_large_event_in_small_pieces_is_one_event():
    """Many short lines and no blank one: held back as they come, given whole at their end."""
    lines = b"data: line\n" * 5000
    parser = SseParser()
    for start in range(0, len(lines), 7):
        assert parser.feed(lines[start : start + 7]) == []
    assert parser.feed(b"\n") == [(b"", b"\n".join([b"line"] * 5000))]
