"""Accounts at rest: sealed, shared by processes, refreshed by one at a time."""

import sqlite3
import stat

import msgspec
import pytest

from gatewright.account import Tokens
from gatewright.stores import accounts as module
from gatewright.stores.accounts import LEASE_S, AccountStore, StoreFailed
from gatewright.stores.holder import here
from gatewright.stores.sealed import Sealer

KEY = b"k" * 43
NOW = 1_700_000_000.0


def tokens(number: int = 1) -> Tokens:
    return Tokens(access=f"access-{number}", refresh=f"refresh-{number}", obtained_at=NOW, expires_at=NOW + 3600)


@pytest.fixture
async def store(tmp_path):
    store = AccountStore(tmp_path / "state" / "accounts.db", Sealer(KEY, module.PURPOSE), clock=lambda: NOW)
    yield store
    await store.close()


async def test_a_login_comes_back_and_its_tokens_are_nowhere_in_the_file(store, tmp_path):
    """Encrypted at rest, the owner's alone."""
    account, replaced = await store.add("ob1", "ann@example.com", tokens(), {"org_id": "org_9"})
    assert not replaced
    assert (await store.all("ob1")) == (account,)
    assert (await store.all("other")) == ()
    assert (account.tokens, account.identity, account.generation) == (tokens(), {"org_id": "org_9"}, 1)
    assert "access-1" not in repr(account)
    folder = tmp_path / "state"
    raw = b"".join(file.read_bytes() for file in folder.iterdir())
    assert b"ann@example.com" in raw
    assert b"access-1" not in raw
    assert b"refresh-1" not in raw
    assert b"org_9" not in raw
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert len(list(folder.iterdir())) == 3


async def test_a_second_login_of_the_same_name_renews_it(store):
    """And takes back whatever stood against it."""
    first, _ = await store.add("ob1", "ann", tokens(), {})
    await store.mark(first.id, 1, "needs_login", "revoked")
    await store.cool(first.id, NOW + 50, "429")
    second, replaced = await store.add("ob1", "ann", tokens(2), {"org_id": "o"})
    assert replaced
    assert (second.id, second.generation, second.state, second.reason, second.cool_until) == (first.id, 2, "active", "", 0)
    other, _ = await store.add("ob2", "ann", tokens(), {})
    assert other.id != first.id


async def test_one_of_two_may_refresh(store, tmp_path):
    """The other sees that it must wait, and later that there is nothing left to do."""
    account, _ = await store.add("ob1", "ann", tokens(), {})
    rival = AccountStore(tmp_path / "state" / "accounts.db", Sealer(KEY, module.PURPOSE), clock=lambda: NOW + 1)
    assert (await store.begin(account.id, 1)).won
    refused = await rival.begin(account.id, 1)
    assert (refused.won, refused.account.generation) == (False, 1)
    saved = await store.finish(account.id, 1, tokens(2), {})
    assert saved.generation == 2
    late = await rival.begin(account.id, 1)
    assert (late.won, late.account.tokens) == (False, tokens(2))
    assert (await rival.begin(account.id, 2)).won
    await rival.close()


async def test_a_lease_ends_and_the_unanswered_refresh_is_remembered(store, tmp_path):
    """Whoever takes over knows that the token may have been used."""
    account, _ = await store.add("ob1", "ann", tokens(), {})
    await store.begin(account.id, 1)
    rival = AccountStore(tmp_path / "state" / "accounts.db", Sealer(KEY, module.PURPOSE), clock=lambda: NOW + LEASE_S)
    begun = await rival.begin(account.id, 1)
    assert (begun.won, begun.unanswered_since) == (True, NOW)
    await rival.close()


async def test_a_lease_of_the_dead_ends_at_once(store, tmp_path):
    """Waiting would let the time pass in which a used token is accepted once more."""
    account, _ = await store.add("ob1", "ann", tokens(), {})
    await store.begin(account.id, 1)
    assert await store.abandoned("ob1") == ()
    former = msgspec.structs.replace(here(), mark="killed").text()
    with sqlite3.connect(tmp_path / "state" / "accounts.db") as db:
        db.execute("update accounts set holder = ?", (former,))
    assert await store.abandoned("ob1") == (account.id,)
    assert await store.abandoned("other") == ()
    begun = await store.begin(account.id, 1)
    assert (begun.won, begun.unanswered_since) == (True, NOW)


