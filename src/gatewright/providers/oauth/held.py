"""One account as the gateway uses it: its header line, and when that must be renewed."""

from collections import deque
from collections.abc import Callable

import msgspec

from gatewright.account import Account, AccountState
from gatewright.providers.auth.refreshed import FOREVER, Lease, Pace, Refreshed
from gatewright.providers.oauth.descriptions import Description, bearer
from gatewright.providers.oauth.renewal import LoginLost, Renewal

SPENT_S = 10.0
"""A kept token with less life than this is renewed before it is used."""
KEPT_LINES = 4
"""Lines that calls under way may still be refused with."""
PACE = Pace(obtain_s=20.0, wait_s=22.0)


class Held:
    """An account and its token. Belongs to one event loop."""

    def __init__(
        self,
        account: Account,
        description: Description,
        renewal: Renewal,
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
    ) -> None:
        self.account = account
        self.lines: deque[bytes] = deque(maxlen=KEPT_LINES)
        """What has been signed with lately."""
        self._description = description
        self._renewal = renewal
        self._clock = clock
        self._given = 0
        self._token = Refreshed(self._obtain, clock=clock, chance=chance, pace=PACE)

    @property
    def failing(self) -> bool:
        """Whether its last refresh failed, and it is too early for another."""
        return self._token.again_in_s > 0

    async def line(self) -> bytes:
        """The header line to sign with. Raises CredentialFailed, or RefreshTookTooLong."""
        return self._remembered(await self._token.get())

    async def instead_of(self, refused: bytes) -> bytes:
        """Another line; the same one where that has been refused right after a refresh. Raises as `line`."""
        return self._remembered(await self._token.replace(refused))

    async def take_up(self) -> None:
        """Renew now: a dead process began to, and most identity providers accept a used token for some seconds only.

        Raises CredentialFailed.
        """
        await self._renewed()

    def takes(self, account: Account) -> bool:
        """Take over what the store says; False where the tokens are others than these and it is time to begin anew.

        Of one set of tokens things only get worse: what the store was asked before we wrote to it is not taken back.
        """
        if account.generation > self.account.generation or account.tokens is None or self.account.tokens is None:
            return False
        if account.generation == self.account.generation:
            cool_until = max(account.cool_until, self.account.cool_until)
            lost = self.account.state == "needs_login"
            state, reason = (self.account.state, self.account.reason) if lost else (account.state, account.reason)
            self.account = msgspec.structs.replace(account, cool_until=cool_until, state=state, reason=reason)
        return True  # a lower one: ours could not be saved yet

    def rest(self, until: float) -> None:
        self.account = msgspec.structs.replace(self.account, cool_until=until)

    def mark(self, state: AccountState, reason: str) -> None:
        self.account = msgspec.structs.replace(self.account, state=state, reason=reason)

    def scrub(self, text: bytes) -> bytes:
        """`text` without this account's tokens."""
        tokens = self.account.tokens
        if tokens is None:
            return text
        for secret in (tokens.access, tokens.refresh):
            if secret and secret.encode() in text:
                text = text.replace(secret.encode(), b"***")
        return text

    async def close(self) -> None:
        await self._token.close()

    async def _obtain(self) -> Lease[bytes]:
        """What is kept, if it has not been given out and lives; else what a renewal brings."""
        account = self.account
        if account.tokens is None or account.generation == self._given or self._spent(account):
            account = await self._renewed()
        tokens = account.tokens
        assert tokens is not None, "a renewal ends with tokens"
        self._given = account.generation
        line = b"authorization: Bearer %b\r\n" % bearer(self._description, tokens.access, account.identity).encode(
            "latin-1", "replace"
        )
        if tokens.expires_at is None:
            return Lease(line, FOREVER)
        ahead_s = min(self._description.refresh_ahead_s, (tokens.expires_at - tokens.obtained_at) / 4)
        return Lease(line, tokens.expires_at, tokens.expires_at - max(ahead_s, 0.0))

    async def _renewed(self) -> Account:
        try:
            self.account = await self._renewal.renew(self.account)
        except LoginLost as error:
            self.mark("needs_login", error.problem.message.partition("cannot be used: ")[2])
            raise
        return self.account

    def _spent(self, account: Account) -> bool:
        assert account.tokens is not None
        ends = account.tokens.expires_at
        return ends is not None and ends - self._clock() <= min(SPENT_S, (ends - account.tokens.obtained_at) / 10)

    def _remembered(self, line: bytes) -> bytes:
        if line not in self.lines:
            self.lines.append(line)
        return line
