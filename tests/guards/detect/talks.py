"""Conversations for rules that look at a whole one."""

import json

from gatewright.ir.blocks import Block, Message, Native, Text, ToolCall, ToolResult
from gatewright.ir.request import Request, Tool
from gatewright.ir.response import Response


def user(text: str) -> Message:
    return Message(role="user", blocks=(Text(text=text),))


def says(text: str) -> Message:
    return Message(role="assistant", blocks=(Text(text=text),))


def call(name: str, call_id: str = "", **arguments: object) -> ToolCall:
    return ToolCall(id=call_id or name, name=name, arguments=json.dumps(arguments))


def calls(*blocks: Block) -> Message:
    return Message(role="assistant", blocks=blocks)


def gives(call_id: str, text: str, name: str = "", *, failed: bool | None = None) -> Message:
    return Message(role="user", blocks=(ToolResult(call_id=call_id, name=name, content=(Text(text=text),), is_error=failed),))


def talk(*messages: Message, tools: tuple[str, ...] = ()) -> Request:
    return Request(origin="openai_chat", model="m", messages=messages, tools=tuple(Tool(name=name) for name in tools))


def answer(*blocks: Block, others: tuple = ()) -> Response:
    return Response(origin="openai_chat", id="r", model="m", blocks=blocks, others=others)


def native(**document: object) -> Native:
    return Native(origin="anthropic", data=document)
