"""Whole answers, neutral -> wire: the official object, complete.

One rule: at home the upstream's own object comes back as it was; from abroad the client's settings are echoed as the API does.
https://platform.openai.com/docs/api-reference/responses/object
"""

from gatewright.dialects.openai_responses.names import NAME, plain, response_id
from gatewright.dialects.openai_responses.render_output import Writer
from gatewright.dialects.openai_responses.render_request import settings
from gatewright.dialects.openai_responses.tools import callables
from gatewright.dialects.openai_responses.usage import render_usage
from gatewright.ir.blocks import Refusal, Text
from gatewright.ir.loss import Losses
from gatewright.ir.request import Rendered, Request
from gatewright.ir.response import Finish, Response, told_in_usage
from gatewright.jsontypes import JsonObject, JsonValue

INCOMPLETE = {"length": "max_output_tokens", "context": "max_output_tokens", "content_filter": "content_filter"}
"""Finish → `incomplete_details.reason`; every other finish is `completed`."""
_PLAIN = frozenset(("stop", "tool_calls", "refusal", "length", "content_filter"))
"""Finishes that the API can tell."""

TIERS = {word: word for word in ("auto", "default", "flex", "scale", "priority")} | {"standard": "default"}
"""The tier that served, in others' words → ours."""

_DEFAULTS: JsonObject = {
    "background": False,
    "completed_at": None,
    "conversation": None,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


def as_told(extras: JsonObject, origin: str) -> bool:
    """Whether the extras are the upstream's own response object, to be written back as it was."""
    return origin == NAME and "object" in extras


def echo(request: Request) -> JsonObject:
    """The settings of the client's request, as the API repeats them in every response object."""
    found = dict(_DEFAULTS)
    asked = settings(request, Losses(NAME))
    found |= {key: asked[key] for key in _DEFAULTS if asked.get(key) is not None}
    found["previous_response_id"] = request.client.get("previous_response_id")
    first = request.messages[0] if request.messages else None
    if first is not None and first.form == ("instructions",):
        found["instructions"] = "".join(block.text for block in first.blocks if isinstance(block, Text))
    tools = found["tools"]
    if isinstance(tools, list):
        found["tools"] = [_tool(tool) for tool in tools if _named(tool)]
    choice = found["tool_choice"]
    if isinstance(choice, dict) and choice.get("type") in ("function", "custom") and "name" not in choice:
        found["tool_choice"] = "auto"
    text, reasoning = found["text"], found["reasoning"]
    if isinstance(text, dict):
        found["text"] = {"format": {"type": "text"}, **text}
    if isinstance(reasoning, dict):
        found["reasoning"] = {"effort": None, "summary": None, **reasoning}
    return found


def _named(tool: JsonValue) -> bool:
    return isinstance(tool, dict) and (tool.get("type") not in ("function", "custom") or "name" in tool)


def _tool(tool: JsonValue) -> JsonValue:
    if isinstance(tool, dict) and tool.get("type") == "function":
        return {"description": None, "parameters": None, "strict": False, **tool}
    return tool


def status_of(finish: Finish | None, *, refused: bool = True) -> JsonObject:
    """`refused`: a refusal stands in the output. Without one the finish alone says it, and that must not look like an answer."""
    reason = INCOMPLETE.get(finish.reason) if finish is not None else None
    if finish is not None and finish.reason == "refusal" and not refused:
        reason = "content_filter"
    if reason is not None:
        return {"status": "incomplete", "incomplete_details": {"reason": reason}}
    return {"status": "completed", "incomplete_details": None}


def refuses(response: Response) -> bool:
    """Whether a refusal stands in the answer."""
    return any(isinstance(block, Refusal) for block in response.blocks)


def finish_losses(finish: Finish | None, losses: Losses, *, refused: bool = True) -> None:
    """What `completed` and `incomplete` do not say of another dialect's finish."""
    if finish is None:
        losses.hint("finish", "the upstream did not say; told as completed")
        return
    if finish.sequence is not None:
        losses.approximated("stop_sequence", "the Responses API does not tell it", finish.sequence)
    if finish.message is not None:
        losses.approximated("finish_message", "the Responses API does not tell it", finish.message)
    if finish.reason not in _PLAIN or (finish.reason == "refusal" and not refused):
        losses.approximated("finish", f"told as {status_of(finish, refused=refused)['status']}", finish.raw or finish.reason)


def created(response: Response, request: Request) -> JsonValue:
    """Unix seconds: the upstream's word, else the gateway's; None where neither tells."""
    return request.answer.get("created_at") if response.created is None else response.created


def head_of(response: Response, request: Request) -> JsonObject:
    """The response object without output, status and usage."""
    if as_told(response.extras, response.origin):
        head: JsonObject = {"id": response.id, "created_at": response.created, "model": response.model}
        return {key: value for key, value in head.items() if value is not None and value != ""} | response.extras
    head = {
        "id": response_id(response.id, request),
        "object": "response",
        "created_at": created(response, request) or 0,
        "model": response.model,
        **echo(request),
        **{key: value for key, value in request.answer.items() if key == "previous_response_id"},
    }
    tier = told_tier(response)
    return head | ({} if tier is None else {"service_tier": tier})


def told_tier(response: Response) -> str | None:
    """The tier that served, in the API's words: as the usage says it, else the upstream's object. None: unknown, or no word."""
    tier: JsonValue = response.usage.service_tier if response.usage is not None else None
    if tier is None:
        tier = response.extras.get("service_tier")
    return TIERS.get(tier) if isinstance(tier, str) else None


def body_of(response: Response, request: Request, output: list[JsonValue]) -> JsonObject:
    """The whole response object with these output items."""
    body = head_of(response, request)
    if not as_told(response.extras, response.origin):
        body |= status_of(response.finish, refused=refuses(response))
        body |= {"output": output, "usage": None}
        if body["status"] == "completed":
            body["completed_at"] = created(response, request)
    elif output:
        body["output"] = output
    if response.usage is not None:
        body["usage"] = render_usage(response.usage, response.origin)
    return body


def render_response(response: Response, request: Request) -> Rendered:
    losses = Losses(NAME)
    base = response.id if as_told(response.extras, response.origin) else response_id(response.id, request)
    writer = Writer(base, response.origin, callables(request), losses)
    output = writer.items(response.blocks)
    if response.origin != NAME:
        answer_losses(response, losses)
    return Rendered(body=body_of(response, request, output), losses=losses.done())


def extras_losses(response: Response, losses: Losses) -> None:
    """What only its own dialect says of the answer; a tier that is shown is not lost."""
    unsaid = response.usage is None or response.usage.service_tier is None
    shown = ("service_tier",) if unsaid and told_tier(response) is not None else told_in_usage(response)
    losses.extras(response, origin=response.origin, skip=shown)


def answer_losses(response: Response, losses: Losses) -> None:
    """What the answer as a whole, from another dialect, says beyond its blocks."""
    extras_losses(response, losses)
    tier = response.usage.service_tier if response.usage is not None else None
    if tier is not None and tier not in TIERS:
        losses.hint("service_tier", "no such tier in the Responses API", tier)
    finish_losses(response.finish, losses, refused=refuses(response))
    for i, other in enumerate(response.others):
        losses.dropped(f"choices[{i + 1}]", "the Responses API gives one answer", plain(other))
