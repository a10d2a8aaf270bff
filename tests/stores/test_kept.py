"""Kept documents: scoped by owner, ended by time, bounded in number, shared by processes."""

from gatewright.stores.kept import Kept, KeptStore


async def test_rows_come_back_to_their_owner_alone(tmp_path):
    """Another key's response does not exist."""
    store = KeptStore(tmp_path / "kept.db")
    await store.put("ann", "response", [Kept("r1", b"{}")], 60)
    assert await store.get("ann", "response", ["r1", "r2"]) == {"r1": b"{}"}
    assert await store.get("bob", "response", ["r1"]) == {}
    assert not await store.delete("bob", "response", "r1")
    assert await store.delete("ann", "response", "r1")
    assert await store.get("ann", "response", ["r1"]) == {}
    await store.close()


async def test_rows_end_by_time(tmp_path):
    """What has ended is not given out, swept or not."""
    now = [1000.0]
    store = KeptStore(tmp_path / "kept.db", clock=lambda: now[0])
    await store.put("ann", "response", [Kept("r1", b"1")], 60)
    now[0] += 59
    assert await store.get("ann", "response", ["r1"]) == {"r1": b"1"}
    now[0] += 2
    assert await store.get("ann", "response", ["r1"]) == {}
    await store.close()


async def test_the_oldest_go_when_there_are_too_many(tmp_path):
    """The file cannot grow without end."""
    now = [1000.0]
    store = KeptStore(tmp_path / "kept.db", clock=lambda: now[0], max_rows=10)
    for i in range(501):
        now[0] += 1
        await store.put("ann", "response", [Kept(f"r{i}", b"x")], 1e6)
    kept = await store.get("ann", "response", [f"r{i}" for i in range(501)])
    assert set(kept) == {f"r{i}" for i in range(491, 501)}
    await store.close()


async def test_two_stores_share_a_file(tmp_path):
    """Workers are processes: what one keeps the other finds, at once."""
    one, two = KeptStore(tmp_path / "kept.db"), KeptStore(tmp_path / "kept.db")
    await one.put("ann", "response", [Kept("r1", b"1")], 60)
    assert await two.get("ann", "response", ["r1"]) == {"r1": b"1"}
    await one.close()
    await two.close()


async def test_file_is_private(tmp_path):
    """Conversations are nobody else's on the machine."""
    store = KeptStore(tmp_path / "state" / "kept.db")
    await store.put("ann", "response", [Kept("r1", b"1")], 60)
    assert (tmp_path / "state" / "kept.db").stat().st_mode & 0o077 == 0
    await store.close()
