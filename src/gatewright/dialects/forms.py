"""The field `model` of a multipart form: read and renamed, every other byte as it came.

One rule: a form is walked by its own boundary, so that a file's bytes are never taken for a field; what cannot be walked, or
names two models, is refused: the provider might read it otherwise than we do.
https://www.rfc-editor.org/rfc/rfc7578
"""

import re
from typing import Final

import msgspec

from gatewright.errors import refuse

_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE)
_NAME: Final = re.compile(rb';[ \t]*name[ \t]*=[ \t]*(?:"((?:[^"\\\r\n]|\\.)*)"|([^\s;"]+))', re.IGNORECASE)
_DISPOSITION: Final = b"content-disposition:"
MAX_PARTS: Final = 1_000


class Field(msgspec.Struct, frozen=True):
    """Where a field's value stands in the body."""

    value: str
    start: int
    end: int


def model_field(body: bytes, content_type: str) -> Field | None:
    """The form's field `model`; None when it has none. Raises Refused."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise refuse("invalid_request", "The multipart form's content-type names no boundary.")
    delimiter = b"--" + (boundary[1] or boundary[2]).encode("latin-1", "replace")
    found: Field | None = None
    for start, end in _parts(body, delimiter):
        headers_end = body.find(b"\r\n\r\n", start, end)
        if headers_end < 0 or not _names_model(body[start:headers_end]):
            continue
        if found is not None:
            raise refuse("invalid_request", "The form names its model twice.", param="model")
        value = body[headers_end + 4 : end]
        if len(value) > 1_000:
            raise refuse("invalid_request", "The form's field 'model' is too long.", param="model")
        found = Field(value.decode("utf-8", "replace").strip(), headers_end + 4, end)
    return found


def contents(body: bytes, content_type: str) -> list[tuple[int, int]]:
    """(start, end) of each part's content, in order. Raises Refused for what cannot be walked."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is None:
        raise refuse("invalid_request", "The multipart form's content-type names no boundary.")
    delimiter = b"--" + (boundary[1] or boundary[2]).encode("latin-1", "replace")
    found = ((start, body.find(b"\r\n\r\n", start, end), end) for start, end in _parts(body, delimiter))
    return [(head + 4 if head >= 0 else start, end) for start, head, end in found]


def _parts(body: bytes, delimiter: bytes) -> list[tuple[int, int]]:
    """(start of the headers, end of the content) of each part. Raises Refused for a form that does not end."""
    place = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    if place == 1:
        raise refuse("invalid_request", "The multipart form does not begin with its boundary.")
    inner = b"\r\n" + delimiter
    found: list[tuple[int, int]] = []
    while len(found) < MAX_PARTS:
        after = place + len(delimiter)
        if body.startswith(b"--", after):
            return found
        start = body.find(b"\r\n", after) + 2
        end = body.find(inner, start - 2)
        if start == 1 or end < 0 or body[after : start - 2].strip(b" \t"):
            raise refuse("invalid_request", "The multipart form breaks off, or its boundary is not its own.")
        found.append((start, max(start, end)))
        place = end + 2
    raise refuse("invalid_request", f"The multipart form has more than {MAX_PARTS} parts.")


def _names_model(headers: bytes) -> bool:
    for line in headers.split(b"\r\n"):
        if line[: len(_DISPOSITION)].lower() == _DISPOSITION:
            name = _NAME.search(line)
            if name is not None and (name[1] or name[2] or b"").strip() == b"model":
                return True
    return False


def rename(body: bytes, field: Field, model: str) -> bytes:
    """The form with another model's name; every other byte stays."""
    return body[: field.start] + model.encode("utf-8", "replace") + body[field.end :]
