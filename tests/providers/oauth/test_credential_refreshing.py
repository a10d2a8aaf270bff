"""Refreshes that go wrong: no token is lost, whatever fails, and whoever dies."""

import asyncio

import pytest
from tests.plays.workos import answer, told
from tests.providers.oauth.accounts_scene import CALL, line, scene

from gatewright.errors import Problem
from gatewright.providers.auth.seam import CredentialFailed
from gatewright.providers.oauth import held


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
