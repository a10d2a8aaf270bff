"""Accounts over a real store, and a loopback identity server that gives and takes their tokens."""

from contextlib import asynccontextmanager

import msgspec
from tests.plays.workos import WorkOS, listening

from gatewright.account import Tokens
from gatewright.providers.auth.seam import Unsigned
from gatewright.providers.oauth.credential import AccountsCredential
from gatewright.providers.oauth.descriptions import BY_NAME
from gatewright.stores.accounts import PURPOSE, AccountStore
from gatewright.stores.sealed import Sealer
from gatewright.transport.plain_fetch import PlainFetch

CALL = Unsigned("POST", "http://api", b"/v1/chat/completions", b"", b"{}")


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """One or more credentials over one store and one identity server."""

    def __init__(self, tmp_path, workos: WorkOS, clock: Clock) -> None:
        self.workos = workos
        self.clock = clock
        self.path = tmp_path / "accounts.db"
        self.store = self.open()
        self.opened: list[AccountsCredential] = []

    def open(self) -> AccountStore:
        return AccountStore(self.path, Sealer(b"k" * 43, PURPOSE), clock=self.clock)

    def credential(self, rotation="sticky", store=None) -> AccountsCredential:
        description = msgspec.structs.replace(BY_NAME["ob1"], token_url=f"{self.workos.url}/token")
        made = AccountsCredential(
            "ob1",
            description,
            store or self.store,
            PlainFetch({}),
            rotation=rotation,
            clock=self.clock,
            chance=lambda: 0.5,
        )
        self.opened.append(made)
        return made

    async def log_in(self, user: str = "ann", *, life_s: float = 3600, refresh: bool = True):
        granted = self.workos.grant(user)
        tokens = Tokens(
            access=granted["access_token"],
            refresh=granted["refresh_token"] if refresh else "",
            obtained_at=self.clock(),
            expires_at=self.clock() + life_s,
        )
        account, _ = await self.store.add("ob1", user, tokens, {"org_id": f"org-{user}"})
        return account


@asynccontextmanager
async def scene(tmp_path):
    clock = Clock()
    workos = WorkOS(clock)
    async with listening(workos):
        made = Scene(tmp_path, workos, clock)
        try:
            yield made
        finally:
            for credential in made.opened:
                await credential.close()
            await made.store.close()


def line(bearer: str) -> bytes:
    return f"authorization: Bearer {bearer}\r\n".encode()
