"""Why an answer ended, both ways.

One rule: the origin's word is kept in `Finish.raw`; STOP beside function calls means that the model waits for their results.
https://ai.google.dev/api/generate-content#FinishReason
"""

from gatewright.dialects.gemini.proto import Proto
from gatewright.ir.response import Finish, FinishReason
from gatewright.jsontypes import JsonObject, JsonValue

REASON: dict[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "CONTINUATION": "pause",
    "NO_IMAGE": "other",
    "IMAGE_OTHER": "other",
    "OTHER": "other",
    "FINISH_REASON_UNSPECIFIED": "other",
}
NUMBER: dict[str, str] = {
    "0": "FINISH_REASON_UNSPECIFIED",
    "1": "STOP",
    "2": "MAX_TOKENS",
    "3": "SAFETY",
    "4": "RECITATION",
    "5": "OTHER",
    "6": "BLOCKLIST",
    "7": "PROHIBITED_CONTENT",
    "8": "SPII",
    "9": "MALFORMED_FUNCTION_CALL",
}
"""Vertex may spell enums as integers (`enum-encoding=int`)."""
WORD: dict[FinishReason, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "context": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "OTHER",
    "error": "OTHER",
    "other": "OTHER",
}
"""For answers of other dialects. Not the inverse of REASON: Gemini has no word for a refusal, and STOP says three things."""


def take_finish(candidate: Proto) -> tuple[JsonValue, JsonValue]:
    """Reason and message, taken from the candidate; what is no reason at all stays there."""
    raw, message = candidate.peek("finishReason"), candidate.peek("finishMessage")
    number = isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0
    if not number and (not isinstance(raw, str) or raw.isdecimal()):
        return None, None
    candidate.take("finishReason")
    if isinstance(message, str):
        candidate.take("finishMessage")
    return raw, message


def parse_finish(raw: JsonValue, message: JsonValue, *, called: bool) -> Finish | None:
    """None: not told. `called`: the answer holds function calls."""
    if raw is None or isinstance(raw, list | dict | bool):
        return None
    word = str(raw)
    reason = REASON.get(NUMBER.get(word, word), "other")
    if reason == "stop" and called:
        reason = "tool_calls"
    return Finish(reason=reason, raw=word, message=message if isinstance(message, str) else None)


def blocked(feedback: JsonValue) -> Finish | None:
    """For an answer without candidates: the prompt was refused. None: the feedback does not say so."""
    if not isinstance(feedback, dict) or feedback.get("blockReason") is None:
        return None
    message = feedback.get("blockReasonMessage")
    return Finish(reason="content_filter", message=message if isinstance(message, str) else None)


def render_finish(finish: Finish | None, *, home: bool) -> JsonObject:
    """`finishReason` and `finishMessage` of a candidate. Abroad there is always one: an answer without it looks cut off."""
    if finish is None:
        return {} if home else {"finishReason": "FINISH_REASON_UNSPECIFIED"}
    raw = finish.raw if home else WORD[finish.reason]
    out: JsonObject = {}
    if raw is not None:
        out["finishReason"] = int(raw) if raw.isdecimal() else raw
    elif home:
        out["finishReason"] = WORD[finish.reason]
    if finish.message is not None:
        out["finishMessage"] = finish.message
    return out
