"""Reasoning and its seals, in the spellings that hosts of OpenAI's dialect have for them.

One rule: an entry is written as it came; a seal is the provider's own word.
https://openrouter.ai/docs/use-cases/reasoning-tokens  https://docs.mistral.ai/capabilities/reasoning/
"""

from gatewright.ir.blocks import DialectName, Reasoning
from gatewright.ir.seal import Seal, carry
from gatewright.jsontypes import JsonObject, JsonValue

_HOME: DialectName = "openai_chat"


def detail(block: Reasoning) -> JsonObject:
    """An entry of `reasoning_details`."""
    word = block.form[1] if len(block.form) > 1 else "reasoning.text"
    entry: JsonObject = {"type": word}
    match word:
        case "reasoning.encrypted":
            entry["data"] = carry(block.seal, _HOME) if block.seal else ""
        case "reasoning.summary":
            entry["summary"] = "".join(block.summary)
        case _:
            if block.form[2:] != ("no_text",):
                entry["text"] = block.text
            if block.seal is not None:
                entry["signature"] = carry(block.seal, _HOME)
    if block.id:
        entry["id"] = block.id
    return {**entry, **block.extras}


def thinking_pieces(block: Reasoning) -> JsonValue:
    """What stands in Mistral's `thinking` part: a text, or texts of the lengths that the form tells."""
    match block.form[1:]:
        case ("flat",):
            return block.text
        case ("none",):
            return []
    pieces: list[JsonValue] = []
    start = 0
    for length in block.form[1:] or (str(len(block.text)),):
        pieces.append({"type": "text", "text": block.text[start : start + int(length)]})
        start += int(length)
    return pieces


def signature(seal: Seal) -> JsonObject:
    """Google's signature beside a message or a call."""
    return {"extra_content": {"google": {"thought_signature": carry(seal, _HOME)}}}
