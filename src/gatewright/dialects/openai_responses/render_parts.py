"""Content parts, blocks -> wire: for input messages, tool results and the parts of an answer.

One rule: what a part cannot hold becomes a loss under the path of the block it was in.
"""

from gatewright.dialects.openai_responses.names import ITEM, NAME, as_object, plain
from gatewright.dialects.openai_responses.parts import AUDIO_FORMATS
from gatewright.ir.blocks import (
    Citation,
    DialectName,
    FileRef,
    Inline,
    Media,
    Native,
    Refusal,
    Text,
    TokenLogprob,
    Url,
)
from gatewright.ir.loss import Losses, join
from gatewright.jsontypes import JsonObject, JsonValue

_SIGNATURES = {"iVBOR": "image/png", "/9j/": "image/jpeg", "R0lGOD": "image/gif", "UklGR": "image/webp"}
"""First base64 characters of image files, for origins that did not say the type."""
READABLE_FILES: frozenset[DialectName] = frozenset((NAME, "openai_chat"))
"""Origins whose file ids live in the same store."""


def cache_lost(block: Text | Media, losses: Losses) -> None:
    """Cache points: newer models know breakpoints, others refuse the field, and none needs it."""
    if block.cache is not None:
        at = block.cache.at or join(block.at, "cache_control")
        losses.hint(at, "the Responses API places its cache points itself", plain(block.cache))


def text_part(block: Text, kind: str, *, origin: DialectName, losses: Losses) -> JsonObject:
    """An `input_text` or `output_text` part of a request."""
    extras = losses.extras(block, origin=origin)
    part: JsonObject = {"type": kind, "text": block.text, **extras}
    if origin == NAME:
        if block.cache is not None:
            part["prompt_cache_breakpoint"] = dict(block.cache.extras)
        part |= annotated(block, origin=origin, losses=losses)
        return part
    cache_lost(block, losses)
    for i, citation in enumerate(block.citations):
        at = citation.at or join(block.at, f"citations[{i}]")
        losses.dropped(at, "texts in the history carry no citations", plain(citation))
    for i, logprob in enumerate(block.logprobs):
        losses.hint(logprob.at or join(block.at, f"logprobs[{i}]"), "not part of a request", plain(logprob))
    if block.seal is not None:
        losses.hint(join(block.at, "signature"), "only its issuer reads it", plain(block.seal))
    return part


def annotated(block: Text, *, origin: DialectName, losses: Losses) -> JsonObject:
    """The `annotations` and `logprobs` of a text, where it has any."""
    found: JsonObject = {}
    if block.citations:
        annotations = [annotation(c, len(block.text), origin=origin, losses=losses) for c in block.citations]
        kept: list[JsonValue] = [each for each in annotations if each is not None]
        if kept:
            found["annotations"] = kept
    if block.logprobs:
        found["logprobs"] = [logprob_of(each, origin=origin, losses=losses) for each in block.logprobs]
    return found


def annotation(citation: Citation, length: int, *, origin: DialectName, losses: Losses) -> JsonObject | None:
    """One annotation; None when only another dialect can show it. `length` is where the text so far ends."""
    extras = losses.extras(citation, origin=origin)
    given: JsonObject = {
        "url": citation.url,
        "title": citation.title,
        "start_index": citation.start,
        "end_index": citation.end,
    }
    told = {key: value for key, value in given.items() if value is not None}
    if origin == NAME:
        return ({"type": citation.kind} if citation.kind else {}) | told | extras
    if citation.url is None:
        losses.dropped(citation.at, f"a {citation.kind or 'citation'} without an address", plain(citation))
        return None
    if citation.cited is not None:
        losses.dropped(join(citation.at, "cited_text"), "annotations do not quote their source", citation.cited)
    if citation.start is None or citation.end is None:
        losses.hint(join(citation.at, "start_index"), "the place is not told; the text so far is said")
    if citation.kind != "url_citation":
        losses.approximated(citation.at, "told as a url_citation", citation.kind)
    return {"type": "url_citation", "start_index": 0, "end_index": length, "title": "", **told}


def logprob_of(logprob: TokenLogprob, *, origin: DialectName, losses: Losses, outer: bool = True) -> JsonObject:
    extras = losses.extras(logprob, origin=origin)
    found: JsonObject = {"token": logprob.token, **extras}
    if origin != NAME:
        found |= {"bytes": [], "logprob": 0.0}
        if outer:
            found["top_logprobs"] = []
    if logprob.logprob is not None:
        found["logprob"] = logprob.logprob
    if logprob.bytes is not None:
        found["bytes"] = list(logprob.bytes)
    if logprob.top:
        found["top_logprobs"] = [logprob_of(each, origin=origin, losses=losses, outer=False) for each in logprob.top]
    return found