async def test_a_late_answer_is_saved_unless_a_later_one_is_there(store):
    """A process that was suspended beyond its lease still holds the only good token; or an old one."""
    account, _ = await store.add("ob1", "ann", tokens(), {})
    await store.begin(account.id, 1)
    await store.mark(account.id, 1, "needs_login", "the other was told that it is used")
    saved = await store.finish(account.id, 1, tokens(2), {})
    assert (saved.tokens, saved.state, saved.reason, saved.pending_since) == (tokens(2), "active", "", None)
    stale = await store.finish(account.id, 1, tokens(3), {})
    assert stale.tokens == tokens(2)


@pytest.mark.parametrize("unanswered", [True, False])
async def test_a_refresh_without_tokens_says_why(store, unanswered):
    """And whether the token may have been used."""
    account, _ = await store.add("ob1", "ann", tokens(), {})
    await store.begin(account.id, 1)
    await store.end(account.id, 1, reason="no answer", state="active", unanswered=unanswered)
    (after,) = await store.all()
    assert (after.reason, after.state, after.pending_since) == ("no answer", "active", NOW if unanswered else None)
    assert (await store.begin(account.id, 1)).won


async def test_marks_do_not_hit_newer_tokens(store):
    """What was true of the old token is not of the new."""
    account, _ = await store.add("ob1", "ann", tokens(), {})
    await store.add("ob1", "ann", tokens(2), {})
    await store.mark(account.id, 1, "needs_login", "refused")
    assert [a.state for a in await store.all()] == ["active"]


async def test_what_is_removed_is_gone_also_for_a_running_refresh(store):
    """A refresh that ends later brings nothing back."""
    account, _ = await store.add("ob1", "ann", tokens(), {})
    await store.begin(account.id, 1)
    assert await store.remove(account.id)
    assert not await store.remove(account.id)
    assert await store.finish(account.id, 1, tokens(2), {}) is None
    assert (await store.begin(account.id, 1)).account is None
    assert await store.all() == ()


async def test_another_key_leaves_the_accounts_unreadable_and_unharmed(store, tmp_path):
    """With the right key they are as before."""
    account, _ = await store.add("ob1", "ann", tokens(), {})
    wrong = AccountStore(tmp_path / "state" / "accounts.db", Sealer(b"o" * 43, module.PURPOSE))
    (seen,) = await wrong.all()
    assert (seen.state, seen.tokens, seen.name) == ("unreadable", None, "ann")
    assert "another secret key" in seen.reason
    assert not (await wrong.begin(account.id, 1)).won
    await wrong.close()
    assert await store.all() == (account,)


async def test_one_damaged_row_does_not_hide_the_others(store, tmp_path):
    """Nor does one account's row open as another's."""
    ann, _ = await store.add("ob1", "ann", tokens(), {})
    bob, _ = await store.add("ob1", "bob", tokens(2), {})
    with sqlite3.connect(tmp_path / "state" / "accounts.db") as db:
        db.execute("update accounts set sealed = (select sealed from accounts where id = ?) where id = ?", (ann.id, bob.id))
    states = {a.name: (a.state, a.reason) for a in await store.all()}
    assert states == {"ann": ("active", ""), "bob": ("unreadable", "it is damaged")}


async def test_a_damaged_file_is_named_with_what_to_do(tmp_path):
    """And is left as it is."""
    path = tmp_path / "accounts.db"
    path.write_bytes(b"this is not a database, " * 100)
    store = AccountStore(path, Sealer(KEY, module.PURPOSE))
    with pytest.raises(StoreFailed, match=r"accounts.db.*not a database.*move it away"):
        await store.all()
    await store.close()
    assert path.read_bytes().startswith(b"this is not")


async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """Containers often have read-only file systems."""
    (tmp_path / "file").write_text("")
    store = AccountStore(tmp_path / "file" / "accounts.db", Sealer(KEY, module.PURPOSE))
    with pytest.raises(StoreFailed, match="can be written"):
        await store.all()
    await store.close()
