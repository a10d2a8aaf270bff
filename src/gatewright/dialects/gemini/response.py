"""Whole answers → the neutral form.

One rule: the first candidate is the answer, further ones are `others`; what a candidate tells beside its content stands in the
response's extras under its own path (`candidates[0].safetyRatings`).
https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from datetime import datetime

import msgspec

from gatewright.dialects.gemini.errors import problem_of
from gatewright.dialects.gemini.finish import blocked, parse_finish, take_finish
from gatewright.dialects.gemini.grounding import parse_citations, parse_logprobs
from gatewright.dialects.gemini.parts import parse_part
from gatewright.dialects.gemini.proto import Proto, dotted
from gatewright.dialects.gemini.usage import parse_usage
from gatewright.errors import Malformed, Problem, UpstreamFailed
from gatewright.ir.blocks import Block, Text, ToolCall
from gatewright.ir.request import Asked
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import BadJson, decode_lenient, kind

CANDIDATE = "candidates[0]"
CONTENT = "candidates[0].content"

replace = msgspec.structs.replace


def failed(message: str) -> UpstreamFailed:
    return UpstreamFailed(Problem(kind="upstream", message=message))


def unix_seconds(create_time: JsonValue) -> int | None:
    """Of an RFC 3339 time; None when it is none."""
    try:
        return int(datetime.fromisoformat(create_time).timestamp()) if isinstance(create_time, str) else None
    except (ValueError, OverflowError):
        return None


def parse_response(body: bytes, asked: Asked) -> Response:
    try:
        document = decode_lenient(body)
    except BadJson as error:
        raise failed(f"the provider's answer is {error}") from None
    if isinstance(document, list) and len(document) == 1:
        document = document[0]
    if not isinstance(document, dict):
        raise failed(f"the provider's answer is {kind(document)}, not an object")
    if (problem := problem_of(document)) is not None:
        raise UpstreamFailed(problem)
    if not document.keys() & {"candidates", "promptFeedback", "usageMetadata", "responseId"}:
        raise failed("the provider's answer has neither candidates nor promptFeedback")
    try:
        return _response(Proto(document), asked)
    except Malformed as error:
        raise failed(f"the provider's answer: {error.problem.message}") from None


def _response(f: Proto, asked: Asked) -> Response:
    form = list(f.snakes)
    raw_usage = f.object("usageMetadata")
    model = f.text("modelVersion")
    if model is None:
        form.append("nomodel")
    id_ = f.text("responseId")
    if id_ == "":
        f.put_back("responseId", "")
    if model == "":
        f.put_back("modelVersion", "")
    create_time = f.peek("createTime")
    created = unix_seconds(create_time)
    if created is not None:
        f.take("createTime")
        form.append(f"createTime={create_time}")
    if "candidates" not in f:
        form.append("nocandidates")
    candidates = f.array("candidates")
    blocks: tuple[Block, ...] = ()
    extras: JsonObject = {}
    finish = blocked(f.peek("promptFeedback"))
    others: list[JsonObject] = []
    for other in candidates[1:]:
        if not isinstance(other, dict):
            raise Malformed("candidates", "objects", kind(other))
        others.append(other)
    if candidates:
        candidate = Proto(candidates[0], CANDIDATE)
        blocks, extras = parse_candidate(candidate, form, asked)
        called = any(isinstance(block, ToolCall) for block in blocks)
        finish = parse_finish(*take_finish(candidate), called=called)
        extras |= dotted(CANDIDATE, candidate.rest())
    return Response(
        origin="gemini",
        id=id_ or "",
        model=asked.model if model is None else model,
        blocks=blocks,
        finish=finish,
        usage=parse_usage(raw_usage),
        created=created,
        others=tuple(others),
        form=tuple(form),
        extras={**f.rest(), **extras},
    )


def parse_candidate(candidate: Proto, form: list[str], asked: Asked) -> tuple[tuple[Block, ...], JsonObject]:
    """The blocks of a candidate's content and the content's rest; form words are added to `form`."""
    content = candidate.proto("content")
    if content is None:
        form.append("nocontent")
        return (), {}
    if content.peek("role") == "model":
        content.take("role")
    elif "role" not in content:
        form.append("norole")
    blocks = [parse_part(part, f"{CONTENT}.parts[{i}]", asked.issuer) for i, part in enumerate(content.array("parts"))]
    texts = [i for i, block in enumerate(blocks) if isinstance(block, Text)]
    if texts:
        grounding = candidate.peek("groundingMetadata")
        last = blocks[texts[-1]]
        assert isinstance(last, Text)
        if citations := parse_citations(grounding, last.text):
            blocks[texts[-1]] = replace(last, citations=citations)
        first = blocks[texts[0]]
        assert isinstance(first, Text)
        if tokens := parse_logprobs(candidate.peek("logprobsResult")):
            candidate.take("logprobsResult")
            blocks[texts[0]] = replace(first, logprobs=tokens)
    return tuple(blocks), dotted(CONTENT, content.rest())
