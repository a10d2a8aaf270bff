"""Peek: the model and whether a stream is wanted, read from the body without building it."""

from gatewright.exchange import Exchange, Next, Reply
from gatewright.pipeline.translate import Dialects


class PeekStage:
    """Sets `exchange.model` and `stream`. Beneath authentication: nobody's body is read for free."""

    def __init__(self, dialects: Dialects) -> None:
        self.dialects = dialects

    async def __call__(self, exchange: Exchange, following: Next) -> Reply:
        peek = self.dialects[exchange.dialect].peek(exchange.call)
        exchange.model = peek.model
        exchange.stream = peek.stream
        return await following(exchange)
