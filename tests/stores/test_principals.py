"""Stored principals, on both engines: one change, one line in the log, one version; nobody's change is lost."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from tests.sql_here import ENGINES, database

from gatewright.limits.terms import Budget, Limit
from gatewright.principals.records import Granted, GrantedBudget, GrantedLimit, Key, Organization, Team, User
from gatewright.principals.secrets import digest
from gatewright.principals.stored import NOTHING
from gatewright.stores import principals, principals_tables, sql
from gatewright.stores.audit import Actor
from gatewright.stores.principals import Conflict, Missing, PrincipalStore, Stale

BY = Actor("root", "key_root", "api")


@pytest.fixture(params=ENGINES)
def engine(request, tmp_path):
    with database(request.param, tmp_path) as found:
        sql.migrate(found)
        yield found


@pytest.fixture
def store(engine):
    return PrincipalStore(engine, clock=lambda: 1_800_000_000.0)


def test_the_tables_are_as_the_code_says(engine):
    """What the migration leaves and what is read and written are the same, column by column."""
    ours = {table.name for table in (*principals_tables.TABLES.values(), principals_tables.AUDIT, principals_tables.META)}
    metadata = sa.MetaData()
    for table in sql.METADATA.tables.values():
        if table.name in ours:
            table.to_metadata(metadata)
    options = {"include_name": lambda name, what, _: what != "table" or name in ours}
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_what_is_written_is_read_whole(store):
    """Every kind, with what is granted, and with the digests that open keys."""
    key = Key(id="key_1", name="ci", team="red", tags=("a",), defaults={"temperature": 0.5}, metadata={"x": "ü"})
    limit, budget = Limit(60, "requests", 5, ("gpt-*",)), Budget("rolling", 10**12, (0.5, 1.0), hard=False, rolling_s=3600)
    store.create("organizations", Organization(id="acme", models=("gpt-*",)), BY)
    store.create("teams", Team(id="red", organization="acme", disabled=True), BY)
    store.create("users", User(id="ann", team="red", role="viewer"), BY)
    store.create("keys", key, BY, digest=digest(b"one"))
    store.create("limits", GrantedLimit(id="l", level="team", owner="red", limit=limit), BY)
    store.create("budgets", GrantedBudget(id="b", level="team", owner="red", budget=budget), BY)
    store.rotate("key_1", digest(b"two"), 77, BY, expected=None)
    found, version = store.everything()
    assert version == store.version() == 8
    assert found.organizations == {"acme": Organization(id="acme", models=("gpt-*",))}
    assert found.teams["red"].disabled
    assert found.users["ann"].role == "viewer"
    (held,) = found.keys
    assert (held.key, held.digest, held.previous, held.previous_ends) == (key, digest(b"two"), digest(b"one"), 77)
    assert found.granted == {("team", "red"): Granted((limit,), (budget,))}
    assert store.named("ci").record == key


def test_news_are_what_has_changed_and_nothing_else_is_read(store, engine):
    """Of whatever stayed the very objects are known on; what was made, changed, removed and made again is seen, on both engines."""
    for name in ("a", "b", "c"):
        store.create("keys", Key(id=name, name=name), BY, digest=digest(name.encode()))
        store.create("teams", Team(id=name), BY)
        store.create("limits", GrantedLimit(id=name, level="team", owner=name, limit=Limit(60, "requests", 1)), BY)
    known, touched = store.news(NOTHING)
    assert touched.everybody
    assert known.records == store.everything()[0]
    store.replace("keys", Key(id="a", name="a", disabled=True), BY, expected=None)
    store.remove("teams", "b", BY, expected=None)  # with its limit
    store.remove("keys", "c", BY, expected=None)
    store.create("keys", Key(id="d", name="d"), BY, digest=digest(b"d"))
    store.remove("teams", "c", BY, expected=None)
    store.create("teams", Team(id="c", models=("gpt-*",)), BY)
    read = []
    sa.event.listen(engine, "after_cursor_execute", lambda *args: read.append(args[2]))
    news, touched = store.news(known)
    assert len([statement for statement in read if "FROM keys" in statement]) == 3, "the changed, their number, then who is left"
    assert set(news.entries.keys) == {"a", "b", "d"}
    assert news.entries.keys["b"] is known.entries.keys["b"]
    assert (news.entries.keys["a"].key.disabled, set(news.entries.teams), set(news.entries.limits)) == (True, {"a", "c"}, {"a"})
    assert news.entries.teams["a"] is known.entries.teams["a"]
    assert (touched.keys, touched.teams, touched.everybody) == ({"a", "c", "d"}, {"b", "c"}, False)
    assert touched.digests == {digest(b"a"), digest(b"c"), digest(b"d")}
    whole = store.everything()[0]
    assert news.version == store.version()
    assert msgspec.structs.replace(news.records, keys=()) == msgspec.structs.replace(whole, keys=())
    assert {held.key.id: held for held in news.records.keys} == {held.key.id: held for held in whole.keys}
    assert store.news(news)[0].records.keys is news.records.keys


def test_where_versions_have_gone_back_everything_is_read(store, engine):
    """A backup was restored: what it does not hold is gone, and what it holds is what counts."""
    store.create("keys", Key(id="a", name="a", disabled=True), BY, digest=digest(b"a"))
    store.create("keys", Key(id="b", name="b"), BY, digest=digest(b"b"))
    known, _ = store.news(NOTHING)
    with sql.writing(engine) as connection:
        keys, meta = principals_tables.TABLES["keys"], principals_tables.META
        connection.execute(sa.update(keys).where(keys.c.id == "a").values(record='{"id": "a", "name": "a"}'))
        connection.execute(sa.delete(keys).where(keys.c.id == "b"))
        connection.execute(sa.update(meta).values(value=2))
    news, touched = store.news(known)
    assert (news.version, touched.everybody) == (2, True)
    assert [(held.key.id, held.key.disabled) for held in news.records.keys] == [("a", False)]


def test_news_are_of_one_moment(store, monkeypatch):
    """Somebody writes between the version and the rows: it is in the next news, and in none twice or never."""
    known, _ = store.news(NOTHING)

    version = principals._version

    def meanwhile(connection):
        monkeypatch.undo()  # once
        found = version(connection)
        store.create("teams", Team(id="late"), BY)
        return found

    monkeypatch.setattr(principals, "_version", meanwhile)
    first, _ = store.news(known)
    assert not first.entries.teams
    assert set(store.news(first)[0].entries.teams) == {"late"}


def test_a_change_of_what_somebody_else_has_changed_is_refused(store):
    """And what was refused has left no trace: no line, no version."""
    row = store.create("teams", Team(id="red"), BY)
    newer = store.replace("teams", Team(id="red", disabled=True), BY, expected=row.version)
    before = (store.version(), len(store.audit()))
    for work in (
        lambda: store.replace("teams", Team(id="red"), BY, expected=row.version),
        lambda: store.remove("teams", "red", BY, expected=row.version),
    ):
        with pytest.raises(Stale):
            work()
    with pytest.raises(Missing):
        store.replace("teams", Team(id="blue"), BY, expected=None)
    with pytest.raises(Conflict):
        store.create("teams", Team(id="red"), BY)
    assert (store.version(), len(store.audit())) == before
    assert store.get("teams", "red") == newer


def test_no_change_is_lost_among_many_at_once(store):
    """Forty writers in eight threads, each changing what it has read: every version is somebody's, and the log has them all."""
    store.create("teams", Team(id="red", metadata={"n": "0"}), BY)

    def add(_: int) -> None:
        while True:
            row = store.get("teams", "red")
            count = int(row.record.metadata["n"]) + 1
            try:
                store.replace("teams", Team(id="red", metadata={"n": str(count)}), BY, expected=row.version)
            except Stale:
                continue
            return

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(40)))
    assert store.get("teams", "red").record.metadata == {"n": "40"}
    lines = store.audit(size=100)
    assert [msgspec.json.decode(line.after)["metadata"]["n"] for line in lines] == [str(n) for n in range(40, -1, -1)]
    assert [line.number for line in lines] == sorted((line.number for line in lines), reverse=True)
    assert store.version() == 42


