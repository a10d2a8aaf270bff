"""Grounding ↔ citations, and log probabilities.

One rule: Gemini counts bytes of the part's UTF-8, the neutral form counts characters. At home the metadata itself is kept
(extras); citations are its reading for others.
https://ai.google.dev/api/generate-content#GroundingMetadata  https://ai.google.dev/api/generate-content#LogprobsResult
"""

from collections.abc import Iterable

from gatewright.ir.blocks import Citation, TokenLogprob
from gatewright.jsontypes import JsonObject, JsonValue


def _dicts(value: JsonValue) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _int(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def parse_citations(grounding: JsonValue, text: str) -> tuple[Citation, ...]:
    """One citation for each source of each grounded segment of `text`. Tolerates every oddity: what does not fit is not cited."""
    if not isinstance(grounding, dict):
        return ()
    chunks = grounding.get("groundingChunks")
    sources = chunks if isinstance(chunks, list) else []
    found: list[Citation] = []
    encoded = b""
    for n, support in enumerate(_dicts(grounding.get("groundingSupports"))):
        segment, indices = support.get("segment"), support.get("groundingChunkIndices")
        if not isinstance(segment, dict) or not isinstance(indices, list):
            continue
        encoded = encoded or text.encode("utf-8", "surrogatepass")
        start, end = _int(segment.get("startIndex")) or 0, _int(segment.get("endIndex"))
        for index in indices:
            if not isinstance(index, int) or not 0 <= index < len(sources):
                continue
            url, title = _source(sources[index])
            if url is None and title is None:
                continue
            found.append(
                Citation(
                    kind="grounding",
                    origin="gemini",
                    url=url,
                    title=title,
                    start=_chars(encoded, start),
                    end=None if end is None else _chars(encoded, end),
                    at=f"candidates[0].groundingMetadata.groundingSupports[{n}]",
                )
            )
    return tuple(found)


def _chars(encoded: bytes, index: int) -> int:
    return len(encoded[: max(0, index)].decode("utf-8", "ignore"))


def _source(chunk: JsonValue) -> tuple[str | None, str | None]:
    if not isinstance(chunk, dict):
        return None, None
    for key in ("web", "retrievedContext", "maps", "image"):
        if isinstance(source := chunk.get(key), dict):
            return _text(source.get("uri")) or _text(source.get("sourceUri")), _text(source.get("title"))
    return None, None


def render_grounding(citations: Iterable[Citation], text: str) -> JsonObject:
    """`groundingMetadata` for the citations of another dialect that name a URL."""
    chunks: list[JsonValue] = []
    supports: list[JsonValue] = []
    index_of: dict[tuple[str, str | None], int] = {}
    for citation in citations:
        if citation.url is None:
            continue
        source = (citation.url, citation.title)
        if source not in index_of:
            index_of[source] = len(chunks)
            web: JsonObject = {"uri": citation.url}
            if citation.title is not None:
                web["title"] = citation.title
            chunks.append({"web": web})
        if citation.end is not None:
            start, end = citation.start or 0, citation.end
            segment: JsonObject = {"endIndex": _bytes(text, end), "text": text[start:end]}
            if citation.start is not None:
                segment["startIndex"] = _bytes(text, start)
            supports.append({"segment": segment, "groundingChunkIndices": [index_of[source]]})
    if not chunks:
        return {}
    return {"groundingChunks": chunks, "groundingSupports": supports} if supports else {"groundingChunks": chunks}


def _bytes(text: str, index: int) -> int:
    return len(text[: max(0, index)].encode("utf-8", "surrogatepass"))


def parse_logprobs(result: JsonValue) -> tuple[TokenLogprob, ...]:
    """Empty when `result` holds anything that could not be written again just so."""
    if not isinstance(result, dict):
        return ()
    chosen, top = _dicts(result.get("chosenCandidates")), _dicts(result.get("topCandidates"))
    tokens: list[TokenLogprob] = []
    for i, item in enumerate(chosen):
        others = _dicts(top[i].get("candidates")) if i < len(top) else []
        tokens.append(_token(item, tuple(_token(other, ()) for other in others)))
    found = tuple(tokens)
    return found if found and render_logprobs(found) == result else ()


def _token(item: JsonObject, top: tuple[TokenLogprob, ...]) -> TokenLogprob:
    rest = {key: value for key, value in item.items() if key not in ("token", "logProbability")}
    probability = item.get("logProbability")
    if isinstance(probability, bool) or not isinstance(probability, int | float):
        probability = None
    return TokenLogprob(token=_text(item.get("token")) or "", logprob=probability, top=top, extras=rest)


def render_logprobs(tokens: Iterable[TokenLogprob]) -> JsonObject:
    """`logprobsResult`; the bytes of other dialects' tokens have no place there (and say nothing that the token does not)."""
    chosen: list[JsonValue] = []
    top: list[JsonValue] = []
    for token in tokens:
        chosen.append(_candidate(token))
        if token.top:
            top.append({"candidates": [_candidate(other) for other in token.top]})
    return {"chosenCandidates": chosen, "topCandidates": top} if top else {"chosenCandidates": chosen}


def _candidate(token: TokenLogprob) -> JsonObject:
    out: JsonObject = {"token": token.token}
    if token.logprob is not None:
        out["logProbability"] = token.logprob
    return {**out, **{key: value for key, value in token.extras.items() if key == "tokenId"}}
