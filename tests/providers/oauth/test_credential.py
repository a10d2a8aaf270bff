"""Accounts in use: whose turn it is, kept fresh, each failing alone. Against a real store and a loopback identity server."""

import asyncio
from contextlib import asynccontextmanager

import msgspec
import pytest
from tests.plays.workos import WorkOS, answer, listening, told

from gatewright.account import Tokens
from gatewright.errors import Problem
from gatewright.providers.auth.seam import CredentialFailed, Refusal, Unsigned
from gatewright.providers.oauth import held
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


async def test_a_call_carries_token_and_organisation(tmp_path):
    """`token:org`, as OB-1 wants it."""
    async with scene(tmp_path) as s:
        await s.log_in()
        assert await s.credential().sign(CALL) == line("at-ann-1:org-ann")
        assert s.workos.refreshes == []


async def test_nobody_logged_in_is_said_with_the_command(tmp_path):
    """And a login serves at once, without a restart."""
    async with scene(tmp_path) as s:
        credential = s.credential()
        with pytest.raises(CredentialFailed, match=r"provider 'ob1'.*nobody is logged in.*gatewright login ob1"):
            await credential.sign(CALL)
        await s.log_in()
        assert await credential.sign(CALL) == line("at-ann-1:org-ann")


async def test_a_hundred_calls_at_expiry_cause_one_refresh(tmp_path):
    """Each further one would burn the token that the one before was given."""
    async with scene(tmp_path) as s:
        await s.log_in()
        credential = s.credential()
        await credential.sign(CALL)
        s.clock.now += 3600
        signed = await asyncio.gather(*(credential.sign(CALL) for _ in range(100)))
        assert set(signed) == {line("at-ann-2:org-ann")}
        assert s.workos.refreshes == ["rt-ann-1"]
        (kept,) = await s.store.all()
        assert (kept.tokens.access, kept.tokens.refresh, kept.generation) == ("at-ann-2", "rt-ann-2", 2)


async def test_a_hundred_refusals_cause_one_refresh(tmp_path):
    """A token revoked early: everybody hears 401 at once."""
    async with scene(tmp_path) as s:
        await s.log_in()
        credential = s.credential()
        signed = await credential.sign(CALL)
        again = await asyncio.gather(*(credential.refused(CALL, Refusal(401, signed)) for _ in range(100)))
        assert all(again)
        assert s.workos.refreshes == ["rt-ann-1"]
        assert await credential.sign(CALL) == line("at-ann-2:org-ann")


async def test_it_is_refreshed_ahead_of_its_end_while_the_old_one_serves(tmp_path):
    """600 s ahead; nobody waits for it."""
    async with scene(tmp_path) as s:
        await s.log_in()
        credential = s.credential()
        await credential.sign(CALL)
        s.clock.now += 2900
        assert await credential.sign(CALL) == line("at-ann-1:org-ann")
        assert s.workos.refreshes == []
        s.clock.now += 150  # 550 s are left
        assert await credential.sign(CALL) == line("at-ann-1:org-ann")
        async with asyncio.timeout(5):
            while await credential.sign(CALL) != line("at-ann-2:org-ann"):
                await asyncio.sleep(0.01)
        assert s.workos.refreshes == ["rt-ann-1"]


async def test_a_short_life_is_not_refreshed_all_the_time(tmp_path):
    """An access token of five minutes is always within 600 s of its end."""
    async with scene(tmp_path) as s:
        await s.log_in(life_s=300)
        credential = s.credential()
        for _ in range(20):
            await credential.sign(CALL)
            s.clock.now += 10
        assert s.workos.refreshes == []


async def test_two_processes_refresh_once(tmp_path):
    """Each with its own store and credential; a rotating token is used by one of them."""
    async with scene(tmp_path) as s:
        await s.log_in()
        rival_store = s.open()
        one, two = s.credential(), s.credential(store=rival_store)
        await asyncio.gather(one.sign(CALL), two.sign(CALL))
        s.clock.now += 3600
        s.workos.grace_s = 0
        signed = await asyncio.gather(*(credential.sign(CALL) for credential in (one, two) for _ in range(20)))
        assert set(signed) == {line("at-ann-2:org-ann")}
        assert s.workos.refreshes == ["rt-ann-1"]
        await rival_store.close()


