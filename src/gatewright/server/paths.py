"""Which operation a path names: one normalisation, exact matches, `/v1` present or not, a provider pinned by the first segment.

Real clients disagree on paths: google-genai 3.x posts to `/v1/models/M:generateContent`, older ones to `/v1beta`; SDKs given a
base URL with or without `/v1` both have to work.
"""

from collections.abc import Container
from urllib.parse import unquote

import msgspec

from gatewright.exchange import Operation
from gatewright.ir.blocks import DialectName
from gatewright.pipeline.invariant_paths import PREFIX, ROOT, named


class Match(msgspec.Struct, frozen=True):
    operation: Operation
    dialect: DialectName
    """Whose words errors are told in; for `list_models` and unknown paths the server looks at the headers too."""
    path: str
    """Normalised, without the pin: what the dialect sees."""
    pin: str = ""
    params: tuple[str, ...] = ()


_EXACT: dict[tuple[str, str], tuple[Operation, DialectName]] = {
    ("POST", "/chat/completions"): ("generate", "openai_chat"),
    ("POST", "/responses"): ("generate", "openai_responses"),
    ("POST", "/responses/input_tokens"): ("count_tokens", "openai_responses"),
    ("POST", "/messages"): ("generate", "anthropic"),
    ("POST", "/messages/count_tokens"): ("count_tokens", "anthropic"),
    ("POST", "/explain"): ("explain", "openai_chat"),
    ("GET", "/models"): ("list_models", "openai_chat"),
    ("GET", "/usage"): ("usage", "openai_chat"),
    ("GET", "/health/targets"): ("target_health", "openai_chat"),
}
"""Without `/v1`. Two-segment names beat the catch-all."""

_GEMINI_ACTIONS: dict[str, Operation] = {
    "generateContent": "generate",
    "streamGenerateContent": "generate",
    "countTokens": "count_tokens",
}

_BEDROCK_ACTIONS: dict[str, Operation] = {
    "converse": "generate",
    "converse-stream": "generate",
    "invoke": "invoke",
    "invoke-with-response-stream": "invoke",
    "count-tokens": "count_input",
}
"""After `/model/{id}/`. An id may be an ARN, with slashes in it."""
_BEDROCK_PREFIX = "/bedrock/model/"
"""Where clients of several APIs put Bedrock's; a provider of that name comes first."""

_PLAIN: dict[str, Operation] = {"/": "health", "/health": "health", "/ready": "ready"}
_ADMIN: dict[tuple[str, str], Operation] = {("POST", "/admin/v1/reload"): "reload", ("GET", "/admin/v1/usage"): "usage"}
"""Exact, and before providers' names: one called `admin` does not get in front of it."""
_METRICS = "/metrics"
_ADMIN_PREFIX = "/admin/v1/"
_VERSIONS = ("v1beta", "v1alpha", "v1")
_FORWARDED_METHODS = ("GET", "POST", "DELETE", "PUT", "PATCH")


def normalise(target: bytes) -> tuple[str, str]:
    """(path, query) of a request target. The path is percent-decoded once; a second encoding stays text and matches nothing."""
    raw_path, _, raw_query = target.partition(b"?")
    path = raw_path.decode("latin-1")
    if "%" in path:
        path = unquote(path)
    return path, raw_query.decode("latin-1")


