"""Watches a Converse stream that passes through as it is.

One rule: the bytes go on as they came; of the frames only those that can carry usage, an end or an error are decoded as JSON.
"""

from gatewright.dialects.bedrock_converse.errors import problem_of
from gatewright.dialects.bedrock_converse.usage import parse_usage
from gatewright.errors import Problem
from gatewright.ir.response import Usage
from gatewright.jsontypes import JsonValue
from gatewright.wire.eventstream import BadFrame, Decoder, Message
from gatewright.wire.json import BadJson, decode_lenient


def problem_in(message: Message) -> Problem | None:
    """The error that a frame tells; None when it is an event."""
    headers = message.headers
    match headers.get(":message-type"):
        case "exception":
            return problem_of(decoded(message.payload), 0, str(headers.get(":exception-type", "")))
        case "error":
            said: JsonValue = {"message": str(headers.get(":error-message", ""))}
            return problem_of(said, 0, str(headers.get(":error-code", "")))
        case _:
            return None


def decoded(payload: bytes) -> JsonValue:
    try:
        return decode_lenient(payload)
    except BadJson:
        return None


class ConverseWatch:
    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.content = False
        self.finished = False
        self.problem: Problem | None = None
        self._frames = Decoder()
        self._blind = False

    def feed(self, data: bytes) -> bytes:
        """`data`, always; nothing is held back."""
        if not self._blind:
            try:
                messages = self._frames.feed(data)
            except BadFrame:
                self._blind = True
                return data
            for message in messages:
                self._see(message)
        return data

    def _see(self, message: Message) -> None:
        match message.headers.get(":event-type"):
            case "contentBlockDelta" | "contentBlockStart":
                self.content = True
            case "messageStop":
                self.finished = True
            case "metadata":
                document = decoded(message.payload)
                usage = document.get("usage") if isinstance(document, dict) else None
                if isinstance(document, dict) and isinstance(usage, dict) and usage:
                    self.usage = parse_usage(usage, document.get("serviceTier"))
            case _:
                self.problem = problem_in(message) or self.problem
