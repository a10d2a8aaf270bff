"""Why an answer ended, both ways.

One rule: at home the origin's own word is used again; abroad the table speaks, and what it flattens is a loss.
https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons
"""

from gatewright.dialects.anthropic.content import NAME
from gatewright.ir.loss import Losses
from gatewright.ir.response import Finish, FinishReason
from gatewright.jsontypes import JsonObject, JsonValue

REASON_OF: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context",
    "compaction": "pause",
}
WORD_OF: dict[FinishReason, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "pause": "pause_turn",
    "refusal": "refusal",
    "context": "model_context_window_exceeded",
    "content_filter": "refusal",
    "error": "end_turn",
    "other": "end_turn",
}
_FLATTENED = frozenset({"content_filter", "error", "other"})


def parse_finish(reason: JsonValue, sequence: JsonValue, details: JsonValue) -> Finish | None:
    """The finish; None while the reason is null. `details` is left to the extras too: only its explanation is neutral."""
    if not isinstance(reason, str):
        return None
    explanation = details.get("explanation") if isinstance(details, dict) else None
    return Finish(
        reason=REASON_OF.get(reason, "other"),
        raw=reason,
        sequence=sequence if isinstance(sequence, str) else None,
        message=explanation if isinstance(explanation, str) else None,
    )


def stopped_for_json(finish: Finish | None) -> Finish | None:
    """The finish of an answer whose forced tool stood in for a format: the client called no tool."""
    if finish is not None and finish.reason == "tool_calls":
        return Finish(reason="stop")
    return finish


def render_finish(
    finish: Finish | None, origin: str, losses: Losses, *, called: bool, refused: bool
) -> tuple[str | None, str | None, JsonObject]:
    """stop_reason, stop_sequence and what else goes beside them. `called`, `refused`: such blocks were in the answer."""
    if finish is None:
        return None, None, {}
    if origin == NAME and finish.raw is not None:
        return finish.raw, finish.sequence, {}
    word = WORD_OF[finish.reason]
    if finish.reason in _FLATTENED:
        losses.approximated("finish_reason", f"told as {word}", finish.raw or finish.reason)
    elif finish.reason == "stop" and (called or refused):
        word = "tool_use" if called else "refusal"
        losses.hint("finish_reason", f"told as {word}, which the answer's blocks show", finish.raw or finish.reason)
    extra: JsonObject = {}
    if finish.message is not None:
        if word == "refusal":
            extra["stop_details"] = {"type": "refusal", "category": None, "explanation": finish.message}
        else:
            losses.hint("finish_message", "no place for an explanation", finish.message)
    return word, finish.sequence, extra
