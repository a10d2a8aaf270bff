"""Edits of top-level fields on raw JSON: every other value keeps its bytes (number spelling, escapes, key order).

An unedited body is never re-encoded at all: callers forward what they received.
"""

import msgspec

from gatewright.wire.json import BadJson

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def splice(body: bytes, edits: dict[str, bytes | None]) -> bytes:
    """`body` (a JSON object) with top-level fields set to raw JSON values, or removed where the value is None."""
    try:
        fields = _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadJson(f"not a JSON object: {error}") from None
    for key, value in edits.items():
        if value is None:
            fields.pop(key, None)
        else:
            fields[key] = msgspec.Raw(value)
    return _encode(fields)
