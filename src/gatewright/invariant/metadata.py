"""What is told of an exchange beside its messages.

One rule: the request's own fields, as they came, and of the answer what it used and which model gave it; never the messages
twice.
https://github.com/invariantlabs-ai/invariant-gateway/tree/main/gateway/routes
"""

from gatewright.ir.blocks import DialectName
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject
from gatewright.wire.json import BadJson, decode_object

_TOLD_AS_MESSAGES: dict[DialectName, frozenset[str]] = {
    "openai_chat": frozenset(("messages",)),
    "openai_responses": frozenset(("input", "instructions")),
    "anthropic": frozenset(("messages", "system")),
    "gemini": frozenset(("contents", "systemInstruction", "system_instruction")),
    "bedrock_converse": frozenset(("messages", "system")),
}
_MODEL_KEY: dict[DialectName, str] = {"gemini": "modelVersion"}
_SAYS_MODEL: frozenset[DialectName] = frozenset(("openai_chat", "openai_responses", "gemini"))
"""Dialects whose answers' model the reference tells; Anthropic's it does not."""


def metadata_of(body: bytes, response: Response | None, dialect: DialectName) -> JsonObject:
    """`body`: the request's, as the client sent it. Usage is told of streams, too."""
    try:
        asked = decode_object(body) if body else {}
    except BadJson:
        asked = {}
    left_out = _TOLD_AS_MESSAGES[dialect]
    metadata: JsonObject = {key: value for key, value in asked.items() if key not in left_out and value is not None}
    metadata["via_gateway"] = True
    if response is None:
        return metadata
    if response.usage is not None and response.usage.raw:
        metadata["usage"] = response.usage.raw
    if response.model and dialect in _SAYS_MODEL:
        metadata[_MODEL_KEY.get(dialect, "model")] = response.model
    return metadata
