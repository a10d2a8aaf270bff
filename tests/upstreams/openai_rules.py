"""What OpenAI's two APIs refuse alike: credentials, unknown parameters, long ids, lax strict schemas, unknown models.

One rule: the documents are the real ones (recorded in November 2026 or quoted in public reports), down to `param` and `code`.
https://platform.openai.com/docs/guides/error-codes
"""

import json
import re
from collections.abc import Collection, Mapping

from tests.upstreams.answers import KEYS, Ids, Received, Refused
from tests.upstreams.script import Fault, Tokens

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
REASONING = re.compile(r"gpt-5(?!.*chat)|o\d")
"""Models that reason."""
UNTUNED = re.compile(r"gpt-5(-(?!chat)|$)|o\d")
"""Of these, the ones that always reason, and so take no sampling settings (gpt-5.1 and later may not reason)."""
KNOWN = re.compile(r"gpt-(?!0)|o\d|deepseek|chatgpt")
LIMITS = {
    "x-ratelimit-limit-requests": "500",
    "x-ratelimit-limit-tokens": "200000",
    "x-ratelimit-remaining-requests": "499",
    "x-ratelimit-remaining-tokens": "199958",
    "x-ratelimit-reset-requests": "120ms",
    "x-ratelimit-reset-tokens": "12ms",
}


def refuse(message: str, param: str | None = None, code: str | None = "invalid_value", status: int = 400) -> Refused:
    kind = "invalid_request_error"
    return Refused(
        status, {"error": {"message": message, "type": kind, "param": param, "code": code}}, {"x-request-id": "req_" + "e" * 32}
    )


def document(request: Received) -> dict:
    """The body of a request whose credential and content type are right."""
    given = request.headers.get("authorization", "")
    if not given:
        raise refuse(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth.",
            None,
            None,
            401,
        )
    if given != f"Bearer {KEYS['openai']}":
        shown = f"{given[7:15]}***"
        raise refuse(
            f"Incorrect API key provided: {shown}. You can find your API key at https://platform.openai.com/account/api-keys.",
            None,
            "invalid_api_key",
            401,
        )
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise refuse(
            "Unsupported content type. This API method only accepts 'application/json' requests.",
            None,
            "unsupported_content_type",
        )
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise refuse("We could not parse the JSON body of your request.", None, None)
    return body


def only(given: Mapping[str, object], allowed: Collection[str], at: str = "") -> None:
    for key in given:
        if key not in allowed:
            path = f"{at}.{key}" if at else key
            raise refuse(f"Unknown parameter: '{path}'.", path, "unknown_parameter")


def need(given: Mapping[str, object], key: str, at: str = "") -> object:
    path = f"{at}.{key}" if at else key
    if given.get(key) is None:
        raise refuse(f"Missing required parameter: '{path}'.", path, "missing_required_parameter")
    return given[key]


def typed(value: object, kind: type | tuple[type, ...], at: str, word: str) -> None:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise refuse(f"Invalid type for '{at}': expected {word}, but got {type(value).__name__} instead.", at, "invalid_type")


def short(value: str, at: str, limit: int) -> None:
    if len(value) > limit:
        message = f"Invalid '{at}': string too long. Expected a string with maximum length {limit}, but got a string with length {len(value)} instead."
        raise refuse(message, at, "string_above_max_length")


def within(body: Mapping[str, object], key: str, low: float, high: float) -> None:
    value = body.get(key)
    if value is None:
        return
    typed(value, (int, float), key, "a decimal")
    if not low <= value <= high:
        word = "minimum" if value < low else "maximum"
        bound = f"<= {high}" if word == "maximum" else f">= {low}"
        raise refuse(
            f"Invalid '{key}': decimal {'above' if word == 'maximum' else 'below'} {word} value. Expected a value {bound}, but got {value} instead.",
            key,
            f"decimal_{'above_max' if word == 'maximum' else 'below_min'}_value",
        )


def name(value: object, at: str) -> None:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise refuse(
            f"Invalid '{at}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            at,
            "invalid_value",
        )


