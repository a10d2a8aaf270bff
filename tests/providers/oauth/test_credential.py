"""Accounts in use: kept fresh, each failing alone. Against a real store and a loopback identity server."""

import asyncio

import pytest
from tests.providers.oauth.accounts_scene import CALL, line, scene

from gatewright.providers.auth.seam import CredentialFailed, Refusal


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
