"""Claude as Bedrock serves it by InvokeModel: Anthropic's Messages in another wrapping, refused where Bedrock refuses it.

One rule: the wrapping is judged here, what is in it by the Anthropic upstream.
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
"""

import base64
import json
import re
from urllib.parse import unquote

from gatewright.wire.eventstream import CONTENT_TYPE, encode
from gatewright.wire.sse import SseParser
from tests.upstreams import anthropic
from tests.upstreams.answers import KEYS, Answer, Ids, Received, Refused, dump, whole
from tests.upstreams.bedrock_rules import refuse

PATH = re.compile(r"/model/(?P<model>[^/]+)/(?P<action>invoke|invoke-with-response-stream|count-tokens)")
NAME = re.compile(r"anthropic\.(claude-[a-z]+-\d(?:-\d{1,2})?)(?:-\d{8})?(?:-v\d:\d)?$")
"""Bedrock's id of a model → Anthropic's."""
KNOWN_FLAGS = frozenset({"interleaved-thinking-2025-05-14", "context-1m-2025-08-07", "computer-use-2025-01-24"})
EXCEPTIONS = {"overloaded_error": "serviceUnavailableException", "rate_limit_error": "throttlingException"}
NAMES = {400: "ValidationException", 403: "AccessDeniedException", 404: "ResourceNotFoundException", 429: "ThrottlingException"}


def answer(request: Received, ids: Ids) -> Answer:
    found = PATH.fullmatch(request.path)
    if found is None or ":" in found["model"]:
        raise refuse("Unable to determine service/operation name to be authorized", "AccessDeniedException", 403)
    if request.headers.get("authorization") != f"Bearer {KEYS['bedrock']}":
        raise refuse("The security token included in the request is invalid.", "UnrecognizedClientException", 403)
    model, action = unquote(found["model"]), found["action"]
    if "nonexistent" in model:
        raise refuse(
            f"Could not resolve the foundation model from the model identifier: {model}", "ResourceNotFoundException", 404
        )
    if action == "count-tokens":
        return _count(request, model, ids)
    inner = _inner(request, request.body, model, stream=action != "invoke")
    try:
        told = anthropic.create(inner, ids)
    except Refused as refused:
        raise _translated(refused) from None
    return told if action == "invoke" else _framed(told)


def _inner(request: Received, body: bytes, model: str, *, stream: bool) -> Received:
    """The call as Anthropic would get it. Raises Refused for a wrapping that Bedrock does not take."""
    asked = json.loads(body)
    for key in ("model", "stream"):
        if key in asked:
            raise refuse(f"{key}: Extra inputs are not permitted")
    if asked.pop("anthropic_version", None) != "bedrock-2023-05-31":
        raise refuse("anthropic_version: Field required")
    if {"anthropic-version", "anthropic-beta"} & request.headers.keys():
        raise refuse("headers of another host's API")
    flags = asked.pop("anthropic_beta", [])
    if set(flags) - KNOWN_FLAGS:
        raise refuse("The model returned the following errors: invalid beta flag")
    found = NAME.search(model)
    if found is None:
        raise refuse("The provided model identifier is invalid.")
    headers = {"x-api-key": KEYS["anthropic"], "anthropic-version": "2023-06-01", "content-type": "application/json"}
    if flags:
        headers["anthropic-beta"] = ",".join(flags)
    document = {**asked, "model": found[1], **({"stream": True} if stream else {})}
    return Received(method="POST", path="/v1/messages", query="", headers=headers, body=dump(document).encode())


def _count(request: Received, model: str, ids: Ids) -> Answer:
    if not model.startswith("anthropic."):
        raise refuse("The provided model doesn't support counting tokens.")
    body = base64.b64decode(request.json["input"]["invokeModel"]["body"])
    inner = _inner(request, body, model, stream=False)
    asked = inner.json
    if "max_tokens" not in asked:
        raise refuse("max_tokens: Field required")
    bare = {key: value for key, value in asked.items() if key != "max_tokens"}
    told = anthropic.count(Received(method="POST", path="", query="", headers=inner.headers, body=dump(bare).encode()), ids)
    return whole({"inputTokens": json.loads(told.body)["input_tokens"]})


def _translated(refused: Refused) -> Refused:
    told = json.loads(refused.answer.body)
    status = {529: 503}.get(refused.answer.status, refused.answer.status)
    name = NAMES.get(status, "ServiceUnavailableException" if status == 503 else "InternalServerException")
    kept = {key: value for key, value in refused.answer.headers if key == "retry-after"}
    return Refused(
        status, {"message": told["error"]["message"]}, {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/", **kept}
    )


def _framed(told: Answer) -> Answer:
    parser = SseParser()
    frames = [_frame(name, data) for piece in told.chunks or () for name, data in parser.feed(piece) if name != b"ping"]
    headers = (("content-type", CONTENT_TYPE), ("x-amzn-bedrock-content-type", "application/json"))
    return Answer(headers=headers, chunks=tuple(frames), cut=told.cut)


def _frame(name: bytes, data: bytes) -> bytes:
    if name == b"error":
        error = json.loads(data)["error"]
        kind = EXCEPTIONS.get(error["type"], "modelStreamErrorException")
        headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
        return encode(headers, dump({"message": error["message"]}).encode())
    headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return encode(headers, dump({"bytes": base64.b64encode(data).decode(), "p": "abcdefgh"}).encode())
