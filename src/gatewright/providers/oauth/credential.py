"""The credential of a provider that people log in to: its accounts, taken in turn, kept fresh, each failing alone.

    sign ─▶ whose turn? (rotation) ─▶ its token (refreshed ahead of its end, by one process) ─▶ authorization: Bearer …
    refused: 401 ─▶ refresh once, then out until somebody logs in    402, 429 ─▶ rest    5xx ─▶ a short rest, if there are others

One rule: what one account suffers no other one feels.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from gatewright.errors import GatewrightError
from gatewright.providers.auth.refreshed import RefreshTookTooLong
from gatewright.providers.auth.seam import CredentialFailed, Fetch, Refusal, Unsigned, failed
from gatewright.providers.oauth.descriptions import Description
from gatewright.providers.oauth.held import Held
from gatewright.providers.oauth.renewal import Book, Renewal
from gatewright.providers.oauth.rotation import Rotation, order

Result = TypeVar("Result")

REST_S: Final[Mapping[int, float]] = {402: 600, 429: 30, 500: 5, 502: 5, 503: 5, 504: 5, 529: 5}
"""How long an account rests after such an answer, if that does not say."""
MAX_REST_S: Final = 3600.0
ITS_OWN: Final = frozenset({402, 429})
"""Answers that are about the account, so that another may do better at once."""
LOOK_EVERY_S: Final = 5.0
"""Between two looks at the store: for logins, removals, and refreshes that a dead process left behind."""
PATIENCE_S: Final = 15.0
"""After so long in vain a call tries no further account."""
LAST_S: Final = 20.0
"""How long a running renewal may go on when the gateway stops."""


class AccountsCredential:
    """A `Credential` of several logins at one provider. Belongs to one event loop."""

    statuses = frozenset({401, *REST_S})
    retries = 4

    def __init__(
        self,
        provider: str,
        description: Description,
        book: Book,
        fetch: Fetch,
        *,
        rotation: Rotation = "sticky",
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self.provider = provider
        self.description = description
        self.renewal = Renewal(description, book, fetch, clock=clock)
        self._book = book
        self._rotation = rotation
        self._clock = clock
        self._chance = chance
        self._held: dict[str, Held] = {}
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None
        self._last = ""
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look after the accounts from now on, also while nobody calls."""
        if self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def sign(self, call: Unsigned) -> bytes:
        self.start()
        if self._read_at is None or not self._usable():
            await self._told(self._read())
        loop = asyncio.get_running_loop()
        ends = loop.time() + PATIENCE_S  # each account's own waiting has its bound
        troubles: dict[str, str] = {}
        for held in self._in_turn():
            try:
                line = await held.line()
            except (GatewrightError, RefreshTookTooLong) as error:
                troubles[held.account.name] = _message(error)
                if loop.time() > ends:
                    break
                continue
            self._last = held.account.id
            return line
        raise self._none(troubles)

    async def refused(self, call: Unsigned, refusal: Refusal) -> bool:
        held = next((held for held in self._held.values() if refusal.signed in held.lines), None)
        if held is None:
            return bool(self._usable())  # it has been removed or renewed meanwhile
        if refusal.status == 401:
            return await self._unauthorized(held, refusal)
        others = any(other is not held for other in self._usable())
        rest_s = refusal.retry_after_s
        if rest_s is None:
            rest_s = REST_S[refusal.status] if others else 0
        if rest_s > 0 and (others or refusal.status in ITS_OWN):
            until = self._clock() + min(rest_s, MAX_REST_S)
            known = held.account.cool_until > until - 1  # many calls hear of one limit
            held.rest(max(until, held.account.cool_until))
            if not known:
                await self._told(self._book.cool(held.account.id, until, f"the API answered {refusal.status}"))
        return others and refusal.status in ITS_OWN

    def scrub(self, text: bytes) -> bytes:
        for held in self._held.values():
            text = held.scrub(text)
        return text

    async def close(self) -> None:
        keeper = self._keeper
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait((keeper,))
        for held in self._held.values():
            await held.close()
        await self.renewal.settle(LAST_S)

    async def _unauthorized(self, held: Held, refusal: Refusal) -> bool:
        try:
            fresh = await held.instead_of(refusal.signed)
        except (GatewrightError, RefreshTookTooLong) as error:
            trouble = _message(error)
        else:
            if fresh != refusal.signed:
                return True
            trouble = f"the API refuses its token right after a refresh (401); log in again: gatewright login {self.provider}"
            held.mark("needs_login", trouble)
            await self._told(self._book.mark(held.account.id, held.account.generation, "needs_login", trouble))
        if any(other is not held for other in self._usable()):
            return True
        raise failed(self.provider, held.account.name, trouble)

    def _usable(self) -> list[Held]:
        now = self._clock()
        return [held for held in self._held.values() if held.account.state == "active" and not held.account.rests(now)]

    def _in_turn(self) -> list[Held]:
        """Usable accounts in the order in which to try them; those that could not be refreshed a moment ago come last."""
        ids = order(self._rotation, [held.account.id for held in self._usable()], self._last, self._chance)
        return sorted((self._held[one] for one in ids), key=lambda held: held.failing)

    def _none(self, troubles: Mapping[str, str]) -> CredentialFailed:
        """Why no account serves."""
        now = self._clock()
        accounts = [held.account for held in self._held.values()]
        if not accounts:
            return failed(self.provider, "", f"nobody is logged in; log in with: gatewright login {self.provider}")
        resting = [account for account in accounts if account.state == "active" and account.rests(now)]
        name = accounts[0].name if len(accounts) == 1 else ""
        if resting and not troubles:
            back_s = max(1.0, min(account.cool_until for account in resting) - now)
            who = "it rests" if name else f"all {len(resting)} accounts that work rest"
            why = f"{who} for {back_s:.0f} s more ({resting[0].reason})"
            return failed(self.provider, name, why, kind="rate_limit", retry_after_s=back_s)
        told = {
            **{account.name: account.reason or account.state for account in accounts if account.state != "active"},
            **troubles,
        }
        if name:
            return failed(self.provider, name, told.get(name, "it does not work"))
        return failed(self.provider, "", "; ".join(f"{who}: {why}" for who, why in list(told.items())[:5]))

    async def _told(self, doing: Awaitable[Result]) -> Result:
        """What it gives. What the store raises is told with the provider's name, and another target may do better."""
        try:
            return await doing
        except CredentialFailed:
            raise
        except GatewrightError as error:
            raise failed(self.provider, "", error.problem.message) from None

    async def _read(self) -> None:
        """Look at the store; those who want to at the same time look together."""
        task = self._reading
        if task is None:
            task = self._reading = asyncio.create_task(self._look())
            task.add_done_callback(self._looked)
        await asyncio.shield(task)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._reading = None
        if not task.cancelled():
            task.exception()

    async def _look(self) -> None:
        accounts = await self._book.all(self.provider)
        found: dict[str, Held] = {}
        for account in accounts:
            held = self._held.get(account.id)
            if held is None or not held.takes(account):
                held = Held(account, self.description, self.renewal, clock=self._clock, chance=self._chance)
            found[account.id] = held
        self._held = found
        self._read_at = self._clock()

    async def _keep(self) -> None:
        """Never ends and never raises: what goes wrong here is told to whoever calls."""
        while True:
            try:
                await self.renewal.save()
                await self._read()
                left = await self._book.abandoned(self.provider)
                due = [*(self._held[one].take_up() for one in left if one in self._held), *(h.line() for h in self._usable())]
                await asyncio.gather(*due, return_exceptions=True)
            except GatewrightError:
                pass
            await asyncio.sleep(LOOK_EVERY_S)


def _message(error: Exception) -> str:
    """The cause without the words that name the provider again."""
    message = error.problem.message if isinstance(error, GatewrightError) else str(error)
    return message.partition("cannot be used: ")[2] or message
