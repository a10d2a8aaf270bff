"""What is told where a policy of Invariant's blocks: the documents of its gateway, for each dialect, whole and in streams.

One rule: they hold what the policies that block object to, and nothing of those that only log.
"""

from collections.abc import Sequence
from typing import Literal

from gatewright.errors import Problem
from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.pipeline.guard_book import BLOCKED
from gatewright.record.explorer_body import PolicyError
from gatewright.wire.json import encode


def refusal(dialect: DialectName, where: Literal["request", "answer"], errors: Sequence[PolicyError], *, stream: bool) -> Problem:
    """The problem, with the document that Invariant's gateway would send."""
    location = "request" if where == "request" else "response"
    message = f"[Invariant] The {location} did not pass the guardrails"
    details: JsonObject = {"errors": [error.document() for error in errors]}
    return Problem(
        kind="invalid_request",
        status=400,
        code=BLOCKED,
        message=message,
        origin=dialect,
        raw=_document(dialect, message, details, stream=stream),
    )


def _document(dialect: DialectName, message: str, details: JsonObject, *, stream: bool) -> JsonValue:
    if dialect == "gemini":
        return _gemini(message, details, stream=stream)
    if dialect == "openai_chat" and not stream:
        return {"error": message, "details": details}
    return {"error": {"message": message, "details": details}}


def _gemini(message: str, details: JsonObject, *, stream: bool) -> JsonObject:
    error: JsonObject = {"code": 400, "message": message, "details": details, "status": "INVARIANT_GUARDRAILS_VIOLATION"}
    if not stream:
        ratings: JsonValue = [{"category": "HARM_CATEGORY_UNSPECIFIED", "probability": 0.0, "blocked": True}]
        return {"error": error, "prompt_feedback": {"blockReason": "SAFETY", "safetyRatings": ratings}}
    ratings = [{"category": "HARM_CATEGORY_UNSPECIFIED", "probability": "HIGH", "blocked": True}]
    return {
        "candidates": [{"content": {"parts": [{"text": message}]}}],
        "error": error,
        "promptFeedback": {
            "blockReason": "SAFETY",
            "block_reason_message": f"{message}: {encode(details).decode()}",
            "safetyRatings": ratings,
        },
    }
