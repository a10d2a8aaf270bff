"""Words of the Responses API and how its ids are derived.

One rule: an id is a function of what it names (the response and the place in it), so that every rendering is the same.
https://platform.openai.com/docs/api-reference/responses/object
"""

import hashlib
import re
from typing import Final

import msgspec

from gatewright.ir.blocks import DialectName
from gatewright.ir.request import Request
from gatewright.jsontypes import JsonObject, JsonValue

NAME: Final[DialectName] = "openai_responses"

ITEM: Final = "item"
"""Key of a content block's extras that holds the fields of the output item around it (id, status, role, phase): an answer has
items and parts where the neutral form has blocks. Always the item's first block has it; a block whose form says `MORE`
continues the item before it."""
MORE: Final = "more"
PART: Final = "content"
"""Form of a Native that is a content part and not an item."""

SEAL_KIND: Final = "reasoning.encrypted"
ATTACHED_KIND: Final = "attached"
"""Kind of the wrapper around a foreign seal that belongs to a tool call or a text: only reasoning items have an opaque field, so
one follows the item; `ref` is the call id, empty for the text before it."""

MAX_CALL_ID = 64
_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")


def digest(text: str, length: int = 32) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def response_id(given: str, request: Request) -> str:
    """The id a Responses client sees: the one the gateway gave; else the upstream's own, made to look like one; else one from
    the request.
    """
    told = request.answer.get("id")
    if isinstance(told, str):
        return told
    if given.startswith("resp_"):
        return given
    return "resp_" + (_UNFIT.sub("_", given) if given else digest(repr((request.model, request.messages))))


def item_id(prefix: str, response: str, index: int) -> str:
    """Id of the item at `index`: `msg_…`, `rs_…`, `fc_…`."""
    return f"{prefix}_{response.removeprefix('resp_')}_{index}"


def fit_call_id(given: str) -> str:
    """The same id where the API takes it (64 characters), else a short one made from it."""
    return given if len(given) <= MAX_CALL_ID else f"call_{digest(given)}"


def plain(value: object) -> JsonValue:
    """A neutral value as JSON, to be told in a loss."""
    built: JsonValue = msgspec.json.decode(msgspec.json.encode(value))
    return built


def as_object(value: JsonValue) -> JsonObject:
    """The object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def flags(form: tuple[str, ...]) -> dict[str, str]:
    """The `key=value` words of a form."""
    return dict(word.split("=", 1) for word in form if "=" in word)
