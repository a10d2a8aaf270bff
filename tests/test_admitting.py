"""Stored keys in running workers: known within a second, gone within a second, and no harm when the database is away."""

import asyncio
import contextlib
import json
import time

import msgspec
import pytest
import sqlalchemy as sa

from gatewright.admitting import Directory, store_of
from gatewright.config import load_config
from gatewright.principals.records import Key, Team
from gatewright.principals.secrets import digest, new_id, new_key
from gatewright.stores import sql
from gatewright.stores.audit import Actor
from tests.server.load import answering
from tests.server.test_process import served
from tests.serving import call, upstream
from tests.sql_here import ENGINES, postgres_url
from tests.test_reload import until, yaml

BY = Actor("tester", "", "cli")
WITHIN_S = 1.0
BODY = b'{"model": "up/m", "messages": [{"role": "user", "content": "hi"}]}'


async def status(port: int, key: str) -> int:
    headers = f"authorization: Bearer {key}\r\n"
    return (await call(port, "/v1/chat/completions", BODY, headers=headers)).status


async def all_say(port: int, key: str, expected: int, *, asked: int = 24) -> float:
    """Seconds until as many new connections in a row, so all workers, have answered so."""
    began = time.monotonic()
    while time.monotonic() - began < 60:
        since = time.monotonic()
        if all([await status(port, key) == expected for _ in range(asked)]):
            return since - began
    got = await call(port, "/v1/chat/completions", BODY, headers=f"authorization: Bearer {key}\r\n")
    raise AssertionError((expected, got))


async def test_a_key_is_known_and_gone_within_a_second_in_every_worker(tmp_path):
    """Three workers; somebody else writes to the database, as the command line does: nobody tells them but the database itself."""
    async with upstream() as up, served(tmp_path, yaml(up.port), workers=3) as gw:
        answering(up)
        store = store_of(load_config(tmp_path / "gatewright.yaml", {"GATEWRIGHT_HOME": str(tmp_path)}))
        first, key = new_key(), new_key()
        store.create("keys", Key(id=new_id("key"), name="first"), BY, digest=digest(first.encode()))
        await until(lambda: len(tuple((tmp_path / "peers").glob("*.sock"))) == 3, 60)
        await all_say(gw.port, first, 200)  # all workers have started
        record = Key(id=new_id("key"), name="ci")
        store.create("keys", record, BY, digest=digest(key.encode()))
        known_s = await all_say(gw.port, key, 200)
        store.replace("keys", msgspec.structs.replace(record, revoked=int(time.time())), BY, expected=None, action="revoke")
        gone_s = await all_say(gw.port, key, 401)
        print(f"known after {known_s:.2f} s, gone after {gone_s:.2f} s")
        assert known_s < WITHIN_S, known_s
        assert gone_s < WITHIN_S, gone_s


def config_of(tmp_path, more: str = ""):
    file = tmp_path / "gatewright.yaml"
    file.write_text(f"providers: {{demo: {{kind: demo}}}}\nkeys: [{{name: test, key: gw-test-key-of-the-file}}]\n{more}")
    return load_config(file, {"GATEWRIGHT_HOME": str(tmp_path)})


@contextlib.asynccontextmanager
async def watching(config):
    class Nobody:
        def subscribe(self, *_): ...
        def tell(self, *_): ...

    directory = Directory(config)
    stage = directory.stage(config, {})
    await directory.start(Nobody())
    try:
        yield directory, stage
    finally:
        await directory.close()


async def test_nothing_is_made_by_looking(tmp_path):
    """A gateway without stored principals and without a ledger has no database, and does not wait for one."""
    async with watching(config_of(tmp_path)) as (directory, stage):
        await asyncio.sleep(0)
        assert stage.complete
        assert not (tmp_path / "gatewright.db").exists()
        await directory.store()
        assert (tmp_path / "gatewright.db").exists()


async def test_whoever_is_known_stays_known_and_the_rest_are_not_told_that_they_are_wrong(tmp_path):
    """A database that does not answer at the start: declared keys work, and an unknown one may be a stored one."""
    config = config_of(tmp_path, "database: postgresql://nobody@127.0.0.1:1/none\n")
    async with watching(config) as (_, stage):
        assert digest(b"gw-test-key-of-the-file") in stage.principals
        assert not stage.complete


