"""Short ways to ask the dialect, for its tests."""

import json

from gatewright.dialects.bedrock_converse import BEDROCK_CONVERSE
from gatewright.ir.events import Grammar, StreamEvent
from gatewright.ir.request import Asked, Rendered, Request, Target
from gatewright.ir.response import Response
from gatewright.wire.eventstream import Decoder, encode
from gatewright.wire.http import Call

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "us.amazon.nova-pro-v1:0"
OSS = "openai.gpt-oss-120b-1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"


def call(body: object, model: str = CLAUDE, *, stream: bool = False) -> Call:
    return Call(path=f"/model/{model}/converse{'-stream' if stream else ''}", body=json.dumps(body).encode())


def parsed(body: object, model: str = CLAUDE, *, stream: bool = False) -> Request:
    return BEDROCK_CONVERSE.parse_request(call(body, model, stream=stream))


def rendered(request: Request, model: str = CLAUDE, issuer: str = "aws") -> Rendered:
    return BEDROCK_CONVERSE.render_request(request, Target(model=model, issuer=issuer))


def ask(*blocks: object, **more: object) -> dict:
    return {"messages": [{"role": "user", "content": [{"text": b} if isinstance(b, str) else b for b in blocks]}], **more}


def home(body: dict, model: str = CLAUDE) -> dict:
    """The body, read and written again."""
    out = rendered(parsed(body, model), model)
    assert out.losses == ()
    return out.body


def answered(*blocks: object, stop: str = "end_turn", **more: object) -> Response:
    message = {"role": "assistant", "content": [{"text": b} if isinstance(b, str) else b for b in blocks]}
    document = {"output": {"message": message}, "stopReason": stop, **more}
    return BEDROCK_CONVERSE.parse_response(json.dumps(document).encode(), Asked(issuer="aws", model="m"))


def frame(name: str, **payload: object) -> bytes:
    kind = "exception" if name.endswith("Exception") else "event"
    headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    return encode(headers, json.dumps(payload).encode())


def delta(index: int, **piece: object) -> bytes:
    return frame("contentBlockDelta", contentBlockIndex=index, delta=piece)


def stop(index: int) -> bytes:
    return frame("contentBlockStop", contentBlockIndex=index)


START = frame("messageStart", role="assistant")
END = frame("messageStop", stopReason="end_turn") + frame(
    "metadata", usage={"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
)


ASKED = Asked(issuer="aws", model="m")


def events(wire: bytes, size: int = 0, asked: Asked = ASKED) -> list[StreamEvent]:
    """The events of a stream in reads of `size` bytes (0: at once), checked against the grammar."""
    parser = BEDROCK_CONVERSE.stream_parser(asked)
    found: list[StreamEvent] = []
    for at in range(0, len(wire), size or len(wire) or 1):
        found += parser.feed(wire[at : at + (size or len(wire))])
    found += parser.close()
    grammar = Grammar()
    for event in found:
        grammar.check(event)
    return found


def frames(wire: bytes) -> list[tuple[str, dict]]:
    """(event type, payload) of each frame."""
    decoder = Decoder()
    read = decoder.feed(wire)
    decoder.close()
    return [(str(m.headers.get(":event-type") or m.headers.get(":exception-type")), json.loads(m.payload)) for m in read]


def losses_of(out: Rendered) -> set[tuple[str, str]]:
    return {(loss.path, loss.weight) for loss in out.losses}