@pytest.mark.parametrize("statement", ["update audit set actor = 'nobody'", "delete from audit"])
def test_the_audit_log_is_append_only(store, engine, statement):
    """The database itself refuses to change or to remove a line."""
    store.create("teams", Team(id="red"), BY)
    with pytest.raises(sql.DatabaseError, match="append-only"), sql.writing(engine) as connection:
        connection.exec_driver_sql(statement)
    (line,) = store.audit()
    assert (line.actor, line.actor_id, line.via, line.action, line.kind, line.target) == (
        "root", "key_root", "api", "create", "teams", "red",
    )  # fmt: skip
    assert line.at_us == 1_800_000_000_000_000


def test_whoever_has_members_stays_and_revoked_keys_are_none(store):
    """A team goes when nobody is left in it, and what was granted to it goes along."""
    store.create("teams", Team(id="red"), BY)
    store.create("limits", GrantedLimit(id="l", level="team", owner="red", limit=Limit(0, "concurrent", 1)), BY)
    store.create("limits", GrantedLimit(id="m", level="user", owner="red", limit=Limit(0, "concurrent", 1)), BY)
    key = Key(id="key_1", name="ci", team="red")
    store.create("keys", key, BY, digest=digest(b"one"))
    with pytest.raises(Conflict, match="1 of its keys"):
        store.remove("teams", "red", BY, expected=None)
    store.replace("keys", msgspec.structs.replace(key, revoked=5), BY, expected=None, action="revoke")
    store.remove("teams", "red", BY, expected=None)
    assert [row.record.id for row in store.page("limits")] == ["m"]


def test_no_secret_is_in_the_database(store, engine):
    """What clients send cannot be read there, in any table."""
    store.create("keys", Key(id="key_1", name="ci"), BY, digest=digest(b"gw-the-secret-itself"))
    with engine.connect() as connection:
        for table in (*principals_tables.TABLES.values(), principals_tables.AUDIT):
            for row in connection.execute(sa.select(table)):
                assert not any("the-secret" in str(bytes(value) if isinstance(value, memoryview) else value) for value in row)