def strict_schema(schema: object, what: str, at: str, code: str | None, context: tuple[str, ...] = ()) -> None:
    """Every object is closed and requires all it has. `what`: "function 'f'" or "response_format 'r'"."""
    where = f"In context=({', '.join(repr(c) for c in context)}{',' if len(context) == 1 else ''})"
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties") is not False:
            raise refuse(
                f"Invalid schema for {what}: {where}, 'additionalProperties' is required to be supplied and to be false.",
                at,
                code,
            )
        keys = set(schema.get("properties", {}))
        missing = sorted(keys - set(schema.get("required", ())))
        if missing:
            raise refuse(
                f"Invalid schema for {what}: {where}, 'required' is required to be supplied and to be an array including every key in properties."
                f" Missing '{missing[0]}'.",
                at,
                code,
            )
    for key in ("oneOf", "allOf", "not"):
        if key in schema:
            raise refuse(f"Invalid schema for {what}: {where}, '{key}' is not permitted.", at, code)
    for key, part in schema.get("properties", {}).items():
        strict_schema(part, what, at, code, (*context, "properties", key))
    for key, part in schema.get("$defs", {}).items():
        strict_schema(part, what, at, code, (*context, "$defs", key))
    for index, part in enumerate(schema.get("anyOf", ())):
        strict_schema(part, what, at, code, (*context, "anyOf", str(index)))
    if "items" in schema:
        strict_schema(schema["items"], what, at, code, (*context, "items"))


def object_schema(schema: object, function: str, at: str) -> None:
    """A function's parameters are an object, or absent."""
    if schema is None:
        return
    kind = schema.get("type") if isinstance(schema, dict) else None
    if kind != "object":
        raise refuse(
            f"Invalid schema for function '{function}': schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'.",
            at,
            "invalid_function_parameters",
        )


def image(url: object, at: str) -> str:
    """What the picture was: its URL, or `type:bytes`."""
    if not isinstance(url, str):
        raise refuse(f"Invalid type for '{at}': expected an image URL, but got {type(url).__name__} instead.", at, "invalid_type")
    return seen(url, at, ("image/png", "image/jpeg", "image/gif", "image/webp"))


def seen(url: str, at: str, kinds: Collection[str]) -> str:
    if url.startswith(("http://", "https://")):
        return url
    found = re.fullmatch(r"data:([a-z]+/[a-z0-9.+-]+);base64,([A-Za-z0-9+/]+={0,2})", url)
    if not found:
        raise refuse(
            f"Invalid '{at}'. Expected a valid URL or a base64-encoded data URL, but got a value that is neither.",
            at,
            "invalid_value",
        )
    if found[1] not in kinds:
        words = "['png', 'jpeg', 'gif', 'webp']"
        raise refuse(
            f"You uploaded an unsupported image. Please make sure your image has of one the following formats: {words}.",
            None,
            "invalid_image_format",
        )
    return f"{found[1]}:{len(found[2]) * 3 // 4 - found[2].count('=')}"


def fault(chosen: Fault | None) -> None:
    """Raise what the plan wants before an answer begins."""
    if chosen is None or chosen.kind in {"inside", "cut"}:
        return
    if chosen.kind == "quota":
        text = "You exceeded your current quota, please check your plan and billing details."
        raise Refused(
            429, {"error": {"message": text, "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}}
        )
    status = int(chosen.kind)
    kind, code, text = {
        401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-upstr***."),
        403: ("invalid_request_error", None, "You are not allowed to sample from this model"),
        429: (
            "requests",
            "rate_limit_exceeded",
            "Rate limit reached for gpt-5-mini on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.",
        ),
        503: ("server_error", None, "The engine is currently overloaded, please try again later"),
        529: ("server_error", None, "The engine is currently overloaded, please try again later"),
    }.get(status, ("server_error", None, "The server had an error while processing your request. Sorry about that!"))
    headers = {"x-request-id": "req_" + "f" * 32} | (
        LIMITS | {"x-ratelimit-remaining-requests": "0", "retry-after": "20"} if status == 429 else {}
    )
    raise Refused(
        503 if status == 529 else status, {"error": {"message": text, "type": kind, "param": None, "code": code}}, headers
    )


def headers(ids: Ids) -> dict[str, str]:
    return LIMITS | {"x-request-id": ids.hex("req_", 32), "openai-processing-ms": "258", "openai-version": "2020-10-01"}


def reading(tokens: Tokens) -> tuple[int, int]:
    """Input and output tokens as OpenAI counts them: cached ones are part of the input, reasoning part of the output."""
    return tokens.fresh + tokens.cached + tokens.written, tokens.output + tokens.reasoning
