"""Reasoning, both ways: `reasoning_content`, `reasoning`, `reasoning_details`.

One rule: the text of one block is told once. Where `reasoning_details` repeat what the flat field says, the details are the block
and the flat field is kept as it came. Hosts that show reasoning want it back in the same field: an empty seal remembers which.
https://openrouter.ai/docs/use-cases/reasoning-tokens
"""

from gatewright.dialects.openai_chat.words import NAME
from gatewright.ir.blocks import Block, Native, Reasoning
from gatewright.ir.seal import PREFIX, Seal, carry, open_seal
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.fields import Fields

FLAT = ("reasoning_content", "reasoning")
GAP = "\n\n"
"""Between the pieces of foreign reasoning where a flat field must hold several."""


def parse_flat(fields: Fields, *, issuer: str = "") -> list[Reasoning]:
    """The flat fields; one that repeats the other or the details stays in the fields."""
    found: list[Reasoning] = []
    told = _told(fields.peek("reasoning_details"))
    for key in FLAT:
        value = fields.peek(key)
        if not isinstance(value, str) or not value:
            continue
        if value in told or any(value == block.text for block in found):
            if _is_ours(fields.peek("reasoning_details")):
                fields.take(key)  # we wrote it beside the details for clients that know only this field
            continue
        fields.take(key)
        seal = Seal(dialect=NAME, data="", issuer=issuer, kind=key)
        found.append(Reasoning(text=value, seal=seal, form=(key,), at=fields.path(key)))
    return found


def _told(details: JsonValue) -> tuple[str, ...]:
    """What the details say, joined as other hosts and as we do."""
    if not isinstance(details, list):
        return ()
    pieces = [
        text
        for item in details
        if isinstance(item, dict)
        for key in ("text", "summary")
        if isinstance(text := item.get(key), str) and text
    ]
    return ("".join(pieces), GAP.join(pieces)) if pieces else ()


def _is_ours(details: JsonValue) -> bool:
    return isinstance(details, list) and any(
        isinstance(item, dict)
        and any(isinstance(v := item.get(key), str) and v.startswith(PREFIX) for key in ("signature", "data"))
        for item in details
    )


def parse_details(fields: Fields, *, issuer: str = "") -> list[Block]:
    """`reasoning_details`, one block each; the several entries that we write for one foreign item become one block again."""
    value = fields.peek("reasoning_details")
    if not isinstance(value, list) or not value:
        return []
    fields.take("reasoning_details")
    at = fields.path("reasoning_details")
    blocks: list[Block] = []
    summaries: list[Reasoning] = []
    for i, item in enumerate(value):
        block = _detail(item, f"{at}[{i}]", issuer)
        if (
            isinstance(block, Reasoning)
            and block.redacted
            and summaries
            and block.seal is not None
            and block.seal.dialect != NAME
        ):
            parts = tuple(part for one in summaries for part in one.summary)
            del blocks[-len(summaries) :]
            block = Reasoning(summary=parts, seal=block.seal, id=block.id, form=block.form, at=block.at)
        summaries = [*summaries, block] if isinstance(block, Reasoning) and block.summary and not block.seal else []
        blocks.append(block)
    return blocks


def _detail(item: JsonValue, at: str, issuer: str) -> Block:
    if not isinstance(item, dict):
        return Native(origin=NAME, data={"": item}, form=("detail", "bare"), at=at)
    fields = Fields(item, at)
    word, ref = fields.peek("type"), fields.peek("id")
    body = {"reasoning.text": "text", "reasoning.summary": "summary", "reasoning.encrypted": "data"}.get(str(word), "")
    text, signature = fields.peek(body), fields.peek("signature")
    signed = isinstance(signature, str) and signature and word == "reasoning.text"
    if not isinstance(text, str) and not (word == "reasoning.text" and signed):
        return Native(origin=NAME, data=item, form=("detail",), at=at)
    form: tuple[str, ...] = ("detail", str(word))
    fields.take("type")
    seal: Seal | None = None
    if isinstance(text, str):
        fields.take(body)
    else:
        form = (*form, "no_text")
    id_ = ref if isinstance(ref, str) else ""
    if id_:
        fields.take("id")
    if signed:
        seal = _seal(str(fields.take("signature")), id_, str(word), issuer)
    if word == "reasoning.encrypted":
        seal = _seal(str(text), id_, str(word), issuer)
    return Reasoning(
        text=text if isinstance(text, str) and word == "reasoning.text" else "",
        summary=(text,) if isinstance(text, str) and word == "reasoning.summary" else (),
        seal=seal,
        redacted=word == "reasoning.encrypted",
        id=id_,
        form=form,
        extras=fields.rest(),
        at=at,
    )


def _seal(word: str, ref: str, kind: str, issuer: str) -> Seal:
    seal = open_seal(word, NAME, ref=ref, kind=kind)
    return seal if seal.issuer or seal.dialect != NAME else Seal(dialect=NAME, data=seal.data, issuer=issuer, ref=ref, kind=kind)


def render_detail(block: Reasoning) -> JsonObject:
    """One entry of this dialect's own, as it came."""
    word = block.form[1] if len(block.form) > 1 else "reasoning.text"
    entry: JsonObject = {"type": word}
    if word == "reasoning.encrypted":
        entry["data"] = carry(block.seal, NAME) if block.seal else ""
    elif word == "reasoning.summary":
        entry["summary"] = "".join(block.summary)
    else:
        if block.form[2:] != ("no_text",):
            entry["text"] = block.text
        if block.seal is not None:
            entry["signature"] = carry(block.seal, NAME)
    if block.id:
        entry["id"] = block.id
    return {**entry, **block.extras}


def foreign_details(block: Reasoning, number: int) -> list[JsonObject]:
    """Entries that carry a foreign block and its seal to a chat client; none where there is no seal to carry.

    `number` counts the entries of the message so far: OpenAI's SDKs melt entries of the same index into one.
    """
    if block.seal is None:
        return []
    named: JsonObject = {"id": block.id} if block.id else {}
    word = carry(block.seal, NAME)
    if block.text:
        return [{"type": "reasoning.text", "text": block.text, "signature": word, **named, "index": number}]
    entries: list[JsonObject] = [
        {"type": "reasoning.summary", "summary": part, **named, "index": number + i}
        for i, part in enumerate(part for part in block.summary if part)
    ]
    return [*entries, {"type": "reasoning.encrypted", "data": word, **named, "index": number + len(entries)}]


def flat_text(block: Reasoning) -> str:
    """What a client that knows only the flat field is shown."""
    return block.text or GAP.join(part for part in block.summary if part)
