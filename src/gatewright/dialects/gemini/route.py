"""Paths: the model and the method are in the URL, not in the body.

One rule: the model is all that stands between `/models/` and the last colon; it may hold slashes (`openai/gpt-5`).
https://ai.google.dev/api/generate-content#method:-models.generatecontent
"""

import re
from urllib.parse import quote, urlencode

import msgspec

from gatewright.errors import Malformed, refuse
from gatewright.wire.http import Call

_PATH = re.compile(r"^/(?:[^:]*?/)?models/(?P<model>.+):(?P<method>[A-Za-z]+)$")
_TUNED = re.compile(r"^/v1[a-z0-9]*/(?P<model>[A-Za-z]+/.+):(?P<method>[A-Za-z]+)$")
METHODS = {"generateContent": False, "streamGenerateContent": True, "countTokens": False}
"""Method → whether it streams. What is counted has the shape of what is generated."""


class Peeked(msgspec.Struct):
    """Says that a body is one JSON object, without building it, and keeps where it may say how long the answer may be."""

    generationConfig: msgspec.Raw = msgspec.Raw()  # noqa: N815 - the API's own name
    generation_config: msgspec.Raw = msgspec.Raw()
    """Google's own servers take both spellings."""


class _Config(msgspec.Struct):
    maxOutputTokens: object = None  # noqa: N815 - as above
    max_output_tokens: object = None
    candidateCount: object = None  # noqa: N815 - as above
    candidate_count: object = None


_checker = msgspec.json.Decoder(Peeked)
_config = msgspec.json.Decoder(_Config)


def asked_output(peeked: Peeked) -> int:
    """Tokens; 0: it does not say."""
    config = _config_of(peeked)
    most, other = config.maxOutputTokens, config.max_output_tokens
    if most is None:
        most = other
    elif isinstance(most, int) and isinstance(other, int):  # of both spellings nobody knows which one counts
        most = max(most, other) if min(most, other) >= 0 else 0
    return most * _answers(config) if isinstance(most, int) and most > 0 else 0


def asked_answers(peeked: Peeked) -> int:
    """At least 1."""
    return _answers(_config_of(peeked))


def _answers(config: _Config) -> int:
    count = config.candidateCount or config.candidate_count
    return count if isinstance(count, int) and count > 1 else 1


def _config_of(peeked: Peeked) -> _Config:
    """Empty where it cannot be read."""
    try:
        return _config.decode(peeked.generationConfig or peeked.generation_config or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Config()


def read_path(path: str) -> tuple[str, bool]:
    """Model and whether the method streams. Raises Refused for another path."""
    found = _PATH.match(path) or _TUNED.match(path)
    if found is None or found["method"] not in METHODS:
        raise refuse("not_found", f"no such method: {path} (generateContent, streamGenerateContent and countTokens are served)")
    return found["model"].removeprefix("models/"), METHODS[found["method"]]


def counts(path: str) -> bool:
    """Whether tokens are to be counted, not made."""
    return path.endswith(":countTokens")


def check_body(body: bytes) -> Peeked:
    try:
        return _checker.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("", "a JSON object", str(error)) from None


def upstream_path(model: str, *, stream: bool) -> str:
    """Under the provider's base URL. Streams are always asked for as server-sent events."""
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    return f"/v1beta/{_resource(model)}:{method}"


def passing_path(call: Call, model: str) -> str:
    """For bytes that pass: the client's own framing, so its own `alt`."""
    _, stream = read_path(call.path)
    query = {key: call.query[key] for key in ("alt", "$alt") if key in call.query}
    method = "streamGenerateContent" if stream else "generateContent"
    return f"/v1beta/{_resource(model)}:{method}" + (f"?{urlencode(query)}" if query else "")


def _resource(model: str) -> str:
    named = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    return quote(named, safe="/@._~-")


def wants_events(call: Call) -> bool:
    """Whether the client reads a stream as server-sent events; else it is one JSON array."""
    return call.query.get("alt") == "sse"
