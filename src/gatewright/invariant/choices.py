"""Further choices of a streamed answer (`n` above 1), folded into the form of a whole one.

One rule: the neutral form follows the first choice; the others are there as their dialect's own events, and are joined by index.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from gatewright.ir.events import NativeEvent, StreamEvent
from gatewright.jsontypes import JsonObject, JsonValue

MOST: Final = 128
"""Choices: what OpenAI allows."""
_TEXTS: Final = ("content", "refusal", "reasoning_content", "reasoning")


def other_choices(events: Iterable[StreamEvent]) -> tuple[JsonObject, ...]:
    """In the order of their index; as a whole answer would have them."""
    choices: dict[int, JsonObject] = {}
    for event in events:
        if not isinstance(event, NativeEvent):
            continue
        for key, join in (("choices", _openai), ("candidates", _gemini)):
            told = event.data.get(key)
            for one in told if isinstance(told, list) else ():
                index = one.get("index") if isinstance(one, dict) else None
                if isinstance(one, dict) and isinstance(index, int) and (index in choices or len(choices) < MOST):
                    join(choices.setdefault(index, {"index": index}), one)
    return tuple(choices[index] for index in sorted(choices))


def _openai(choice: JsonObject, told: JsonObject) -> None:
    message = choice.setdefault("message", {"role": "assistant"})
    delta = told.get("delta")
    if isinstance(message, dict) and isinstance(delta, dict):
        for name in _TEXTS:
            if isinstance(text := delta.get(name), str):
                message[name] = f"{message.get(name) or ''}{text}"
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            listed = message.setdefault("tool_calls", [])
            assert isinstance(listed, list)
            _calls(listed, calls)
    if told.get("finish_reason") is not None:
        choice["finish_reason"] = told["finish_reason"]


def _calls(listed: list[JsonValue], told: Sequence[JsonValue]) -> None:
    """Calls come in pieces, by an index of their own. A piece that has none, or a new id, begins another."""
    for piece in told:
        if not isinstance(piece, dict):
            continue
        index = piece.get("index")
        place = index if isinstance(index, int) and 0 <= index < len(listed) else len(listed)
        if place == len(listed):
            if len(listed) >= MOST:
                continue
            listed.append({"id": piece.get("id"), "type": "function", "function": {"name": "", "arguments": ""}})
        call = listed[place]
        function, given = (call.get("function") if isinstance(call, dict) else None), piece.get("function")
        if isinstance(function, dict) and isinstance(given, dict):
            for name in ("name", "arguments"):
                if isinstance(text := given.get(name), str):
                    function[name] = f"{function.get(name) or ''}{text}"


def _gemini(candidate: JsonObject, told: JsonObject) -> None:
    content = candidate.setdefault("content", {"role": "model", "parts": []})
    given = told.get("content")
    new = given.get("parts") if isinstance(given, dict) else None
    parts = content.get("parts") if isinstance(content, dict) else None
    if isinstance(parts, list) and isinstance(new, list):
        for part in new:
            last = parts[-1] if parts else None
            if isinstance(part, dict) and part.keys() == {"text"} and isinstance(last, dict) and last.keys() == {"text"}:
                parts[-1] = {"text": f"{last['text']}{part['text']}"}
            else:
                parts.append(part)
    if told.get("finishReason") is not None:
        candidate["finishReason"] = told["finishReason"]
