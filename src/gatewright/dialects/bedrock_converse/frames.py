"""The frames of a stream: their header blocks, encoded once, and how a payload becomes one.

One rule: the header order is Bedrock's own, and U+2028 needs no care: a frame's length says where it ends.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
"""

from gatewright.jsontypes import JsonObject
from gatewright.wire.eventstream import encode_headers, frame
from gatewright.wire.json import encode

EVENTS = ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata")


def header_block(name: str) -> bytes:
    """The encoded headers of an event of this type."""
    return encode_headers({":event-type": name, ":content-type": "application/json", ":message-type": "event"})


_BLOCKS = {name: header_block(name) for name in EVENTS}
DELTA = _BLOCKS["contentBlockDelta"]


def event(name: str, document: JsonObject) -> bytes:
    """One event on the wire."""
    return frame(_BLOCKS.get(name) or header_block(name[:200]), encode(document))


KEEP_ALIVE = frame(header_block("ping"), b"{}")
"""An event of a type that no SDK has a shape for: botocore 1.44 and the AWS SDK for JavaScript 3 read past it. Seen 2026-11."""
