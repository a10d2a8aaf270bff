"""Renewing one account: step by step, against a real store and a loopback identity server."""

import asyncio

import msgspec
import pytest
from tests.plays.workos import told
from tests.providers.oauth.accounts_scene import scene

from gatewright.providers.auth.seam import CredentialFailed
from gatewright.providers.oauth.descriptions import BY_NAME
from gatewright.providers.oauth.renewal import LoginLost, Renewal
from gatewright.transport.plain_fetch import PlainFetch


def renewal(s, store=None) -> Renewal:
    description = msgspec.structs.replace(BY_NAME["ob1"], token_url=f"{s.workos.url}/token")
    return Renewal(description, store or s.store, PlainFetch({}), clock=s.clock)


async def test_it_is_written_down_before_it_is_sent_and_saved_before_it_is_given(tmp_path):
    """What a process that dies at either moment leaves behind."""
    async with scene(tmp_path) as s:
        account = await s.log_in()
        seen = []

        async def look(token):
            (kept,) = await s.store.all()
            seen.append((kept.generation, kept.pending_since))

        s.workos.hook = look
        renewed = await renewal(s).renew(account)
        assert seen == [(1, s.clock())]
        assert (await s.store.all()) == (renewed,)
        assert (renewed.generation, renewed.tokens.refresh, renewed.pending_since) == (2, "rt-ann-2", None)


async def test_the_identity_stays_as_it_was_looked_up(tmp_path):
    """A refresh says less of who it is than the login did; what was chosen then holds."""
    async with scene(tmp_path) as s:
        account = await s.log_in()
        renewed = await renewal(s).renew(account)
        assert renewed.identity == {"org_id": "org-ann", "user_id": "user_ann"}


async def test_tokens_that_another_process_got_are_taken(tmp_path):
    """Nothing is sent for them."""
    async with scene(tmp_path) as s:
        account = await s.log_in()
        other = s.open()
        theirs = await renewal(s, other).renew(account)
        assert await renewal(s).renew(account) == theirs
        assert s.workos.refreshes == ["rt-ann-1"]
        await other.close()


async def test_while_another_process_is_at_it_it_is_waited_for(tmp_path):
    """And its result taken."""
    async with scene(tmp_path) as s:
        account = await s.log_in()
        other = s.open()
        go = asyncio.Event()

        async def wait(token):
            await go.wait()

        s.workos.hook = wait
        theirs = asyncio.create_task(renewal(s, other).renew(account))
        while not s.workos.refreshes:
            await asyncio.sleep(0.01)
        ours = asyncio.create_task(renewal(s).renew(account))
        await asyncio.sleep(0.3)
        assert not ours.done()
        go.set()
        assert await ours == await theirs
        assert s.workos.refreshes == ["rt-ann-1"]
        await other.close()


async def test_who_wants_the_same_waits_for_the_same(tmp_path):
    """A token is sent once, whoever asks: the keeper that takes up what a dead process left, and a call beside it."""
    async with scene(tmp_path) as s:
        account = await s.log_in()
        ours = renewal(s)
        first, second = await asyncio.gather(ours.renew(account), ours.renew(account))
        assert first == second
        assert s.workos.refreshes == ["rt-ann-1"]
        assert not ours._running


@pytest.mark.parametrize("alone", [True, False], ids=["one process", "two"])
async def test_why_a_login_was_lost_is_found_out_once(alone, tmp_path):
    """Who was next in line knows less of it: the token is not sent again, and the reason stands."""
    async with scene(tmp_path) as s:
        account = await s.log_in()
        s.workos.revoke("rt-ann-1")
        await s.store.begin(account.id, 1)  # by one that ended before the answer
        await s.store.end(account.id, 1, reason="", state="active", unanswered=True)
        other = s.open()
        mine = renewal(s)
        two = (mine, mine) if alone else (mine, renewal(s, other))
        lost = await asyncio.gather(*(each.renew(account) for each in two), return_exceptions=True)
        assert [type(one) for one in lost] == [LoginLost, LoginLost]
        assert ["by a process that ended" in one.problem.message for one in lost] == [True, True]
        assert s.workos.refreshes == ["rt-ann-1"]
        (kept,) = await s.store.all()
        assert "by a process that ended" in kept.reason
        assert kept.state == "needs_login"
        assert (await s.store.begin(account.id, 1)).won
        await other.close()


async def test_a_refusal_for_good_marks_the_account(tmp_path):
    """Everybody who looks sees it."""
    async with scene(tmp_path) as s:
        account = await s.log_in()
        s.workos.revoke("rt-ann-1")
        with pytest.raises(LoginLost, match="invalid_grant"):
            await renewal(s).renew(account)
        (kept,) = await s.store.all()
        assert (kept.state, kept.pending_since) == ("needs_login", None)


async def test_a_server_that_is_away_has_used_nothing_up(tmp_path):
    """A later refusal is then not blamed on this try."""
    async with scene(tmp_path) as s:
        account = await s.log_in()
        nowhere = msgspec.structs.replace(BY_NAME["ob1"], token_url="http://127.0.0.1:9/token")
        with pytest.raises(CredentialFailed, match=r"127\.0\.0\.1:9"):
            await Renewal(nowhere, s.store, PlainFetch({}), clock=s.clock).renew(account)
        (kept,) = await s.store.all()
        assert (kept.state, kept.pending_since) == ("active", None)
        assert "127.0.0.1:9" in kept.reason


async def test_an_account_that_is_gone_is_said(tmp_path):
    """Also when it went while the server was asked: what came for it is dropped."""
    async with scene(tmp_path) as s:
        account = await s.log_in()

        async def remove(token):
            await s.store.remove(account.id)

        s.workos.hook = remove
        for _ in range(2):
            with pytest.raises(CredentialFailed, match="it has been removed"):
                await renewal(s).renew(account)
        assert await s.store.all() == ()


async def test_stopping_waits_for_what_runs_but_not_for_ever(tmp_path):
    """A server that never answers does not keep the gateway from stopping."""
    async with scene(tmp_path) as s:
        account = await s.log_in()

        async def hang(token):
            await asyncio.sleep(5)

        s.workos.hook = hang
        made = renewal(s)
        waiter = asyncio.create_task(made.renew(account))
        while not s.workos.refreshes:
            await asyncio.sleep(0.01)
        await made.settle(0.05)
        with pytest.raises(asyncio.CancelledError):
            await waiter


async def test_a_server_that_does_not_rotate_leaves_the_refresh_token_as_it_is(tmp_path):
    """Its answer says nothing of one; ours must not be forgotten for that."""
    async with scene(tmp_path) as s:
        account = await s.log_in()

        async def without(token):
            return told({"access_token": "at-new", "expires_in": 60})

        s.workos.hook = without
        renewed = await renewal(s).renew(account)
        assert (renewed.tokens.access, renewed.tokens.refresh) == ("at-new", "rt-ann-1")
        assert (await s.store.all())[0].tokens.refresh == "rt-ann-1"