async def test_a_revoked_refresh_token_asks_for_a_login_and_the_next_account_serves(tmp_path):
    """The others do not feel it; nobody asks again in vain."""
    async with scene(tmp_path) as s:
        ann = await s.log_in("ann")
        await s.log_in("bob")
        credential = s.credential()
        assert await credential.sign(CALL) == line("at-ann-1:org-ann")
        s.workos.revoke("rt-ann-1")
        signed = await credential.sign(CALL)
        assert await credential.refused(CALL, Refusal(401, signed))
        for _ in range(3):
            assert await credential.sign(CALL) == line("at-bob-2:org-bob")
        assert s.workos.refreshes == ["rt-ann-1"]
        kept = {account.name: account for account in await s.store.all()}
        assert (kept["ann"].id, kept["ann"].state) == (ann.id, "needs_login")
        assert "Refresh token already exchanged" in kept["ann"].reason
        assert "gatewright login ob1" in kept["ann"].reason
        assert "sent before" not in kept["ann"].reason
        assert kept["bob"].state == "active"


async def test_the_only_account_lost_is_told_to_the_caller(tmp_path):
    """With provider, account and what to do; never with a token."""
    async with scene(tmp_path) as s:
        await s.log_in()
        credential = s.credential()
        signed = await credential.sign(CALL)
        s.workos.revoke("rt-ann-1")
        with pytest.raises(CredentialFailed) as caught:
            await credential.refused(CALL, Refusal(401, signed))
        with pytest.raises(CredentialFailed) as later:
            await credential.sign(CALL)
        for error in (caught.value, later.value):
            for part in ("ob1", "ann", "gatewright login ob1", "invalid_grant"):
                assert part in str(error)
            assert "rt-" not in str(error)
            assert "at-" not in str(error)


async def test_refused_right_after_a_refresh_means_a_login(tmp_path):
    """The API itself has had enough of the account: refreshing for ever helps nobody."""
    async with scene(tmp_path) as s:
        await s.log_in("ann")
        await s.log_in("bob")
        credential = s.credential()
        signed = await credential.sign(CALL)
        assert await credential.refused(CALL, Refusal(401, signed))
        again = await credential.sign(CALL)
        assert again == line("at-ann-3:org-ann")
        assert await credential.refused(CALL, Refusal(401, again))
        assert await credential.sign(CALL) == line("at-bob-2:org-bob")
        states = {account.name: account.state for account in await s.store.all()}
        assert states == {"ann": "needs_login", "bob": "active"}
        assert s.workos.refreshes == ["rt-ann-1"]


async def test_rate_limits_let_one_account_rest(tmp_path):
    """As long as the API says; then it is back."""
    async with scene(tmp_path) as s:
        await s.log_in("ann")
        await s.log_in("bob")
        credential = s.credential()
        signed = await credential.sign(CALL)
        assert await credential.refused(CALL, Refusal(429, signed, retry_after_s=40))
        second = await credential.sign(CALL)
        assert second == line("at-bob-2:org-bob")
        assert not await credential.refused(CALL, Refusal(429, second, retry_after_s=60))
        with pytest.raises(CredentialFailed) as caught:
            await credential.sign(CALL)
        assert (caught.value.problem.kind, caught.value.problem.retry_after_s) == ("rate_limit", 40)
        assert [account.cool_until - s.clock() for account in await s.store.all()] == [40, 60]
        s.clock.now += 41
        assert await credential.sign(CALL) == signed


async def test_a_rest_survives_a_restart(tmp_path):
    """Another process does not run into the same wall."""
    async with scene(tmp_path) as s:
        await s.log_in("ann")
        await s.log_in("bob")
        first = s.credential()
        await first.refused(CALL, Refusal(429, await first.sign(CALL), retry_after_s=40))
        assert await s.credential().sign(CALL) == line("at-bob-2:org-bob")


@pytest.mark.parametrize(
    ("status", "others", "rests_s", "again"), [(429, 0, 0, False), (402, 1, 600, True), (503, 1, 5, False), (503, 0, 0, False)]
)
async def test_how_long_an_account_rests(status, others, rests_s, again, tmp_path):
    """The last one that works is not sent to rest for what is not its own or was not asked for."""
    async with scene(tmp_path) as s:
        await s.log_in("ann")
        for i in range(others):
            await s.log_in(f"other{i}")
        credential = s.credential()
        assert await credential.refused(CALL, Refusal(status, await credential.sign(CALL))) is again
        assert (await s.store.all())[0].cool_until == (s.clock() + rests_s if rests_s else 0)


