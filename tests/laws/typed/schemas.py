"""What the vendors say that their APIs take and give, as JSON schemas: the official SDKs' types, and botocore's service model.

One rule: nothing here is written down by us; a new release of an SDK brings its new fields and variants along.
"""

from functools import lru_cache

import pydantic
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from anthropic.types.beta.message_create_params import MessageCreateParamsNonStreaming as AnthropicRequest
from botocore.model import Shape
from google.genai import types as genai_types
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming as ChatRequest
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming as ResponsesRequest

from gatewright.ir.blocks import DialectName
from gatewright.jsontypes import JsonObject
from tests.laws import bedrock_oracle

TYPES: dict[tuple[DialectName, str], object] = {
    ("openai_chat", "request"): ChatRequest,
    ("openai_chat", "answer"): ChatCompletion,
    ("openai_chat", "stream"): ChatCompletionChunk,
    ("openai_responses", "request"): ResponsesRequest,
    ("openai_responses", "answer"): Response,
    ("openai_responses", "stream"): ResponseStreamEvent,
    ("anthropic", "request"): AnthropicRequest,
    ("anthropic", "answer"): BetaMessage,
    ("anthropic", "stream"): BetaRawMessageStreamEvent,
    ("gemini", "answer"): genai_types.GenerateContentResponse,
}
GEMINI_REQUEST: dict[str, object] = {
    "contents": list[genai_types.Content],
    "systemInstruction": genai_types.Content,
    "tools": list[genai_types.Tool],
    "toolConfig": genai_types.ToolConfig,
    "safetySettings": list[genai_types.SafetySetting],
    "generationConfig": genai_types.GenerationConfig,
    "cachedContent": str,
    "labels": dict[str, str],
    "serviceTier": str,
    "store": bool,
}
"""The SDK has no type for what it sends: these are its parts."""
SHAPES = {
    "request": ("Converse", "input_shape"),
    "answer": ("Converse", "output_shape"),
    "stream": ("ConverseStream", "output_shape"),
}


@lru_cache(maxsize=32)
def schema_of(dialect: DialectName, side: str) -> JsonObject:
    """The JSON schema of a `request`, an `answer` or one event of a `stream`; Gemini's events are answers."""
    if dialect == "bedrock_converse":
        operation, of = SHAPES[side]
        return {"$shape": getattr(bedrock_oracle.operation(operation), of)}
    if dialect == "gemini" and side == "request":
        parts = {key: pydantic.TypeAdapter(kind).json_schema(by_alias=True) for key, kind in GEMINI_REQUEST.items()}
        found: JsonObject = {}
        for part in parts.values():
            found.update(part.pop("$defs", {}))
        return {"type": "object", "properties": parts, "required": ["contents"], "$defs": found}
    kind = TYPES[dialect, "answer" if dialect == "gemini" else side]
    return pydantic.TypeAdapter(kind).json_schema(by_alias=True)


def of_shape(shape: Shape) -> JsonObject:
    """One level of botocore's model as a JSON schema; its members are given as `$shape` and opened when they are visited."""
    if getattr(shape, "is_document_type", False):
        return {"type": "object"}
    match shape.type_name:
        case "structure":
            members = {key: {"$shape": member} for key, member in shape.members.items() if key != "modelId"}
            if getattr(shape, "is_tagged_union", False) or getattr(shape, "is_eventstream", False):
                return {
                    "anyOf": [{"type": "object", "properties": {key: one}, "required": [key]} for key, one in members.items()],
                    "title": shape.name,
                }
            required = [key for key in shape.required_members if key != "modelId"]
            return {"type": "object", "properties": members, "required": required, "title": shape.name}
        case "list":
            return {"type": "array", "items": {"$shape": shape.member}}
        case "map":
            return {"type": "object", "additionalProperties": {"$shape": shape.value}}
        case "string":
            return {"enum": list(shape.enum)} if shape.enum else {"type": "string"}
        case "blob":
            return {"type": "string", "format": "base64"}
        case "integer" | "long":
            return {"type": "integer"}
        case "boolean":
            return {"type": "boolean"}
        case _:
            return {"type": "number"}
