"""What the content blocks of a Messages request must be.

One rule: refused with Anthropic's own words, whose paths are dotted.
https://platform.claude.com/docs/en/api/messages
"""

import base64
import binascii
import re
from collections.abc import Collection

from tests.upstreams import seals
from tests.upstreams.answers import Refused

BLOCK = {
    "text": {"type", "text", "cache_control", "citations"},
    "image": {"type", "source", "cache_control"},
    "document": {"type", "source", "cache_control", "citations", "title", "context"},
    "tool_use": {"type", "id", "name", "input", "cache_control", "caller"},
    "tool_result": {"type", "tool_use_id", "content", "is_error", "cache_control"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
}
HOSTED = ("server_tool_use", "search_result", "container_upload", "tool_reference", "mcp_tool_use", "compaction", "tool_addition")
"""Made by the API itself, as is all that ends in `_tool_result`; taken back as it was."""
IDENTITY = re.compile(r"[a-zA-Z0-9_-]{1,64}")
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
SEAL = b"\x12\xb1\x02\x0a"


def refuse(
    message: str, kind: str = "invalid_request_error", status: int = 400, headers: dict | None = None, details: dict | None = None
) -> Refused:
    identity = "req_011" + "C" * 21
    error = {"type": kind, "message": message} | ({"details": details} if details else {})
    document = {"type": "error", "error": error, "request_id": identity}
    return Refused(
        status,
        document,
        {"request-id": identity, "x-should-retry": "true" if status in {429, 500, 529} else "false"} | (headers or {}),
    )


def only(given: dict, allowed: Collection[str], at: str = "") -> None:
    for key in given:
        if key not in allowed:
            raise refuse(f"{at}.{key}: Extra inputs are not permitted" if at else f"{key}: Extra inputs are not permitted")


def need(given: dict, key: str, at: str = "") -> object:
    if key not in given or given[key] is None:
        raise refuse(f"{at}.{key}: Field required" if at else f"{key}: Field required")
    return given[key]


def content(message: dict, role: str, at: str, *, last: bool) -> list[dict]:
    given = need(message, "content", at)
    if isinstance(given, str):
        given = [{"type": "text", "text": given}] if given else []
    if not isinstance(given, list):
        raise refuse(f"{at}.content: Input should be a valid array")
    if not given and not (last and role == "assistant"):
        raise refuse(f"{at}: all messages must have non-empty content except for the optional final assistant message")
    for index, block in enumerate(given):
        check(block, role, f"{at}.content.{index}")
    return given


def check(block: dict, role: str, at: str) -> None:
    kind = need(block, "type", at)
    if kind in HOSTED or kind.endswith("_tool_result"):
        return
    if kind not in BLOCK:
        raise refuse(
            f"{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {', '.join(map(repr, BLOCK))}"
        )
    only(block, BLOCK[kind], f"{at}.{kind}")
    if kind in {"tool_use", "thinking", "redacted_thinking"} and role != "assistant":
        raise refuse(f"{at}: `{kind}` blocks can only be in `assistant` messages")
    if kind in {"tool_result", "image", "document"} and role == "assistant":
        raise refuse(f"{at}: `{kind}` blocks can only be in `user` messages")
    match kind:
        case "text":
            if not str(need(block, "text", f"{at}.text")):
                raise refuse("messages: text content blocks must be non-empty")
            if role != "assistant" and not block["text"].strip():
                raise refuse("messages: text content blocks must contain non-whitespace text")
        case "image" | "document":
            source(block, f"{at}.{kind}.source")
        case "tool_use":
            need(block, "id", f"{at}.tool_use")
            need(block, "name", f"{at}.tool_use")
            if not isinstance(need(block, "input", f"{at}.tool_use"), dict):
                raise refuse(f"{at}.tool_use.input: Input should be a valid dictionary")
        case "tool_result":
            if not IDENTITY.fullmatch(str(need(block, "tool_use_id", f"{at}.tool_result"))):
                raise refuse(f"{at}.tool_result.tool_use_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
            if isinstance(block.get("content"), list):
                for index, part in enumerate(block["content"]):
                    if part.get("type") not in {"text", "image", "document", "search_result", "tool_reference"}:
                        raise refuse(
                            f"{at}.tool_result.content.{index}: Input tag '{part.get('type')}' found using 'type' does not match any of the expected tags"
                        )
                    check(part, "user", f"{at}.tool_result.content.{index}")
        case "thinking":
            need(block, "thinking", f"{at}.thinking")
            if not seals.genuine("anthropic", block["thinking"], str(need(block, "signature", f"{at}.thinking")), prefix=SEAL):
                raise refuse(f"{at}: Invalid `signature` in `thinking` block")
        case "redacted_thinking":
            if not seals.genuine("anthropic redacted", "", str(need(block, "data", f"{at}.redacted_thinking")), prefix=SEAL):
                raise refuse(f"{at}: Invalid `data` in `redacted_thinking` block")


def source(block: dict, at: str) -> None:
    given = need(block, "source", at.removesuffix(".source"))
    kind = need(given, "type", at)
    image = block["type"] == "image"
    if kind == "base64":
        only(given, {"type", "media_type", "data"}, f"{at}.base64")
        if need(given, "media_type", f"{at}.base64") not in (IMAGES if image else ("application/pdf",)):
            words = "'image/jpeg', 'image/png', 'image/gif' or 'image/webp'" if image else "'application/pdf'"
            raise refuse(f"{at}.base64.media_type: Input should be {words}")
        try:
            base64.b64decode(str(need(given, "data", f"{at}.base64")), validate=True)
        except binascii.Error:
            raise refuse(f"{at}.base64: invalid base64 data") from None
    elif kind == "url":
        only(given, {"type", "url"}, f"{at}.url")
        if not str(need(given, "url", f"{at}.url")).startswith("https://"):
            raise refuse(f"{at}.url: Only HTTPS URLs are supported.")
    elif kind == "text" and not image:
        only(given, {"type", "media_type", "data"}, f"{at}.text")
    elif kind not in {"file", "content"}:
        raise refuse(
            f"{at}: Input tag '{kind}' found using 'type' does not match any of the expected tags: 'base64', 'url', 'file'"
        )


def result(block: dict) -> str:
    given = block.get("content") or ""
    return given if isinstance(given, str) else "\n".join(part["text"] for part in given if part["type"] == "text")


def seen(block: dict) -> str:
    given = block["source"]
    return (
        given["url"]
        if given["type"] == "url"
        else f"{given.get('media_type')}:{len(base64.b64decode(given.get('data', ''))) if given['type'] == 'base64' else 0}"
    )