async def test_a_rest_has_a_bound(tmp_path):
    """Whatever the API says."""
    async with scene(tmp_path) as s:
        await s.log_in("ann")
        credential = s.credential()
        await credential.refused(CALL, Refusal(429, await credential.sign(CALL), retry_after_s=1e7))
        assert (await s.store.all())[0].cool_until == s.clock() + 3600


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        ("sticky", ["ann", "ann", "ann", "ann"]),
        ("round-robin", ["ann", "bob", "cat", "ann"]),
        ("random", ["bob", "bob", "bob", "bob"]),
    ],
)
async def test_rotation(rotation, expected, tmp_path):
    """Whose turn it is."""
    async with scene(tmp_path) as s:
        for user in ("ann", "bob", "cat"):
            await s.log_in(user)
        credential = s.credential(rotation)
        signed = [await credential.sign(CALL) for _ in range(4)]
        assert [text.decode().split("org-")[1].strip() for text in signed] == expected


async def test_sticky_stays_with_whom_it_went_to(tmp_path):
    """The caches are warm there by now."""
    async with scene(tmp_path) as s:
        await s.log_in("ann")
        await s.log_in("bob")
        credential = s.credential()
        await credential.refused(CALL, Refusal(429, await credential.sign(CALL), retry_after_s=10))
        assert b"org-bob" in await credential.sign(CALL)
        s.clock.now += 11
        assert b"org-bob" in await credential.sign(CALL)


@pytest.mark.parametrize(
    ("reply", "told_so"),
    [
        (answer(b"<html>Please log in</html>", content_type="text/html"), "answered 200 with text/html instead of JSON"),
        (answer(b"<html>Bad gateway</html>", status=502, content_type="text/html"), "answered 502 with text/html"),
        (told({"access_token": ""}), "no usable access token"),
        (told({"access_token": "a b\r\nx: y"}), "no usable access token"),
        (told({"error": "invalid_client"}, 401), "see the provider's oauth section"),
        (told({"error": "server_error"}, 500), "refused with 'server_error'"),
        (told([], 200), "instead of JSON"),
    ],
)
async def test_a_token_endpoint_that_answers_nonsense_loses_nothing(reply, told_so, tmp_path):
    """Told with provider, account and host; the account goes on when it is mended."""
    async with scene(tmp_path) as s:
        await s.log_in()
        s.clock.now += 3600

        async def broken():
            return reply

        s.workos.broken = broken
        credential = s.credential()
        with pytest.raises(CredentialFailed) as caught:
            await credential.sign(CALL)
        for part in ("provider 'ob1'", "ann", f"127.0.0.1:{s.workos.port}", told_so):
            assert part in str(caught.value)
        assert "rt-" not in str(caught.value)
        (kept,) = await s.store.all()
        assert kept.state == "active"
        assert kept.reason
        s.workos.broken = None
        s.clock.now += 100
        assert await credential.sign(CALL) == line("at-ann-2:org-ann")


async def test_a_token_endpoint_that_hangs_is_waited_for_within_bounds(tmp_path, monkeypatch):
    """The old token serves meanwhile; without one the caller hears of it."""
    monkeypatch.setattr("gatewright.providers.oauth.exchange.TIMEOUT_S", 0.2)
    async with scene(tmp_path) as s:
        await s.log_in()

        async def hang():
            await asyncio.sleep(30)
            raise AssertionError

        s.workos.broken = hang
        credential = s.credential()
        await credential.sign(CALL)
        s.clock.now += 3100
        assert await credential.sign(CALL) == line("at-ann-1:org-ann")
        await asyncio.sleep(0.4)
        s.clock.now += 600
        with pytest.raises(CredentialFailed, match=r"no answer within 0\.2 s"):
            await credential.sign(CALL)
        (kept,) = await s.store.all()
        assert (kept.state, kept.pending_since is not None) == ("active", True)


async def test_an_answer_that_is_lost_is_asked_for_again(tmp_path):
    """The connection broke after the server had used the token up; within its grace it gives the same pair again."""
    async with scene(tmp_path) as s:
        await s.log_in()
        s.clock.now += 3600
        lost = [b""]

        async def hook(token):
            return lost.pop() if lost else None

        s.workos.hook = hook
        credential = s.credential()

        with pytest.raises(CredentialFailed):
            await asyncio.wait_for(credential.sign(CALL), 20)
        s.clock.now += 2
        assert await credential.sign(CALL) == line("at-ann-2:org-ann")
        assert s.workos.refreshes == ["rt-ann-1", "rt-ann-1"]
        (kept,) = await s.store.all()
        assert (kept.tokens.refresh, kept.pending_since) == ("rt-ann-2", None)


