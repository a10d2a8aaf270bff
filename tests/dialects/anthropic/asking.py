"""Shortcuts for the tests of this folder: calls, foreign requests, streams."""

import json

from gatewright.dialects.anthropic import ANTHROPIC
from gatewright.ir.blocks import Message, Text
from gatewright.ir.loss import Loss
from gatewright.ir.request import Asked, Request, Target
from gatewright.wire.http import Call

LEAST = {"model": "claude-sonnet-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}


def call(body=None, path="/v1/messages", **more):
    document = {**LEAST, **more} if body is None else body
    return Call(path=path, body=document if isinstance(document, bytes) else json.dumps(document).encode())


def target(model="claude-sonnet-4-5", **more):
    return Target(model=model, issuer="upstream", **more)


def said(role, *blocks, **more):
    """A message of Text or other blocks; strings are bare text."""
    return Message(role=role, blocks=tuple(Text(text=b, bare=True) if isinstance(b, str) else b for b in blocks), **more)


def abroad(*messages, model="claude-sonnet-4-5", **more):
    """A Chat client's request rendered for this dialect: (body, losses, rendered)."""
    request = Request(origin="openai_chat", model="any", messages=messages or (said("user", "Hi"),), **more)
    rendered = ANTHROPIC.render_request(request, target(model))
    return rendered.body, rendered.losses, rendered


def paths(losses: tuple[Loss, ...], weight=None):
    return [loss.path for loss in losses if weight in (None, loss.weight)]


def wire(*events, end="\n"):
    return "".join(f"event: {e['type']}{end}data: {json.dumps(e)}{end}{end}" for e in events).encode()


def start(**more):
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3},
    }
    return {"type": "message_start", "message": {**message, **more}}


def block_start(index, **block):
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index, **piece):
    return {"type": "content_block_delta", "index": index, "delta": piece}


def block_stop(index):
    return {"type": "content_block_stop", "index": index}


def message_delta(reason="end_turn", **usage):
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
        "usage": {"output_tokens": 5, **usage},
    }


END = {"type": "message_stop"}


def events_of(data, asked=None, *, closed=True):
    parser = ANTHROPIC.stream_parser(asked or Asked())
    found = parser.feed(data)
    return [*found, *parser.close()] if closed else found


def wire_events(data):
    """The documents of a rendered stream."""
    return [json.loads(line[6:]) for line in data.decode().split("\n") if line.startswith("data: ")]
