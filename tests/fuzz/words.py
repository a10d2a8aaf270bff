"""What a mutation may put where a document had something else.

One rule: whatever JSON text can hold may come; what no encoder would write (lone surrogates, NaN, endless numbers, bottomless
nesting) is put in as a mark and made real in the encoded bytes.
"""

from random import Random

from gatewright.jsontypes import JsonValue
from gatewright.wire import json as wire_json

KINDS_OF_WORD = frozenset(
    (
        "role",
        "type",
        "status",
        "finish_reason",
        "stop_reason",
        "finishReason",
        "mode",
        "effort",
        "object",
        "event",
        "format",
        "detail",
    )
)
"""Keys whose values are words of a closed list: one dialect's word where another's belongs is what clients get wrong."""

WORDS = (
    "user", "assistant", "system", "developer", "tool", "function", "model", "wizard", "message", "text", "input_text", "output_text",
    "image_url", "input_image", "input_file", "file", "image", "document", "audio", "input_audio", "video", "thinking", "redacted_thinking",
    "reasoning", "summary_text", "tool_use", "tool_result", "server_tool_use", "function_call", "function_call_output", "custom",
    "custom_tool_call", "refusal", "item_reference", "web_search_call", "mcp_call", "compaction", "stop", "length", "tool_calls",
    "content_filter", "end_turn", "max_tokens", "stop_sequence", "pause_turn", "STOP", "MAX_TOKENS", "SAFETY", "OTHER", "completed",
    "incomplete", "failed", "in_progress", "error", "ping", "message_start", "message_delta", "message_stop", "content_block_start",
    "content_block_delta", "content_block_stop", "text_delta", "input_json_delta", "thinking_delta", "signature_delta",
    "citations_delta", "response.created", "response.completed", "response.output_item.added", "response.output_item.done",
    "response.output_text.delta", "response.function_call_arguments.delta", "auto", "none", "required", "any", "json_schema",
    "json_object", "base64", "url", "file_id", "low", "medium", "high", "ephemeral", "enabled", "disabled", "adaptive", "",
)  # fmt: skip

KEYS = (
    "content", "role", "type", "text", "id", "index", "name", "arguments", "input", "tool_calls", "tool_call_id", "parts", "source",
    "delta", "message", "error", "usage", "model", "choices", "output", "candidates", "functionCall", "functionResponse", "thought",
    "thoughtSignature", "signature", "encrypted_content", "cache_control", "citations", "annotations", "output_index", "summary_index",
    "content_index", "item_id", "call_id", "stop_reason", "finish_reason", "finishReason", "status", "code", "usageMetadata", "n",
    "extra_content", "reasoning_details", "logprobs", "stream", "tools", "tool_choice", "system", "metadata", "unheard_of", "",
)  # fmt: skip

_MARK = "\x02mark:"

NUMBERS: tuple[JsonValue, ...] = (
    0, -1, 1, 2, 7, 99, 1 << 15, 1 << 31, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, -(1 << 63),
    0.0, -0.0, 0.5, 1.5, 1e-300, 1e300, 1.7976931348623157e308,
)  # fmt: skip

STRINGS = (
    "", " ", "\n", "\x00", "\x1b[31m\x07", "\r\nx-evil: 1\r\n", "data: [DONE]\n\n", "\u2028\u2029", "\ufeff", "\U0001f600", "e\u0301" * 40,
    "NaN", "Infinity", "null", "true", "{}", "[]", '{"a":', '{"a": 1}', "[1, 2]", "data:image/png;base64,AAAA", "data:;base64,", "data:",
    "data:text/plain,hi", "http://[::1", "https://example.com/a.png", "file:///etc/passwd", "gs://b/o", "AAAA", "A===", "not base64!",
    "gw1.", "gw1.AAAA", "gw1.e30", "gw1.eyJkaWFsZWN0IjoiZ2VtaW5pIiwiZGF0YSI6IngifQ", "gw1.eyJkaWFsZWN0IjoxfQ", "%", "%00", "../../x",
    "a/b", "a:b", "m?x=y#z", "*", "1e999", "-1", "5m", "1h",
)  # fmt: skip


def number(random: Random) -> JsonValue:
    return random.choice(NUMBERS) if random.random() < 0.9 else _mark(random.choice(("int", "NaN", "Infinity", "1e999", "-0")))


def string(random: Random) -> str:
    pick = random.random()
    if pick < 0.5:
        return random.choice(STRINGS)
    if pick < 0.7:
        return random.choice(WORDS)
    if pick < 0.8:
        return random.choice('a\n{\\"\u00e9\U0001f600 ') * random.choice((10, 1000, 20_000))
    if pick < 0.9:
        return _mark(random.choice(("high", "low", "pair", "split")))
    return "".join(
        chr(random.choice((random.randrange(32), random.randrange(32, 127), random.randrange(160, 0xD7FF)))) for _ in range(20)
    )


def anything(random: Random) -> JsonValue:
    """A value of any type."""
    match random.randrange(12):
        case 0:
            return None
        case 1:
            return random.random() < 0.5
        case 2 | 3:
            return number(random)
        case 4 | 5 | 6:
            return string(random)
        case 7:
            return []
        case 8:
            return {}
        case 9:
            return [anything(random) for _ in range(random.randrange(4))]
        case 10:
            return {random.choice(KEYS): anything(random) for _ in range(random.randrange(4))}
        case _:
            return _mark(f"deep{random.choice((20, 200, 2000))}{random.choice('[{')}") if random.random() < 0.3 else [[]]


def _mark(what: str) -> str:
    return _MARK + what


REAL: dict[str, bytes] = {
    "int": b"9" * 400,
    "NaN": b"NaN",
    "Infinity": b"-Infinity",
    "1e999": b"1e999",
    "-0": b"-0",
    "high": rb'"a\ud83d"',
    "low": rb'"\ude00 b"',
    "pair": rb'"\ud83d\ude00"',
    "split": rb'"\ude00\ud83d"',
}
"""Mark → what stands there in the bytes."""


def encoded(document: JsonValue) -> bytes:
    """The document as bytes, its marks made real."""
    data = wire_json.encode(document)
    mark = wire_json.encode(_MARK)[:-1]
    if mark not in data:
        return data
    before, *pieces = data.split(mark)
    out = [before]
    for piece in pieces:
        what, _, rest = piece.partition(b'"')
        word = what.decode()
        if word.startswith("deep") and word[4:-1].isdigit():
            many = int(word[4:-1])
            opening, closing = (b"[", b"]") if word.endswith("[") else (b'{"a":', b"}")
            out += [opening * many, b"1", closing * many, rest]
        else:
            out += [REAL.get(word, b'"%b"' % what), rest]
    return b"".join(out)