async def test_a_waiter_that_leaves_does_not_end_the_refresh(tmp_path):
    """Clients hang up; the token that was granted is saved all the same."""
    async with scene(tmp_path) as s:
        await s.log_in()
        s.clock.now += 3600
        go = asyncio.Event()

        async def hook(token):
            await go.wait()

        s.workos.hook = hook
        credential = s.credential()
        waiter = asyncio.create_task(credential.sign(CALL))
        while not s.workos.refreshes:
            await asyncio.sleep(0.01)
        waiter.cancel()
        closing = asyncio.create_task(credential.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
        go.set()
        await closing
        (kept,) = await s.store.all()
        assert (kept.tokens.refresh, kept.generation, kept.pending_since) == ("rt-ann-2", 2, None)


async def test_a_disk_that_refuses_loses_no_token(tmp_path, monkeypatch):
    """It is used from memory, and saved when that can be done again."""
    monkeypatch.setattr("gatewright.providers.oauth.renewal.SAVE_AGAIN_S", 0.01)
    async with scene(tmp_path) as s:
        await s.log_in()
        s.clock.now += 3600
        finish = s.store.finish
        full = True

        async def refuse(*args):
            if full:
                raise CredentialFailed(Problem(kind="internal", message="disk full"))
            return await finish(*args)

        monkeypatch.setattr(s.store, "finish", refuse)
        credential = s.credential()
        assert await credential.sign(CALL) == line("at-ann-2:org-ann")
        assert (await s.store.all())[0].generation == 1
        full = False
        await credential.renewal.save()
        (kept,) = await s.store.all()
        assert (kept.tokens.refresh, kept.generation) == ("rt-ann-2", 2)


async def test_an_account_removed_meanwhile_is_used_no_more(tmp_path):
    """`gatewright accounts remove` works on a gateway that runs."""
    async with scene(tmp_path) as s:
        ann = await s.log_in("ann")
        await s.log_in("bob")
        credential = s.credential()
        await credential.sign(CALL)
        await s.store.remove(ann.id)
        s.clock.now += 3600
        assert b"org-bob" in await credential.sign(CALL)


async def test_a_login_without_refresh_token_ends_with_its_token(tmp_path):
    """And says so."""
    async with scene(tmp_path) as s:
        await s.log_in(refresh=False)
        credential = s.credential()
        await credential.sign(CALL)
        s.clock.now += 3600
        with pytest.raises(CredentialFailed, match="came without a refresh token; log in again"):
            await credential.sign(CALL)


async def test_tokens_are_scrubbed_from_what_the_api_says(tmp_path):
    """It may quote them."""
    async with scene(tmp_path) as s:
        await s.log_in()
        credential = s.credential()
        await credential.sign(CALL)
        assert credential.scrub(b"bad at-ann-1 and rt-ann-1") == b"bad *** and ***"


async def test_what_another_process_left_unanswered_is_taken_up_at_once(tmp_path, monkeypatch):
    """Within the grace of the identity server; nobody has to call for it."""
    async with scene(tmp_path) as s:
        account = await s.log_in()
        await s.store.begin(account.id, 1)
        await s.workos._refresh("rt-ann-1")  # the dead process was heard
        monkeypatch.setattr("gatewright.stores.accounts.surely_dead", lambda holder, me: True)
        credential = s.credential()
        credential.start()
        async with asyncio.timeout(5):
            while (await s.store.all())[0].generation == 1:
                await asyncio.sleep(0.01)
        (kept,) = await s.store.all()
        assert (kept.tokens.refresh, kept.pending_since) == ("rt-ann-2", None)


async def test_a_token_used_by_a_dead_process_beyond_the_grace_is_told_as_what_it_is(tmp_path, monkeypatch):
    """Not "revoked": the operator should know that nobody stole anything."""
    async with scene(tmp_path) as s:
        account = await s.log_in()
        await s.store.begin(account.id, 1)
        await s.workos._refresh("rt-ann-1")
        s.clock.now += 3600
        with pytest.raises(CredentialFailed) as caught:
            await s.credential().sign(CALL)
        assert "sent before, at 2023-11-14 22:13:20 UTC, by a process that ended" in str(caught.value)
        assert "gatewright login ob1" in str(caught.value)
        assert held.PACE.obtain_s < 30
