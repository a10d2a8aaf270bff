"""Peek: the model and whether a stream is wanted, read from the body without building it."""

import re
from typing import Final

from gatewright.errors import Malformed
from gatewright.exchange import Check, Exchange
from gatewright.pipeline.translate import Dialects
from gatewright.wire.json import BadJson, decode

_HALF: Final = re.compile(rb"\\u[dD]")


def check_text(body: bytes) -> None:
    """Raises Malformed where `body`, which is JSON by its signs, holds what is no text: no API takes it, and few say why."""
    try:
        if not body.isascii():
            body.decode("utf-8")
        if 0x5C in body and body.rfind(b"\\u") >= 0 and _HALF.search(body):  # perhaps half of a pair
            decode(body)
    except UnicodeDecodeError as error:
        raise Malformed("", "UTF-8", f"a byte that is none at {error.start}") from None
    except BadJson as error:
        raise Malformed("", "text in Unicode", str(error)) from None


class PeekStage(Check):
    """Sets `exchange.model` and `stream`. Beneath authentication: nobody's body is read for free."""

    def __init__(self, dialects: Dialects) -> None:
        self.dialects = dialects

    def check(self, exchange: Exchange) -> None:
        peek = self.dialects[exchange.dialect].peek(exchange.call)
        if not peek.is_text:
            check_text(exchange.call.body)
        exchange.model = peek.model
        exchange.stream = peek.stream
