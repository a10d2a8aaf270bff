"""generateContent, streamGenerateContent and countTokens as Google serves them.

One rule: streams are CRLF server-sent events with `alt=sse` and a JSON array without; the last chunk's usage is the answer's.
https://ai.google.dev/api/generate-content
"""

from tests.upstreams import seals
from tests.upstreams.answers import Answer, Ids, Received, dump, stream, whole
from tests.upstreams.gemini_parse import refuse
from tests.upstreams.gemini_rules import SEAL, document, fault, model_of, understand
from tests.upstreams.script import Decline, Plan, Say, Thought, Tokens, Use, plan, slices

REASON = {"stop": "STOP", "tools": "STOP", "length": "MAX_TOKENS", "filter": "SAFETY"}
HEADERS = {
    "content-type": "application/json; charset=UTF-8",
    "server": "scaffolding on HTTPServer2",
    "server-timing": "gfet4t7; dur=747",
}


def answer(request: Received, ids: Ids) -> Answer:
    body = document(request)
    model, method = model_of(request.path, request.path.split("/")[1])
    if method == "countTokens":
        inner = body.get("generateContentRequest") or {
            k: v for k, v in body.items() if k in {"contents", "systemInstruction", "tools", "generationConfig"}
        }
        understand({k: v for k, v in inner.items() if k != "model"}, model)
        total = 10 + len(dump(inner)) // 8
        return whole({"totalTokens": total, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": total}]}, headers=HEADERS)
    ask, asked = understand(body, model)
    chosen = plan(ask)
    fault(chosen.fault)
    shown = bool(((asked.get("generationConfig") or {}).get("thinkingConfig") or {}).get("includeThoughts"))
    base = {"modelVersion": model, "responseId": ids.alnum("", 22)}
    if method == "generateContent":
        return entire(chosen, model, base, ids, shown=shown)
    documents = list(chunks(chosen, model, base, ids, shown=shown))
    cut = chosen.fault is not None and chosen.fault.kind == "cut"
    if chosen.fault is not None and not cut:
        documents.append(
            {"error": {"code": 503, "message": "The model is overloaded. Please try again later.", "status": "UNAVAILABLE"}}
        )
    if "alt=sse" in request.query.split("&"):
        return stream(
            [f"data: {dump(one)}\r\n\r\n".encode() for one in documents], HEADERS | {"content-type": "text/event-stream"}, cut=cut
        )
    texts = [("[" if i == 0 else ",\r\n") + dump(one) for i, one in enumerate(documents)]
    return stream([text.encode() for text in (*texts, *([] if cut else ["]"]))], HEADERS, cut=cut)


def usage(tokens: Tokens, *, final: bool = True) -> dict:
    read = tokens.fresh + tokens.cached + tokens.written
    return {
        "promptTokenCount": read,
        **({"cachedContentTokenCount": tokens.cached} if tokens.cached else {}),
        **({"candidatesTokenCount": tokens.output} if final else {}),
        "totalTokenCount": read + (tokens.output if final else 0) + tokens.reasoning,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": read}],
        **({"thoughtsTokenCount": tokens.reasoning} if tokens.reasoning else {}),
    }


def parts(chosen: Plan, model: str, *, shown: bool) -> list[dict]:
    """The parts of a whole answer. The signature is on the first call, or (Gemini 3) on the last text."""
    seal = seals.issue("gemini", "", prefix=SEAL)
    thinks = any(isinstance(piece, Thought) for piece in chosen.pieces)
    found: list[dict] = []
    signed = not thinks
    for piece in chosen.pieces:
        match piece:
            case Thought(text=text):
                found += [{"text": text, "thought": True}] if shown else []
            case Say(text=text):
                found.append({"text": text})
            case Use(name=called, arguments=arguments):
                found.append(
                    {"functionCall": {"name": called, "args": arguments}} | ({} if signed else {"thoughtSignature": seal})
                )
                signed = True
    if not signed and model.startswith("gemini-3") and found and "thought" not in found[-1]:
        found[-1]["thoughtSignature"] = seal
    return found


def blocked(chosen: Plan, base: dict) -> dict | None:
    if any(isinstance(piece, Decline) for piece in chosen.pieces):
        return {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": usage(chosen.tokens, final=False),
            **base,
        }
    return None


def last(chosen: Plan) -> dict:
    rated = (
        [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}]
        if chosen.end == "filter"
        else None
    )
    told = {"finishReason": REASON.get(chosen.end, "STOP"), "index": 0}
    if chosen.end == "tools":
        told["finishMessage"] = "Model generated function call(s)."
    return told | ({"safetyRatings": rated} if rated else {})


def entire(chosen: Plan, model: str, base: dict, ids: Ids, *, shown: bool) -> Answer:
    if chosen.fault is not None:
        if chosen.fault.kind == "cut":
            return Answer(chunks=(b'{"candidates": [',), cut=True)
        raise refuse("The model is overloaded. Please try again later.", 503, "UNAVAILABLE")
    if (nothing := blocked(chosen, base)) is not None:
        return whole(nothing, headers=HEADERS)
    candidate = {"content": {"parts": parts(chosen, model, shown=shown), "role": "model"}} | last(chosen)
    return whole({"candidates": [candidate], "usageMetadata": usage(chosen.tokens), **base}, headers=HEADERS)


def chunks(chosen: Plan, model: str, base: dict, ids: Ids, *, shown: bool) -> list[dict]:
    if (nothing := blocked(chosen, base)) is not None:
        return [nothing]
    pieces: list[dict] = []
    for part in parts(chosen, model, shown=shown):
        if "text" not in part:
            pieces.append(part)
            continue
        rest = {key: value for key, value in part.items() if key not in {"text", "thoughtSignature"}}
        pieces += [rest | {"text": text} for text in slices(part["text"], 11)]
        if "thoughtSignature" in part:
            pieces.append({"text": "", "thoughtSignature": part["thoughtSignature"]})
    found = []
    for index, piece in enumerate(pieces):
        final = index == len(pieces) - 1 and chosen.fault is None
        candidate = {"content": {"parts": [piece], "role": "model"}} | (last(chosen) if final else {"index": 0})
        found.append({"candidates": [candidate], "usageMetadata": usage(chosen.tokens, final=final), **base})
    return found
