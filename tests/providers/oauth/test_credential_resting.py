"""Accounts in use whose provider limits them: how long each rests, and whose turn it is."""

import pytest
from tests.providers.oauth.accounts_scene import CALL, line, scene

from gatewright.providers.auth.seam import CredentialFailed, Refusal


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
