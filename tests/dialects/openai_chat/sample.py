"""Small documents that several tests here start from."""

import json

from gatewright.dialects.openai_chat import OPENAI_CHAT
from gatewright.ir.events import Grammar, StreamEvent
from gatewright.ir.request import Asked, Request, Target
from gatewright.wire.http import Call

TARGET = Target(model="gpt-5", issuer="here")


def call(**body) -> Call:
    document = {"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}], **body}
    return Call(path="/v1/chat/completions", body=json.dumps(document).encode())


def request(**body) -> Request:
    return OPENAI_CHAT.parse_request(call(**body))


def chunk(delta=None, finish=None, **more) -> dict:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **more}


def wire(*chunks, done=True) -> bytes:
    text = "".join(f"data: {json.dumps(one, ensure_ascii=False)}\n\n" for one in chunks)
    return (text + ("data: [DONE]\n\n" if done else "")).encode()


def parse(data: bytes, size: int = 0, pieces: list[bytes] | None = None) -> list[StreamEvent]:
    """The events, fed at once, in pieces of `size`, or in these; checked against the grammar."""
    parser = OPENAI_CHAT.stream_parser(Asked(issuer="here"))
    if pieces is None:
        pieces = [data[i : i + size] for i in range(0, len(data), size)] if size else [data]
    events = [event for piece in pieces for event in parser.feed(piece)] + parser.close()
    grammar = Grammar()
    for event in events:
        grammar.check(event)
    assert grammar.state == "end"
    return events


def documents(data: bytes) -> list:
    """The documents of a rendered stream; `[DONE]` as itself."""
    words = [line[6:] for line in data.decode().split("\n\n") if line.startswith("data: ")]
    return [word if word == "[DONE]" else json.loads(word) for word in words]
