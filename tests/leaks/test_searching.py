"""The search itself: what cannot find cannot prove that nothing is there."""

import base64
import sqlite3

import zstandard

from tests.leaks.searching import Search
from tests.leaks.seeded import COUNT, Seeded


def test_there_are_five_hundred_and_no_two_are_alike():
    """Nor does one stand within another, which would be found in its place."""
    secrets = Seeded().all
    assert len(set(secrets)) == COUNT == len(Seeded().all)
    assert secrets == Seeded().all
    assert not [one for one in secrets for other in secrets if one is not other and one in other]


def test_every_one_is_found_wherever_it_is(tmp_path):
    """In a file, a table, a compressed body within a table, a header's base64, a URL."""
    secrets = Seeded().all
    search = Search(secrets)
    (tmp_path / "deep").mkdir()
    with sqlite3.connect(tmp_path / "deep" / "some.db") as database:
        database.execute("create table bodies (body blob)")
        packed = zstandard.ZstdCompressor().compress("\n".join(secrets[0::4]).encode())
        database.execute("insert into bodies values (?)", (b"before" + packed + b"behind",))
    database.close()
    (tmp_path / "log").write_text("\n".join(f"a {secret}," for secret in secrets[1::4]))
    (tmp_path / "packed.zst").write_bytes(zstandard.ZstdCompressor().compress("".join(f"[{s}]" for s in secrets[2::4]).encode()))
    (tmp_path / "coded").write_bytes(b"\n".join(base64.b64encode(secret.encode()) for secret in secrets[3::4]))
    assert set().union(*search.in_folder(tmp_path).values()) == set(secrets)
    assert search.found(b"nothing of that kind") == set()
