"""The gateway's stacks behind the keys of identity providers: who brings a token waits for those, if they are not there yet.

One rule: it decides nothing. `authenticate` judges the token, with the keys or without them.
"""

import asyncio
from collections.abc import Awaitable

from gatewright.exchange import Exchange, Reply
from gatewright.issuers.tokens import Head, IssuedTokens
from gatewright.pipeline import Stacks
from gatewright.transport.strand import back_to, in_a_task


class Prepared(Stacks):
    def __init__(self, stacks: Stacks, tokens: IssuedTokens) -> None:
        super().__init__(stacks.by_operation, stacks.responses, stacks.otherwise)
        self._tokens = tokens

    def handle(self, exchange: Exchange) -> Awaitable[Reply]:
        head = self._tokens.lacking(exchange)
        return super().handle(exchange) if head is None else self._later(exchange, head)

    async def _later(self, exchange: Exchange, head: Head) -> Reply:
        left = await in_a_task()
        # Whoever leaves meanwhile takes nobody's keys with him.
        await asyncio.shield(asyncio.ensure_future(head.issuer.keys.fetch(head.kid)))
        await back_to(left)
        return await super().handle(exchange)
