"""Watches a Messages stream that passes through: usage, end, errors, and whether a client has seen content.

One rule: the bytes go on as they came; only events that can carry usage, an end or an error are decoded.
"""

import re

from gatewright.dialects.anthropic.errors import problem_of
from gatewright.dialects.anthropic.usage import merge_usage, parse_usage
from gatewright.errors import Problem
from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import BadJson, decode_lenient
from gatewright.wire.sse import OversizedEvent, SseParser

_MESSAGE, _ERROR = b'"message_', b'"error"'
"""No event of interest is without one of these; text that quotes them costs one more look."""
_BLOCK, _DELTA = b'"content_block"', b"content_block_delta"
_EMPTY = re.compile(
    rb'"content_block"\s*:\s*\{\s*"type"\s*:\s*"(?:text|thinking)"(?:\s*,\s*"(?:text|thinking|signature)"\s*:\s*"")*\s*\}'
)
"""What opens a block and shows nothing yet. One that is spelt otherwise counts as content."""


class MessagesWatch:
    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.content = False
        self.finished = False
        self.problem: Problem | None = None
        self._raw: JsonObject = {}

    def feed(self, data: bytes) -> bytes:
        """`data`, always."""
        self._look(data)
        return data

    def _look(self, block: bytes) -> None:
        if not self.content:
            self.content = _DELTA in block or (_BLOCK in block and block.count(_BLOCK) > len(_EMPTY.findall(block)))
        if _MESSAGE not in block and _ERROR not in block:
            return
        parser = SseParser()
        try:
            events = [*parser.feed(block), *parser.close()]
        except OversizedEvent:
            return
        for _, data in events:
            if _MESSAGE in data or _ERROR in data:
                self._note(data)

    def _note(self, data: bytes) -> None:
        try:
            event = decode_lenient(data)
        except BadJson:
            return
        if not isinstance(event, dict):
            return
        match event.get("type"):
            case "message_start":
                message = event.get("message")
                self._count(message.get("usage") if isinstance(message, dict) else None)
            case "message_delta":
                self._count(event.get("usage"))
                delta = event.get("delta")
                if isinstance(delta, dict) and delta.get("stop_reason"):
                    self.finished = True
            case "message_stop":
                self.finished = True
            case "error":
                self.problem = problem_of(event, 0)
            case _:
                pass

    def _count(self, usage: JsonValue) -> None:
        if isinstance(usage, dict) and usage:
            self._raw = merge_usage(self._raw, usage)
            self.usage = parse_usage(self._raw)
