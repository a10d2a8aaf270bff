"""What a store of responses needs: answers as history, inputs as the list the API shows.

One rule: pure functions of the documents; nothing is stored or resolved here, and no argument is changed.
https://platform.openai.com/docs/guides/conversation-state
"""

from gatewright.dialects.openai_responses.names import digest
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import encode

_PREFIX = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "item_reference": "",
}
"""Type → start of the ids the API makes up for it; unlisted ones are `item`. Empty: never given one."""
_CUT = ("in_progress", "incomplete")
_CALLS = ("function_call", "custom_tool_call")
_PART_OF_ROLE = {"assistant": "output_text"}


def output_as_input(response_body: JsonObject) -> list[JsonValue]:
    """The output of a finished response as input items of the next request, in order.

    Calls that were cut off are left out: nobody can answer them, and an unanswered call is refused.
    """
    output = response_body.get("output")
    items = output if isinstance(output, list) else []
    return [dict(item) for item in items if isinstance(item, dict) and not _is_cut(item)]


def _is_cut(item: JsonObject) -> bool:
    return item.get("type") in _CALLS and item.get("status") in _CUT


def input_items(request_body: JsonObject) -> list[JsonValue]:
    """The request's input as a list of items, as the client wrote them; a string is a message of the user."""
    given = request_body.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return [dict(item) if isinstance(item, dict) else item for item in given] if isinstance(given, list) else []


def normalised_input(request_body: JsonObject, response_id: str = "") -> list[JsonValue]:
    """The request's input as `GET /v1/responses/{id}/input_items` lists it, oldest first: typed, with ids and parts.

    Ids are made from the item, its place and `response_id`: the same every time.
    """
    return [_normal(item, i, response_id) for i, item in enumerate(input_items(request_body)) if isinstance(item, dict)]


def _normal(item: JsonObject, index: int, response_id: str) -> JsonObject:
    kind = item.get("type")
    kind = kind if isinstance(kind, str) else "message"
    normal: JsonObject = {**item, "type": kind}
    prefix = _PREFIX.get(kind, "item")
    if not item.get("id") and prefix:
        normal["id"] = f"{prefix}_{digest(f'{response_id}:{index}:{encode(item).decode()}')}"
    if kind == "message":
        normal.setdefault("status", "completed")
        content = item.get("content")
        if isinstance(content, str):
            part: JsonObject = {"type": _PART_OF_ROLE.get(str(item.get("role")), "input_text"), "text": content}
            if part["type"] == "output_text":
                part |= {"annotations": [], "logprobs": []}
            normal["content"] = [part]
    return normal


def with_history(request_body: JsonObject, items: list[JsonValue]) -> JsonObject:
    """The request with `items` (oldest first) before its own input, and without the reference they resolve."""
    body = {key: value for key, value in request_body.items() if key != "previous_response_id"}
    body["input"] = [*items, *input_items(request_body)]
    return body
