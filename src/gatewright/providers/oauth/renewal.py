"""Renewing one account's tokens: one process at a time, written down before it begins, saved before it is used.

    begin (lease, "about to be sent") ─▶ token endpoint ─▶ finish (saved) ─▶ used
                                                       └─▶ end (why not)

One rule: a refresh token that was granted is never dropped. Whoever waits may leave, the renewal goes on to its end; if the disk
refuses, the tokens are kept here and saving is tried again. The whole argument: docs/adr/0012.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import msgspec

from gatewright.account import Account, AccountState, Tokens
from gatewright.errors import GatewrightError
from gatewright.jsontypes import JsonObject
from gatewright.providers.auth.seam import CredentialFailed, Fetch, failed
from gatewright.providers.oauth.answers import NoGrant, identity_in, tokens_in
from gatewright.providers.oauth.descriptions import Description
from gatewright.providers.oauth.exchange import refresh

LOOK_AGAIN_S = 0.1
"""Between two looks at an account that another process is renewing."""
SAVE_TRIES = 3
SAVE_AGAIN_S = 0.2


class LoginLost(CredentialFailed):
    """Only somebody who logs in helps this account."""


class Begun(Protocol):
    """What became of the wish to refresh; see the store."""

    @property
    def account(self) -> Account | None: ...
    @property
    def won(self) -> bool: ...
    @property
    def unanswered_since(self) -> float | None: ...


class Book(Protocol):
    """Where accounts are kept. Every call may raise GatewrightError; what it returned from is on the disk."""

    async def all(self, provider: str | None = None) -> tuple[Account, ...]: ...
    async def begin(self, account_id: str, generation: int) -> Begun: ...
    async def finish(self, account_id: str, generation: int, tokens: Tokens, identity: Mapping[str, str]) -> Account | None: ...
    async def end(self, account_id: str, generation: int, *, reason: str, state: AccountState, unanswered: bool) -> None: ...
    async def mark(self, account_id: str, generation: int, state: AccountState, reason: str) -> None: ...
    async def cool(self, account_id: str, until: float, reason: str) -> None: ...
    async def abandoned(self, provider: str) -> tuple[str, ...]: ...


class Renewal:
    """Renews accounts of one provider."""

    def __init__(
        self,
        description: Description,
        book: Book,
        fetch: Fetch,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._description = description
        self._book = book
        self._fetch = fetch
        self._clock = clock
        self._sleep = sleep
        self._running: dict[tuple[str, int], asyncio.Task[Account]] = {}
        """By account and the generation that is renewed: who wants the same waits for the same."""
        self._unsaved: dict[str, Account] = {}

    async def renew(self, account: Account) -> Account:
        """The account with newer tokens than these. Cancelling the caller does not end the renewal.

        Raises CredentialFailed; LoginLost where only a login helps, and the account is then marked so.
        """
        if (kept := self._unsaved.get(account.id)) is not None and kept.generation > account.generation:
            return kept
        which = (account.id, account.generation)
        task = self._running.get(which)
        if task is None:
            task = self._running[which] = asyncio.create_task(self._renew(account))
            task.add_done_callback(lambda done: self._done(which, done))
        return await asyncio.shield(task)

    async def save(self) -> None:
        """Try again to save what could not be saved."""
        for account in tuple(self._unsaved.values()):
            assert account.tokens is not None
            await self._book.finish(account.id, account.generation - 1, account.tokens, account.identity)
            self._unsaved.pop(account.id, None)

    async def settle(self, seconds: float) -> None:
        """Let renewals that run come to their end: what has been granted is to be saved."""
        if self._running:
            await asyncio.wait(tuple(self._running.values()), timeout=seconds)
        for task in tuple(self._running.values()):
            task.cancel()

    def _done(self, which: tuple[str, int], task: asyncio.Task[Account]) -> None:
        del self._running[which]
        if not task.cancelled():
            task.exception()  # told to whoever waits; perhaps nobody does any more

    async def _renew(self, account: Account) -> Account:
        if account.id in self._unsaved:
            await self.save()
        while True:
            begun = await self._book.begin(account.id, account.generation)
            now = begun.account
            if now is None:
                raise failed(account.provider, account.name, "it has been removed")
            if now.generation != account.generation:
                return now
            if now.tokens is None:
                raise failed(account.provider, account.name, now.reason)
            if now.state == "needs_login" and account.state != "needs_login":  # found out meanwhile, and said why
                if begun.won:
                    await self._book.end(account.id, account.generation, reason=now.reason, state=now.state, unanswered=False)
                raise LoginLost(failed(account.provider, account.name, now.reason).problem)
            if begun.won:
                return await self._ask(now, now.tokens, begun.unanswered_since)
            await self._sleep(LOOK_AGAIN_S)  # another process is at it; whoever waits here is bounded by its own patience

    async def _ask(self, account: Account, tokens: Tokens, unanswered_since: float | None) -> Account:
        if not tokens.refresh:
            await self._lost(account, "it has ended, and came without a refresh token", None)
        try:
            answer = await refresh(self._description, self._fetch, tokens.refresh)
        except NoGrant as error:
            if error.terminal:
                await self._lost(account, error.problem.message, unanswered_since)
            why = error.problem.message
            await self._book.end(account.id, account.generation, reason=why, state=account.state, unanswered=error.heard)
            raise failed(account.provider, account.name, why, retry_after_s=error.problem.retry_after_s) from None
        granted = tokens_in(answer, self._clock(), kept=tokens.refresh)
        identity = {**account.identity, **self._told(answer, account)}
        return await self._keep(account, granted, identity)

    def _told(self, answer: JsonObject, account: Account) -> dict[str, str]:
        """Parts of the identity that the answer tells anew. What was looked up or chosen stays as it is."""
        return {part: text for part, text in identity_in(answer, self._description).items() if part not in account.identity}

    async def _keep(self, account: Account, tokens: Tokens, identity: Mapping[str, str]) -> Account:
        for attempt in range(SAVE_TRIES):
            try:
                saved = await self._book.finish(account.id, account.generation, tokens, identity)
            except GatewrightError:
                await self._sleep(SAVE_AGAIN_S * (attempt + 1))
                continue
            if saved is None:
                raise failed(account.provider, account.name, "it has been removed")
            return saved
        kept = msgspec.structs.replace(
            account, tokens=tokens, identity=identity, generation=account.generation + 1, state="active", reason=""
        )
        self._unsaved[account.id] = kept
        return kept

    async def _lost(self, account: Account, why: str, unanswered_since: float | None) -> None:
        """Mark an account that only a login helps. Raises LoginLost."""
        if unanswered_since is not None:
            when = dt.datetime.fromtimestamp(unanswered_since, dt.UTC)
            why += (
                f" (its refresh token had been sent before, at {when:%Y-%m-%d %H:%M:%S} UTC, by a process that ended or was cut"
                " off before the answer was saved)"
            )
        why += f"; log in again: gatewright login {account.provider}"
        await self._book.end(account.id, account.generation, reason=why, state="needs_login", unanswered=False)
        raise LoginLost(failed(account.provider, account.name, why).problem)
