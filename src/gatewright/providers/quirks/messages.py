"""What hosts refuse inside the messages: ids of another form, fields that other hosts write, roles, cache scopes.

One rule: an id is changed the same way wherever it stands, so that a result still finds its call.
"""

import hashlib
import re
from collections.abc import Callable

from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.providers.quirks.seam import Tell, items

NINE = re.compile(r"[a-zA-Z0-9]{9}")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details")


def nine(ref: str) -> str:
    """A tool-call id of nine letters and digits: itself where it is one, else always the same for the same id."""
    if NINE.fullmatch(ref):
        return ref
    number = int.from_bytes(hashlib.sha256(ref.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    return "".join(_DIGITS[number // 62**i % 62] for i in range(9))


def nine_character_ids(body: JsonObject, _tell: Tell) -> None:
    """Ids of calls and results. Nobody sees the difference, so nothing is told."""

    def fitted(message: JsonObject) -> JsonObject:
        calls = message.get("tool_calls")
        ref = message.get("tool_call_id")
        if isinstance(calls, list) and calls:
            message = {**message, "tool_calls": [_fitted_call(call) for call in calls]}
        if isinstance(ref, str):
            message = {**message, "tool_call_id": nine(ref)}
        return message

    _each(body, fitted)


def _fitted_call(call: JsonValue) -> JsonValue:
    ref = call.get("id") if isinstance(call, dict) else None
    return {**call, "id": nine(ref)} if isinstance(call, dict) and isinstance(ref, str) else call


def without_reasoning(body: JsonObject, tell: Tell) -> None:
    """The reasoning that other hosts write beside an answer, in any field: this one has its own way of being shown it."""
    _unreasoned(body, tell, REASONING_FIELDS)


def without_foreign_reasoning(body: JsonObject, tell: Tell) -> None:
    """The same, for a host whose own field is `reasoning`."""
    _unreasoned(body, tell, ("reasoning_content", "reasoning_details"))


def _unreasoned(body: JsonObject, tell: Tell, fields: tuple[str, ...]) -> None:
    for i, message in enumerate(items(body.get("messages"))):
        for field in fields:
            if message.get("role") == "assistant" and message.get(field) is not None:
                tell.losses.hint(f"messages[{i}].{field}", "this host refuses other hosts' reasoning")
    _each(body, lambda message: _left_out(message, fields) if message.get("role") == "assistant" else message)


BLANK = " "
"""The least that hosts take for reasoning; an empty text counts as none."""


def blank_reasoning(body: JsonObject, tell: Tell) -> None:
    """A blank for the reasoning of turns that were made without, or by a model whose reasoning this host cannot read.

    Only where tools were called: then the host wants it of every turn.
    """
    messages = items(body.get("messages"))
    thinking = body.get("thinking")
    off = isinstance(thinking, dict) and thinking.get("type") == "disabled"
    if off or not any(message.get("tool_calls") for message in messages):
        return

    def reasoned(message: JsonObject) -> JsonObject:
        if message.get("role") != "assistant" or message.get("reasoning_content"):
            return message
        return {**message, "reasoning_content": BLANK}

    if any(reasoned(message) is not message for message in messages):
        _each(body, reasoned)
        tell.losses.hint(
            tell.where("messages"), "this host wants reasoning before tool calls: a blank stands for what is not there"
        )


def without_names(body: JsonObject, tell: Tell) -> None:
    """Names of who speaks; a tool's result may keep its own."""
    for i, message in enumerate(items(body.get("messages"))):
        if message.get("role") != "tool" and message.get("name") is not None:
            tell.losses.hint(f"messages[{i}].name", "this host refuses names of speakers", message["name"])
    _each(body, lambda message: message if message.get("role") == "tool" else _left_out(message, ("name",)))


def developer_as_system(body: JsonObject, _tell: Tell) -> None:
    """OpenAI's newer word for the same: hosts that do not know it answer 400. Nothing is lost."""
    _each(body, _by_system)


def developer_as_system_item(body: JsonObject, _tell: Tell) -> None:
    """The same for the items of a Responses request."""
    _each(body, _by_system, "input")


def _by_system(message: JsonObject) -> JsonObject:
    return {**message, "role": "system"} if message.get("role") == "developer" else message


def without_cache_scope(body: JsonObject, tell: Tell) -> None:
    """Anthropic's own `cache_control.scope`; where it is unknown the whole call is refused. The cache point stays."""
    told = False
    for key in ("system", "messages", "tools"):
        mended = _unscoped(body.get(key))
        if key in body and mended is not body[key]:
            body[key] = mended
            told = True
    if told:
        tell.losses.hint("cache_control.scope", "this host refuses it; the cache point stays")


def _unscoped(value: JsonValue) -> JsonValue:
    """`value` without scopes in cache points; the same object where there are none."""
    if isinstance(value, list):
        mended: list[JsonValue] = [_unscoped(item) for item in value]
        return mended if any(a is not b for a, b in zip(mended, value, strict=True)) else value
    if not isinstance(value, dict):
        return value
    found = value
    point = value.get("cache_control")
    if isinstance(point, dict) and "scope" in point:
        found = {**found, "cache_control": {k: v for k, v in point.items() if k != "scope"}}
    inner = _unscoped(value.get("content"))
    return {**found, "content": inner} if inner is not value.get("content") else found


def _left_out(message: JsonObject, fields: tuple[str, ...]) -> JsonObject:
    return {k: v for k, v in message.items() if k not in fields} if any(field in message for field in fields) else message


def _each(body: JsonObject, change: Callable[[JsonObject], JsonObject], field: str = "messages") -> None:
    """The objects of `field`, each changed; the list is replaced where one was."""
    messages = body.get(field)
    if not isinstance(messages, list):
        return
    changed: list[JsonValue] = [change(message) if isinstance(message, dict) else message for message in messages]
    if any(after is not before and after != before for after, before in zip(changed, messages, strict=True)):
        body[field] = changed
