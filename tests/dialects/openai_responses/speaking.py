"""What the tests of this folder share: documents in, documents out, and streams read back."""

import json

from gatewright.dialects.openai_responses import OPENAI_RESPONSES
from gatewright.ir.events import Grammar
from gatewright.ir.request import Asked, Request, Target
from gatewright.wire.http import Call

TARGET = Target(model="gpt-5.2", issuer="openai")
ASKED = Asked(issuer="openai")
ANYONE = Request(origin="openai_responses", model="gpt-5.2")


def request_of(**body):
    return OPENAI_RESPONSES.parse_request(Call(path="/v1/responses", body=json.dumps({"model": "gpt-5.2", **body}).encode()))


def response_of(**body):
    return OPENAI_RESPONSES.parse_response(json.dumps({"object": "response", "output": [], **body}).encode(), ASKED)


def lines(*events):
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def read(wire, size=0):
    """The events of a stream, fed in pieces of `size` bytes (0: at once); the grammar is checked."""
    parser = OPENAI_RESPONSES.stream_parser(ASKED)
    events = []
    for i in range(0, len(wire), size or max(1, len(wire))):
        events += parser.feed(wire[i : i + (size or len(wire))])
    events += parser.close()
    grammar = Grammar()
    for event in events:
        grammar.check(event)
    assert grammar.state == "end"
    return events


def told(wire):
    """The JSON of every event of a rendered stream; each stands under its own name and number."""
    found = []
    for block in wire.decode().split("\n\n"):
        if not block or block.startswith(":"):
            continue
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == len(found)
        found.append(event)
    return found


def created(**extra):
    return {"type": "response.created", "response": {"object": "response", "id": "resp_1", "model": "m", **extra}}


def completed(*output, **extra):
    response = {"object": "response", "id": "resp_1", "model": "m", "status": "completed", "output": list(output), **extra}
    return {"type": "response.completed", "response": response}
