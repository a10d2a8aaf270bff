"""What says nothing: fields that law 5 may delete without anybody having to notice.

One rule: only what the API itself defines to mean the same when it is left out, with the reason beside it; never a case.
"""

import re
from typing import TypeAlias

from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue

Step: TypeAlias = str | int
Path: TypeAlias = tuple[Step, ...]

_ANY: tuple[JsonValue, ...] = ()
"""Whatever the value is."""
_SCHEMA = r"(parameters|parametersJsonSchema|parameters_json_schema|input_schema)"
_RESULT_ID = r"contents\[\]\.parts\[\]\.(functionResponse|function_response)\.id"

VOID: dict[tuple[DialectName, str], dict[str, tuple[JsonValue, ...]]] = {
    ("openai_chat", "request"): {
        r"stream|logprobs|store": (False,),  # the default
        r"n": (1,),  # the default
        r"tools\[\]\.type|messages\[\]\.tool_calls\[\]\.type": ("function",),  # read as one without it
        rf"tools\[\]\.function\.{_SCHEMA}\.type": ("object",),  # arguments always are
        r"messages\[\]\.tool_calls\[\]\.function\.arguments": ("{}", ""),  # no arguments
    },
    ("openai_chat", "answer"): {
        r"object|choices\[\]\.message\.role": ("chat.completion", "assistant"),  # constants of the API
        r"choices\[\]\.index": (0,),  # the order says it
        r"service_tier": ("default",),  # where all calls go that no other is told of
        r"choices\[\]\.message\.tool_calls\[\]\.(type|index)": ("function", "custom", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
        r"choices\[\]\.message\.tool_calls\[\]\.function\.arguments": ("{}", ""),
        r"choices\[\]\.message\.annotations\[\]\.type": ("url_citation",),  # the key beside it says it
    },
    ("openai_chat", "stream"): {
        r":object": ("chat.completion.chunk", "chat.completion.done"),
        r":choices\[\]\.(delta|message)\.role": ("assistant",),
        r":choices\[\]\.index": (0,),
        r":service_tier": ("default",),
        r":choices\[\]\.delta\.tool_calls\[\]\.type": ("function",),
        r":choices\[\]\.delta\.tool_calls\[\]\.index": _ANY,  # groups deltas; without it, a change of id does
        r":choices\[\]\.delta\.tool_calls\[\]\.function\.arguments": ("{}", ""),
        r":obfuscation|:p": _ANY,  # padding against traffic analysis
        r":choices\[\]\.delta\.reasoning": _ANY,  # OpenRouter says in it once more what is in reasoning_details
    },
    ("openai_responses", "request"): {
        r"stream": (False,),
        r"input\[\]\.type": ("message",),  # an item with a role is one
        rf"tools\[\]\.{_SCHEMA}\.type": ("object",),
        r"input\[\]\.arguments": ("{}", ""),
    },
    ("openai_responses", "answer"): {
        r"output\[\]\.role": ("assistant",),  # a constant of the API
        r"output\[\]\.arguments": ("{}", ""),
        r"output\[\]\.content\[\]\.annotations\[\]\.type": ("url_citation",),
    },
    ("anthropic", "request"): {
        r"stream": (False,),
        r"tools\[\]\.type": ("custom",),  # read as one without it
        r"messages\[\]\.content\[\]\.is_error": (False,),  # the default
        rf"tools\[\]\.{_SCHEMA}\.type": ("object",),
    },
    ("anthropic", "answer"): {
        r"type|role": ("message", "assistant"),  # constants of the API
        r"content\[\]\.citations\[\]\.type": ("web_search_result_location",),  # only this kind has a url
    },
    ("anthropic", "stream"): {
        r"[a-z_]+:type": _ANY,  # the event's name says it
        r"message_start:message\.(type|role)": ("message", "assistant"),  # constants of the API
        r"content_block_[a-z]+:index": _ANY,  # the order says it
        r"content_block_delta:delta\.citation\.type": ("web_search_result_location",),
        r"message_delta:usage\..*": _ANY,  # cumulative: says again what message_start said
    },
    ("gemini", "request"): {
        r"contents(\[\])?\.role": ("user",),  # the default
        r"(systemInstruction|system_instruction)\.role": _ANY,  # the API ignores it
        rf"tools\[\]\.(functionDeclarations|function_declarations)\[\]\.{_SCHEMA}\.type": ("object", "OBJECT"),
        _RESULT_ID: _ANY,  # pairs a result with its call; without it the order does
    },
    ("bedrock_converse", "request"): {
        r"toolConfig\.tools\[\]\.toolSpec\.inputSchema\.json\.type": ("object",),
        r"messages\[\]\.content\[\]\.toolResult\.status": ("success",),  # the default
    },
    ("bedrock_converse", "answer"): {
        r"output\.message\.role": ("assistant",),
        r"output\.message\.content\[\]\.toolResult\.status": ("success",),
    },
    ("bedrock_converse", "stream"): {
        r".*:p": _ANY,  # padding against traffic analysis
        r"messageStart:role": ("assistant",),
    },
    ("gemini", "answer"): {r"candidates\[\]\.content\.role": ("model",), r"candidates\[\]\.index": (0,)},
    ("gemini", "stream"): {
        r".*\.(partialArgs\[\]|functionCall)\.willContinue": _ANY,  # whether more of it follows: framing
        r".*\.thought": (False,),  # the default
        r":candidates\[\]\.content\.role": ("model",),
        r":candidates\[\]\.index": (0,),
    },
}
"""(dialect, `request`, `answer` or `stream`) → pattern → values: fields that say nothing by the API's own definition, because a
document without them means the same. A pattern is a regular expression over the path with `[]` for indices, after `event type:` in
streams. What is empty (`_empty`) says nothing anywhere."""


_CALLS = {"functionCall", "function_call", "functionResponse", "function_response"}


def spell(path: Path) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".")


