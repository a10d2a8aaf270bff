"""Paths: the model and the method are in the URL, not in the body.

One rule: the model is all that stands between `/model/` and the last segment; it may hold colons and slashes (an inference
profile's ARN), which are percent-encoded on the way out.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

import re
from urllib.parse import quote

import msgspec

from gatewright.errors import Malformed, refuse
from gatewright.wire.http import Call

_PATH = re.compile(r"^/model/(?P<model>.+)/converse(?P<stream>-stream)?$")


class Peeked(msgspec.Struct):
    """Says that a body is one JSON object, without building it, and keeps where it may say how long the answer may be."""

    inferenceConfig: msgspec.Raw = msgspec.Raw()  # noqa: N815 - the API's own name


class _Config(msgspec.Struct):
    maxTokens: object = None  # noqa: N815 - as above


_checker = msgspec.json.Decoder(Peeked)
_config = msgspec.json.Decoder(_Config)


def asked_output(peeked: Peeked) -> int:
    """Tokens; 0: it does not say."""
    try:
        most = _config.decode(peeked.inferenceConfig or b"{}").maxTokens
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    return most if isinstance(most, int) else 0


def read_path(path: str) -> tuple[str, bool]:
    """Model and whether the method streams. Raises Refused for another path."""
    found = _PATH.match(path)
    if found is None:
        raise refuse("not_found", f"no such operation: {path} (converse and converse-stream are served)")
    return found["model"], found["stream"] is not None


def check_body(body: bytes) -> Peeked:
    """Raises Malformed when the body is not one JSON object."""
    try:
        return _checker.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("", "a JSON object", str(error)) from None


def upstream_path(model: str, *, stream: bool) -> str:
    """Under the provider's base URL."""
    return f"/model/{quote(model, safe='-_.~')}/{'converse-stream' if stream else 'converse'}"


def passing_path(call: Call, model: str) -> str:
    """For bytes that pass: the client's own method, the target's model."""
    return upstream_path(model, stream=read_path(call.path)[1])