async def test_a_principal_that_has_not_changed_is_the_same_object(tmp_path):
    """Stages remember what they know of a principal by identity; and a change of its team is a change of its own."""
    config = config_of(tmp_path)
    store = store_of(config)
    team = Team(id="red")
    store.create("teams", team, BY)
    for name in ("in", "out"):
        key = Key(id=new_id("key"), name=name, team="red" if name == "in" else "")
        store.create("keys", key, BY, digest=digest(name.encode()))
    async with watching(config) as (directory, stage):
        first = {name: stage.principals[digest(name.encode())] for name in ("in", "out")}
        store.replace("teams", msgspec.structs.replace(team, models=("gpt-*",)), BY, expected=None)
        await directory.changed()
        assert stage.principals[digest(b"out")] is first["out"]
        assert stage.principals[digest(b"in")] is not first["in"]
        assert stage.principals[digest(b"in")].within == (("gpt-*",),)


async def test_a_change_of_one_key_is_all_that_is_read(tmp_path):
    """Of the others nothing is read or made again: what a change costs is not a matter of how many keys there are."""
    config = config_of(tmp_path)
    store = store_of(config)
    for number in range(20):
        store.create("keys", Key(id=f"k{number}", name=f"k{number}"), BY, digest=digest(b"%d" % number))
    async with watching(config) as (directory, stage):
        before = {held.key.id: held for held in stage.roll.stored.keys}
        store.replace("keys", Key(id="k7", name="k7", revoked=1), BY, expected=None, action="revoke")
        store.remove("keys", "k8", BY, expected=None)
        await directory.changed()
        assert stage.roll.barred[digest(b"7")][0] == "key_revoked"
        assert digest(b"7") not in stage.principals
        assert digest(b"8") not in stage.principals
        after = {held.key.id: held for held in stage.roll.stored.keys}
        assert before.keys() - after.keys() == {"k8"}
        assert {name for name, held in after.items() if held is not before[name]} == {"k7"}


async def test_after_a_failure_everything_is_read_anew(tmp_path, monkeypatch):
    """The database that is back may be another one, restored from a backup: nothing that was known of the first counts any more."""
    config = config_of(tmp_path)
    store = store_of(config)
    store.create("keys", Key(id="a", name="a"), BY, digest=digest(b"a"))
    store.create("keys", Key(id="b", name="b"), BY, digest=digest(b"b"))
    async with watching(config) as (directory, stage):
        here = await directory.store()
        monkeypatch.setattr(here, "version", lambda: 1 / 0)
        await directory.changed()
        with sql.writing(sql.engine_of(sql.sqlite_url(tmp_path / "gatewright.db"))) as connection:
            connection.execute(
                sa.text('update keys set record = \'{"id": "a", "name": "a", "disabled": true}\' where id = \'a\'')
            )
        store.create("keys", Key(id="c", name="c"), BY, digest=digest(b"c"))
        monkeypatch.undo()
        await directory.changed()
        assert stage.roll.barred[digest(b"a")][0] == "key_disabled", "though its row is no newer than what was known"
        assert {digest(b"b"), digest(b"c")} <= stage.principals.keys()


@pytest.mark.parametrize("kind", ENGINES)
async def test_another_machines_change_is_heard_within_a_second(tmp_path, kind):
    """Nobody tells but the database: a key made elsewhere is known, and one revoked elsewhere is gone."""
    with contextlib.ExitStack() as stack:
        more = f"database: {json.dumps(stack.enter_context(postgres_url()))}\n" if kind == "postgresql" else ""
        config = config_of(tmp_path, more)
        elsewhere = store_of(config)
        async with watching(config) as (_, stage):
            record = Key(id=new_id("key"), name="ci")
            for expected, change in (
                (True, lambda: elsewhere.create("keys", record, BY, digest=digest(b"ci"))),
                (False, lambda: elsewhere.replace("keys", msgspec.structs.replace(record, revoked=1), BY, expected=None)),
            ):
                await asyncio.to_thread(change)
                began = time.monotonic()
                await until(lambda wanted=expected: (digest(b"ci") in stage.principals) is wanted, 20)
                assert time.monotonic() - began < WITHIN_S
            assert stage.roll.barred[digest(b"ci")][0] == "key_revoked"
        elsewhere.close()


async def test_a_database_that_goes_away_takes_nobody_with_it(tmp_path, monkeypatch, caplog):
    """Who is known stays known; it is told once, and not twice a second; when it is back, what has changed counts."""
    config = config_of(tmp_path)
    elsewhere = store_of(config)
    elsewhere.create("keys", Key(id="k", name="ci"), BY, digest=digest(b"ci"))
    async with watching(config) as (directory, stage):
        here = await directory.store()
        monkeypatch.setattr(here, "version", lambda: 1 / 0)
        elsewhere.replace("keys", Key(id="k", name="ci", disabled=True), BY, expected=None)
        for _ in range(3):
            await directory.changed()
        assert digest(b"ci") in stage.principals
        assert stage.complete
        assert caplog.text.count("cannot be read") == 1
        monkeypatch.undo()
        await directory.changed()
        assert digest(b"ci") not in stage.principals
