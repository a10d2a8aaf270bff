"""JSON of which nothing else is known: every string is looked at, and long numbers; what was not changed stays as it was."""

from collections.abc import Mapping

from gatewright.errors import Problem, UpstreamFailed
from gatewright.guards.check import Checker
from gatewright.guards.redact import restored
from gatewright.guards.terms import Text
from gatewright.guards.texts import Walk
from gatewright.jsontypes import JsonValue
from gatewright.wire.json import BadJson, decode_lenient, encode

UNREADABLE = Problem(
    kind="upstream",
    code="guard_unreadable",
    message="The provider's answer cannot be read, so that no rule could be held against it; it was not passed on.",
)


def edited_json(body: bytes, checker: Checker, originals: Mapping[str, str]) -> bytes:
    """An answer's body as it may leave. Raises UpstreamFailed for what is no JSON."""
    if not body.strip():
        return body
    try:
        document = decode_lenient(body)
    except BadJson:
        raise UpstreamFailed(UNREADABLE) from None
    seen = edited(document, checker, originals)
    return body if seen is document else encode(seen)


def edited(document: JsonValue, checker: Checker, originals: Mapping[str, str]) -> JsonValue:
    """A document as it may go on; the same object where nothing was replaced."""

    def see(text: Text) -> str:
        return restored(checker.see(text), originals)

    return Walk(see).json(document, "other", "")