def pattern(path: Path) -> str:
    return re.sub(r"\[\d+\]", "[]", spell(path))


def _empty(value: JsonValue) -> bool:
    """Nothing but nulls, empty strings and empty containers, and words for what kind of thing it would have been."""
    if isinstance(value, dict):
        kind = ("role", "type", "index") if len(value) > 1 else ("role", "index")
        return all(_empty(item) or key in kind for key, item in value.items())
    if isinstance(value, list):
        return all(_empty(item) for item in value)
    return value is None or value == ""


def says_nothing(dialect: DialectName, side: str, at: str, value: JsonValue) -> bool:
    if _empty(value):
        return True
    return any(
        re.fullmatch(shape, at) and (not values or value in values) for shape, values in VOID.get((dialect, side), {}).items()
    )


def is_implied(document: JsonValue, path: Path) -> bool:
    """Whether the field repeats what must stand elsewhere: the role of a Gemini content that holds function calls or responses alone;
    the name of a Chat tool message, which is its call's.
    """
    holder = _at(document, path[:-1])
    if not isinstance(holder, dict):
        return False
    match pattern(path):
        case "contents[].role":
            parts = holder.get("parts")
            return (
                isinstance(parts, list) and bool(parts) and all(isinstance(part, dict) and _CALLS & part.keys() for part in parts)
            )
        case "messages[].name":
            messages = _objects(_at(document, path[:1]))
            if holder.get("role") == "function":  # of the legacy pair, which has no ids
                return any(
                    isinstance(call := m.get("function_call"), dict) and call.get("name") == holder.get("name") for m in messages
                )
            calls = [call for message in messages for call in _objects(message.get("tool_calls"))]
            named = {call.get("id"): call.get("function") for call in calls}
            called = named.get(holder.get("tool_call_id"))
            return holder.get("role") == "tool" and isinstance(called, dict) and called.get("name") == holder.get("name")
        case _:
            return False


def _at(value: JsonValue, path: Path) -> JsonValue:
    for step in path:
        value = value[step]  # type: ignore[index,call-overload]
    return value


def _objects(value: JsonValue) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