def told_logprobs(found: list[JsonObject]) -> list[JsonValue]:
    """Log probabilities of another dialect as the events' own, narrower type has them."""
    narrow: list[JsonValue] = []
    for each in found:
        top = each.get("top_logprobs")
        told: JsonObject = {"token": each["token"], "logprob": each["logprob"]}
        tops = [as_object(one) for one in top] if isinstance(top, list) else []
        told["top_logprobs"] = [{"token": one.get("token"), "logprob": one.get("logprob")} for one in tops]
        narrow.append(told)
    return narrow


def refusal_part(block: Refusal, *, origin: DialectName, losses: Losses) -> JsonObject:
    extras = losses.extras(block, origin=origin, skip=(ITEM,))
    return {"type": "refusal", "refusal": block.text, **{k: v for k, v in extras.items() if k != ITEM}}


def native_part(block: Native) -> JsonObject:
    return {**block.data, **{k: v for k, v in block.extras.items() if k != ITEM}}


def media_part(block: Media, *, origin: DialectName, losses: Losses) -> JsonObject | None:
    """An image, file or audio part; None when the API has no such input, which is then a loss."""
    extras = losses.extras(block, origin=origin)
    cache_lost(block, losses)
    if block.seal is not None:
        losses.hint(join(block.at, "signature"), "only its issuer reads it", plain(block.seal))
    if isinstance(block.source, FileRef) and block.source.origin not in READABLE_FILES:
        losses.dropped(block.at, f"a file that only {block.source.origin} can read", plain(block))
        return None
    part: JsonObject | None = None
    match block.kind:
        case "image":
            part = _image(block, origin, losses)
        case "document":
            part = _document(block, origin, losses)
        case "audio":
            part = _audio(block) if origin == NAME else None  # documented, but refused as an unknown part
        case "video":
            pass
    if part is None:
        losses.dropped(block.at, f"the Responses API takes no such {block.kind}", plain(block))
        return None
    return part | extras


def _type_lost(block: Media, losses: Losses) -> None:
    source = block.source
    if not isinstance(source, Inline) and source.media_type is not None:
        losses.hint(join(block.at, "media_type"), "told by the file itself", source.media_type)


def _type_guessed(block: Media, losses: Losses) -> None:
    if isinstance(block.source, Inline) and not block.source.media_type:
        losses.hint(join(block.at, "media_type"), "not given; guessed from the first bytes or the kind")


def _image(block: Media, origin: DialectName, losses: Losses) -> JsonObject:
    part: JsonObject = {"type": "input_image"}
    match block.source:
        case Url(url=url):
            part["image_url"] = url
        case FileRef(id=ref):
            part["file_id"] = ref
        case Inline(media_type=media_type, data=data):
            part["image_url"] = f"data:{media_type or _guess(data)};base64,{data}"
    _type_lost(block, losses)
    if origin != NAME:
        _type_guessed(block, losses)
    if block.title is not None:
        losses.hint(join(block.at, "title"), "images have no title", block.title)
    if block.detail is not None:
        part["detail"] = block.detail
    if origin != NAME:
        if block.detail == "auto":
            losses.hint(join(block.at, "detail"), "auto is said for every image", block.detail)
        part.setdefault("detail", "auto")  # the API's own type requires it
    return part


def _guess(data: str) -> str:
    return next((media for start, media in _SIGNATURES.items() if data.startswith(start)), "image/png")


def _document(block: Media, origin: DialectName, losses: Losses) -> JsonObject:
    if block.detail is not None:
        losses.hint(join(block.at, "detail"), "files have no detail", block.detail)
    if isinstance(block.source, Inline) and block.source.text:
        losses.approximated(block.at, "a text document, told as plain text", {"media_type": block.source.media_type})
        title = f"{block.title}\n\n" if block.title else ""
        return {"type": "input_text", "text": title + block.source.data}
    part: JsonObject = {"type": "input_file"}
    if block.title is not None:
        part["filename"] = block.title
    match block.source:
        case Url(url=url):
            part["file_url"] = url
        case FileRef(id=ref):
            part["file_id"] = ref
        case Inline(media_type=media_type, data=data) if origin == NAME:
            part["file_data"] = f"data:{media_type};base64,{data}" if media_type else data
        case Inline(media_type=media_type, data=data):
            part["file_data"] = f"data:{media_type or 'application/pdf'};base64,{data}"
            _type_guessed(block, losses)
            part.setdefault("filename", "document.pdf")  # the API refuses file_data without a name
    _type_lost(block, losses)
    return part


def _audio(block: Media) -> JsonObject | None:
    if not isinstance(block.source, Inline):
        return None
    media_type = block.source.media_type
    word = AUDIO_FORMATS.get(media_type) or media_type.removeprefix("audio/")
    return {"type": "input_audio", "input_audio": {"data": block.source.data, "format": word}}
