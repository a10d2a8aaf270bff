"""The neutral form → whole answers for Gemini clients.

One rule: at home the document comes back as it was; abroad one candidate, with finish reason and usage in Gemini's words.
https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from gatewright.dialects.gemini.finish import render_finish
from gatewright.dialects.gemini.grounding import render_grounding, render_logprobs
from gatewright.dialects.gemini.proto import Speller
from gatewright.dialects.gemini.render_parts import PartWriter
from gatewright.dialects.gemini.response import CANDIDATE, CONTENT
from gatewright.dialects.gemini.usage import render_usage
from gatewright.ir.blocks import Block, Citation, Text, TokenLogprob
from gatewright.ir.loss import Losses
from gatewright.ir.request import Rendered
from gatewright.ir.response import Finish, Response, Usage, told_in_usage
from gatewright.jsontypes import JsonObject, JsonValue


def render_response(response: Response) -> Rendered:
    losses = Losses("gemini")
    home = response.origin == "gemini"
    writer = PartWriter(losses, response.origin, issuer=None)
    extras = losses.extras(response, origin=response.origin, skip=told_in_usage(response))
    top, candidate, content_extras = split_extras(extras)
    parts: list[JsonValue] = [part for block in response.blocks for part in writer.parts(block)]
    body: JsonObject = {}
    if (
        not (home and (without_candidates(response.finish, top, parts) or "nocandidates" in response.form))
        and "candidates" not in top
    ):
        first: JsonObject = {} if home else {"index": 0}
        content: JsonObject = {"parts": parts} if parts else {}
        if not {"norole", "nocontent"} & set(response.form):
            content["role"] = "model"
        content |= content_extras
        if content or not home:
            first["content"] = content
        first |= render_finish(response.finish, home=home)
        if response.finish is not None:
            finish_losses(response.finish, losses, home=home)
        first |= annotations(response.blocks, losses, home=home)
        first |= candidate
        if first or "nocandidates" not in response.form:
            body["candidates"] = [first, *(response.others if home else ())]
    if not home:
        for i, other in enumerate(response.others):
            losses.dropped(f"choices[{i + 1}]", "only the first answer can be shown across dialects", other)
    body |= envelope(response.id, response.model, response.created, response.form, home=home)
    if response.usage is not None:
        body["usageMetadata"] = render_usage(response.usage, home=home)
        usage_losses(response.usage, losses, home=home)
    body |= top
    return Rendered(body=body, losses=losses.done())


def without_candidates(finish: Finish | None, top: JsonObject, parts: list[JsonValue]) -> bool:
    """A refused prompt has no candidates."""
    return not parts and "promptFeedback" in top and (finish is None or finish.raw is None)


def split_extras(extras: JsonObject) -> tuple[JsonObject, JsonObject, JsonObject]:
    """Extras of the document, of its first candidate, and of that candidate's content."""
    top: JsonObject = {}
    candidate: JsonObject = {}
    content: JsonObject = {}
    for key, value in extras.items():
        if key.startswith(CONTENT + "."):
            content[key[len(CONTENT) + 1 :]] = value
        elif key.startswith(CANDIDATE + "."):
            candidate[key[len(CANDIDATE) + 1 :]] = value
        else:
            top[key] = value
    return top, candidate, content


def envelope(id_: str, model: str, created: int | None, form: tuple[str, ...], *, home: bool) -> JsonObject:
    """Id, model and time, as every chunk of a stream repeats them too."""
    spell = Speller(form)
    out: JsonObject = {}
    if model and "nomodel" not in form:
        out[spell("modelVersion")] = model
    if id_:
        out[spell("responseId")] = id_
    time = next((word[11:] for word in form if word.startswith("createTime=")), None) if home else rfc3339(created)
    if time is not None:
        out[spell("createTime")] = time
    return out


def rfc3339(created: int | None) -> str | None:
    if created is None:
        return None
    try:
        return datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return None


def annotations(blocks: Iterable[Block], losses: Losses, *, home: bool) -> JsonObject:
    """What a candidate tells of its texts: log probabilities and grounding."""
    tokens: list[TokenLogprob] = []
    citations: list[Citation] = []
    text = ""
    for block in blocks:
        if isinstance(block, Text):
            tokens += block.logprobs
            citations += (moved(citation, len(text)) for citation in block.citations)
            text += block.text
    out: JsonObject = {}
    if tokens:
        out["logprobsResult"] = render_logprobs(tokens)
        if not home:
            logprob_losses(tokens, losses)
    if citations and not home:
        citation_losses(citations, losses)
        if grounding := render_grounding(citations, text):
            out["groundingMetadata"] = grounding
    return out


def moved(citation: Citation, by: int) -> Citation:
    """`citation` of a text that begins `by` characters into the answer."""
    if not by or citation.start is None or citation.end is None:
        return citation
    return Citation(
        kind=citation.kind,
        origin=citation.origin,
        url=citation.url,
        title=citation.title,
        cited=citation.cited,
        start=citation.start + by,
        end=citation.end + by,
        at=citation.at,
        extras=citation.extras,
    )


def citation_losses(citations: Iterable[Citation], losses: Losses) -> None:
    for citation in citations:
        if citation.url is None:
            told: JsonObject = {"title": citation.title, "cited": citation.cited, "start": citation.start, "end": citation.end}
            losses.dropped(citation.at or "citations", "gemini cites web pages only", {**told, "kind": citation.kind})
        else:
            losses.hint(citation.at or "citations", "gemini has one kind of citation", citation.kind)
            if citation.cited is not None:
                losses.dropped(citation.at or "citations", "gemini does not quote its sources", citation.cited)
            if citation.start is not None and citation.end is None:
                losses.dropped(citation.at or "citations", "a beginning without an end", citation.start)
        losses.extras(citation, origin=citation.origin)


def logprob_losses(tokens: Iterable[TokenLogprob], losses: Losses) -> None:
    for token in tokens:
        for one in (token, *token.top):
            if one.bytes is not None:
                losses.hint(one.at or "logprobs", "gemini tells tokens, not their bytes", list(one.bytes))
            losses.extras(one, origin="")


def finish_losses(finish: Finish, losses: Losses, *, home: bool) -> None:
    if finish.sequence is not None:
        losses.hint("stop_sequence", "gemini does not say which stop sequence was hit", finish.sequence)
    if not home and finish.raw is not None and finish.reason not in ("stop", "length"):
        losses.hint("finish_reason", "gemini has fewer reasons", finish.raw)


def usage_losses(usage: Usage, losses: Losses, *, home: bool) -> None:
    if home:
        return
    for name in ("cache_write_5m", "cache_write_1h", "service_tier"):
        if (value := getattr(usage, name)) is not None:
            losses.hint(f"usage.{name}", "gemini does not tell it apart", value)
