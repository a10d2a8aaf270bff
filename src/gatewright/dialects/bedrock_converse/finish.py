"""Why an answer ended, both ways.

One rule: at home the origin's own word is used again; abroad the table speaks, and what it flattens is a loss.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_ResponseSyntax
"""

from gatewright.dialects.bedrock_converse.seals import NAME
from gatewright.ir.loss import Losses
from gatewright.ir.response import Finish, FinishReason
from gatewright.jsontypes import JsonValue

REASON_OF: dict[str, FinishReason] = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
    "model_context_window_exceeded": "context",
    "refusal": "refusal",
    "pause_turn": "pause",
}
WORD_OF: dict[FinishReason, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "context": "model_context_window_exceeded",
    "tool_calls": "tool_use",
    "content_filter": "content_filtered",
    "refusal": "content_filtered",
    "pause": "end_turn",
    "error": "malformed_model_output",
    "other": "end_turn",
}
_FLATTENED = frozenset({"refusal", "pause", "other"})


def parse_finish(reason: JsonValue) -> Finish | None:
    """The finish; None while there is no reason."""
    if not isinstance(reason, str):
        return None
    return Finish(reason=REASON_OF.get(reason, "other"), raw=reason)


def stopped_for_json(finish: Finish | None) -> Finish | None:
    """The finish of an answer whose forced tool stood in for a format: the client called no tool."""
    if finish is not None and finish.reason == "tool_calls":
        return Finish(reason="stop")
    return finish


def render_finish(finish: Finish | None, origin: str, losses: Losses, *, called: bool, refused: bool) -> str | None:
    """The reason. `called`, `refused`: such blocks were in the answer. None: the origin did not say, and is home."""
    if finish is None:
        if origin == NAME:
            return None
        losses.hint("finish_reason", "the provider gave no reason; told as end_turn, because one is required")
        return "end_turn"
    if origin == NAME and finish.raw is not None:
        return finish.raw
    word = WORD_OF[finish.reason]
    if finish.reason in _FLATTENED:
        losses.approximated("finish_reason", f"told as {word}", finish.raw or finish.reason)
    elif finish.reason == "stop" and (called or refused):
        word = "tool_use" if called else "content_filtered"
        losses.hint("finish_reason", f"told as {word}, which the answer's blocks show", finish.raw or finish.reason)
    if finish.sequence is not None:
        losses.hint("stop_sequence", "converse does not say which sequence was hit", finish.sequence)
    if finish.message is not None:
        losses.hint("finish_message", "no place for an explanation", finish.message)
    return word
