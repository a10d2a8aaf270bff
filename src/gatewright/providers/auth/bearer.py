"""A credential that is one bearer token, obtained and refreshed: service accounts, Entra ID, whatever else issues tokens."""

import logging
from collections.abc import Awaitable, Callable

from gatewright.errors import GatewrightError
from gatewright.providers.auth.refreshed import Lease, Pace, Refreshed, RefreshTookTooLong
from gatewright.providers.auth.seam import CredentialFailed, Refusal, Unsigned, failed

log = logging.getLogger("gatewright")


class BearerToken:
    """A `Credential`: `authorization: Bearer …`. A refused token is replaced once a call."""

    statuses = frozenset((401,))
    retries = 1

    def __init__(
        self,
        provider: str,
        account: str,
        obtain: Callable[[], Awaitable[Lease[str]]],
        *,
        clock: Callable[[], float],
        chance: Callable[[], float],
        pace: Pace = Pace(),  # noqa: B008 - a frozen value
        extra: bytes = b"",
    ) -> None:
        """`account`: who it is, for messages; never secret. `extra`: header lines that go with the token."""
        self.provider = provider
        self.account = account
        self.token = Refreshed(self._obtain, clock=clock, chance=chance, pace=pace)
        self._ask = obtain
        self._extra = extra

    async def sign(self, call: Unsigned) -> bytes:
        return self._lines(await self._told(self.token.get()))

    async def refused(self, call: Unsigned, refusal: Refusal) -> bool:
        current = self.token.current
        if current is None or self._lines(current) != refusal.signed:
            return True  # somebody else was refused, and there is another by now
        return await self._told(self.token.replace(current)) != current

    def scrub(self, text: bytes) -> bytes:
        token = (self.token.current or "").encode()
        return text.replace(token, b"***") if token else text

    async def close(self) -> None:
        await self.token.close()

    async def _obtain(self) -> Lease[str]:
        """A failure ahead of time is nobody's error yet: the log is where an operator can learn of it."""
        try:
            return await self._ask()
        except GatewrightError as error:
            log.warning("no new token of %s for provider '%s': %s", self.account, self.provider, error.problem.message)
            raise

    def _lines(self, token: str) -> bytes:
        return b"authorization: Bearer %b\r\n%b" % (token.encode("latin-1"), self._extra)

    async def _told(self, coming: Awaitable[str]) -> str:
        """The token; what went wrong instead, with the names of provider and account."""
        try:
            return await coming
        except CredentialFailed:
            raise
        except RefreshTookTooLong as error:
            why = f"{error}; is its issuer reachable from here?"
            raise failed(self.provider, self.account, why, kind="timeout", retry_after_s=self.token.again_in_s or 1) from None
        except GatewrightError as error:
            again_s = self.token.again_in_s or None
            raise failed(
                self.provider, self.account, error.problem.message, kind=error.problem.kind, retry_after_s=again_s
            ) from None
