"""Server-sent events on the wire."""

import json

from gatewright.wire.sse import sse, without_line_separators


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