def match(method: str, path: str, providers: Container[str]) -> Match:
    """What `method path` asks for. Unknown paths give operation `unknown` in the dialect they look most like."""
    if path in _PLAIN:
        known = method in ("GET", "HEAD")
        return Match(_PLAIN[path] if known else "unknown", "openai_chat", path)
    if path == _METRICS:
        return Match("metrics" if method in ("GET", "HEAD") else "unknown", "openai_chat", path)
    if (method, path) in _ADMIN:
        return Match(_ADMIN[method, path], "openai_chat", path)
    if path.startswith(_ADMIN_PREFIX):
        return Match("unknown" if _climbs(path) else "admin", "openai_chat", path)
    if path.startswith(PREFIX) and ROOT in providers and not _climbs(path):
        asked = named(method, path)
        return Match(asked.operation, asked.dialect, asked.path, asked.pin, asked.params)
    head, _, rest = path[1:].partition("/")
    pin = ""
    if head not in _VERSIONS and head in providers and rest:
        pin, path = head, "/" + rest
        head, _, rest = path[1:].partition("/")
    if path.startswith(_BEDROCK_PREFIX):
        path = path.removeprefix("/bedrock")
        head, _, rest = path[1:].partition("/")
    if head == "model" and rest:
        return _bedrock(method, path, rest, pin)
    if head == "upload":
        return _upload(method, path, rest, pin)
    version = head if head in _VERSIONS else ""
    tail = "/" + rest if version else path
    gemini = version in ("v1beta", "v1alpha") or (tail.startswith("/models/") and ":" in tail)
    dialect_of_path: DialectName = "gemini" if gemini else "anthropic" if tail.startswith("/messages") else "openai_chat"
    if _climbs(path):
        return Match("unknown", dialect_of_path, path, pin)
    if version in ("v1beta", "v1alpha") or (tail.startswith("/models/") and ":" in tail and method == "POST"):
        return _gemini(method, path, tail, pin)
    exact = _EXACT.get((method, tail))
    if exact is not None:
        operation, dialect = exact
        return Match(operation, dialect, path, pin)
    if tail.startswith("/models/") and method == "GET":
        return Match("get_model", "openai_chat", path, pin, (tail.removeprefix("/models/"),))
    if tail == "/responses" or tail.startswith("/responses/"):
        return _responses(method, path, tail, pin)
    if method not in _FORWARDED_METHODS:
        return Match("unknown", dialect_of_path, path, pin)
    if (version and rest) or _forwardable(tail):
        return Match("forward", dialect_of_path, path, pin)
    return Match("unknown", dialect_of_path, path, pin)


FORWARDED_HEADS = frozenset(
    (
        "embeddings",
        "images",
        "audio",
        "moderations",
        "rerank",
        "completions",
        "files",
        "batches",
        "uploads",
        "vector_stores",
        "videos",
    )
)


def _climbs(path: str) -> bool:
    """Whether a path leaves, or may be read to leave, the place it names: the provider must not see another than we checked."""
    return any(segment in ("", ".", "..") for segment in path.rstrip("/").split("/")[1:]) or "\\" in path


def _forwardable(tail: str) -> bool:
    """Without `/v1` only the well-known heads are forwarded: a typo must not reach a provider."""
    return tail[1:].split("/", 1)[0] in FORWARDED_HEADS


def _gemini(method: str, path: str, tail: str, pin: str) -> Match:
    if tail == "/models" and method == "GET":
        return Match("list_models", "gemini", path, pin)
    if tail.startswith("/models/"):
        model, _, action = tail.removeprefix("/models/").rpartition(":")
        if method == "GET":
            return Match("get_model", "gemini", path, pin, (tail.removeprefix("/models/"),))
        if model and method == "POST":
            return Match(_GEMINI_ACTIONS.get(action, "forward"), "gemini", path, pin, (model, action))
        return Match("unknown", "gemini", path, pin)
    return Match("forward" if method in _FORWARDED_METHODS else "unknown", "gemini", path, pin)


def _upload(method: str, path: str, rest: str, pin: str) -> Match:
    """Google's: `/upload/v1beta/files`."""
    version, _, below = rest.partition("/")
    known = version in _VERSIONS and bool(below) and method in _FORWARDED_METHODS and not _climbs(path)
    return Match("forward" if known else "unknown", "gemini", path, pin)


def _bedrock(method: str, path: str, rest: str, pin: str) -> Match:
    model, _, action = rest.rpartition("/")
    operation = _BEDROCK_ACTIONS.get(action)
    if _climbs(path) or not model or operation is None or method != "POST":
        return Match("unknown", "bedrock_converse", path, pin)
    return Match(operation, "bedrock_converse", path, pin, (model, action))


def _responses(method: str, path: str, tail: str, pin: str) -> Match:
    parts = tail[1:].split("/")
    dialect: DialectName = "openai_responses"
    match (method, parts):
        case ("GET", [_, response_id]) if response_id:
            return Match("get_response", dialect, path, pin, (response_id,))
        case ("DELETE", [_, response_id]) if response_id:
            return Match("delete_response", dialect, path, pin, (response_id,))
        case ("GET", [_, response_id, "input_items"]):
            return Match("list_input_items", dialect, path, pin, (response_id,))
        case ("POST", [_, response_id, "cancel"]):
            return Match("cancel_response", dialect, path, pin, (response_id,))
        case ("POST", [_, action]) if action:
            return Match("forward", dialect, path, pin)
        case _:
            return Match("unknown", dialect, path, pin)
