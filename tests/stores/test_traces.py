"""The store of traces: what is written is found again, by both engines, by whoever may see it."""

import msgspec
import pytest
import sqlalchemy as sa
from tests.sql_here import ENGINES, database

from gatewright.stores import sql, trace_words
from gatewright.stores.trace_document import CannotOpen
from gatewright.stores.trace_tables import TRACE_METADATA
from gatewright.stores.trace_terms import BadCursor, Message, Trace, TraceFilter, UpstreamCall
from gatewright.stores.traces import open_traces
from gatewright.stores.traces_sql import Lesson, SqlTraces

KEY = b"k" * 43


def trace(number: int, **more: object) -> Trace:
    body = b'{"messages":[{"role":"user","content":"number %d"}]}' % number
    given = {"id": f"req_{number:04}", "at": 1_000 + number, "took_us": number, "key_id": "ci", "key_name": "ci", "status": 200}
    request = Message(headers=(("content-type", "application/json"),), body=body, size=len(body))
    upstream = (UpstreamCall(attempt=0, target="p/m", dialect="openai_chat", status=200, request=request, answer=request),)
    return Trace(**{**given, "request": request, "answer": request, "upstream": upstream, **more})


def lesson(number: int, one: Trace, text: str, **more: object) -> Lesson:
    given = {"session": one.session, "link": one.link, "parent": "", "title": text[:20]}
    return Lesson(number=number, trace=one.id, at=one.at, owner=one.key_id, text=text, **{**given, **more})


def read_all(store: SqlTraces, text_of=lambda one: one.request.body.decode()) -> None:
    while some := store.unread(100):
        store.learn([lesson(number, one, text_of(one)) for number, one in some])


@pytest.fixture(params=ENGINES)
def store(request, tmp_path):
    with database(request.param, tmp_path) as engine:
        yield SqlTraces(engine)


def test_what_is_written_is_read_again_to_the_byte(store):
    """Bodies are any bytes, not text."""
    ours = trace(1, request=Message(body=bytes(range(256)), size=300), rules=("a", "b"), found=(), metadata={"x": "y"})
    store.write([ours, trace(2)])
    assert store.get("req_0001") == ours
    assert store.get("req_0001").request.is_cut
    assert store.get("req_0003") is None


def test_a_trace_that_is_there_already_stays_as_it_is(store):
    """What is written twice, after a failure nobody knows the end of, is there once."""
    store.write([trace(1)])
    store.write([trace(1, status=500), trace(2)])
    assert [one.status for one in store.list().items] == [200, 200]


def test_pages_follow_one_another_without_a_gap_or_a_repetition(store):
    """Also where several came in the same microsecond."""
    store.write([trace(number, at=number // 3) for number in range(20)])
    seen, cursor = [], ""
    while True:
        page = store.list(limit=6, cursor=cursor)
        seen += [one.id for one in page.items]
        cursor = page.next
        if not cursor:
            break
    assert seen == [f"req_{number:04}" for number in reversed(range(20))]
    with pytest.raises(BadCursor):
        store.list(cursor="nonsense")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({"since": 1003}, {3, 4}),
        ({"until": 1002}, {1}),
        ({"key": "other"}, {2}),
        ({"team": "red"}, {3}),
        ({"model": "gpt-*"}, {1}),
        ({"model": "gpt-5"}, {1}),
        ({"model": "%"}, set()),
        ({"provider": "p"}, {4}),
        ({"route": "fast"}, {2}),
        ({"operation": "forward"}, {3}),
        ({"dialect": "gemini"}, {4}),
        ({"status": "5xx"}, {3}),
        ({"status": "200"}, {1, 2, 4}),
        ({"status": "abc"}, set()),
        ({"outcome": "error"}, {3}),
        ({"session": "s"}, {1, 2}),
        ({"finding": "no_mail"}, {4}),
        ({"finding": "no_"}, set()),
        ({"finding": "*"}, {4}),
        ({"min_cost_micros": 5}, {1}),
        ({"min_took_us": 4}, {4}),
        ({"within": (("key_id", "ci"),), "session": "s"}, {1}),
    ],
)
def test_a_filter_lets_through_what_it_says_and_nothing_else(store, where, expected):
    """All that can be asked, each by itself."""
    store.write(
        [
            trace(1, asked="gpt-5", session="s", cost_micros=5),
            trace(2, key_id="other", route="fast", session="s"),
            trace(3, team="red", status=502, outcome="error", operation="forward"),
            trace(4, provider="p", upstream_dialect="gemini", rules=("x", "no_mail")),
        ]
    )
    asked = TraceFilter(**where)
    assert {int(one.id[4:]) for one in store.list(asked).items} == expected
    assert {int(one.id[4:]) for one in store.iterate(asked)} == expected
    assert all((store.get(f"req_{n:04}", asked) is not None) == (n in expected) for n in (1, 2, 3, 4))


def test_all_of_many_are_read_in_order(store):
    """More than are read in one go, and more than fit into a blob."""
    large = b"x" * 40_000
    store.write([trace(number, request=Message(body=large, size=len(large))) for number in range(450)])
    assert [one.id for one in store.iterate()] == [f"req_{number:04}" for number in range(450)]


def test_words_are_found_wherever_they_stand(store):
    """In any order, in a row, by their beginning, whatever their case."""
    store.write([trace(1), trace(2), trace(3)])
    texts = {"req_0001": "The quick brown fox", "req_0002": "a brown quick Straße", "req_0003": "quicksilver"}
    assert store.search("quick").unread == 3
    read_all(store, lambda one: texts[one.id])

    def found(text):
        return [int(hit.summary.id[4:]) for hit in store.search(text).items]

    assert found("QUICK brown") == [2, 1]
    assert found('"quick brown"') == [1]
    assert found("quick*") == [3, 2, 1]
    assert found("straße") == [2]
    assert found("fox NOT brown") == []
    assert found('") OR 1=1 --') == []
    assert found("'") == []
    assert found("") == []
    assert store.search("fox").items[0].snippet == "The quick brown \x01fox\x02"
    assert store.search("quick").unread == 0
    assert store.search("fox").items[0].summary.title == "The quick brown fox"


def test_a_search_keeps_to_what_may_be_seen_and_goes_on_page_by_page(store):
    """A team's admin searches the team's."""
    store.write([trace(number, team="red" if number % 2 else "blue") for number in range(20)])
    read_all(store)
    red = TraceFilter(within=(("team", "red"),))
    first = store.search("number", red, limit=6)
    second = store.search("number", red, limit=6, cursor=first.next)
    assert [int(hit.summary.id[4:]) for hit in (*first.items, *second.items)] == [19, 17, 15, 13, 11, 9, 7, 5, 3, 1]
    assert second.next == ""
    everything = store.search("number", limit=15)
    assert len(everything.items) == 15
    assert len(store.search("number", limit=15, cursor=everything.next).items) == 5


def test_hostile_texts_are_indexed_and_found(store):
    """NULs, half surrogates, megabytes without a space: none of them stops what comes after."""
    store.write([trace(1), trace(2), trace(3)])
    texts = {"req_0001": "nul\0byte needle", "req_0002": "half \ud800 needle", "req_0003": "needle " + "A" * 3_000_000}
    read_all(store, lambda one: texts[one.id])
    assert len(store.search("needle").items) == 3


def test_what_is_old_goes_and_what_is_beyond_the_size_goes_the_oldest_first(store):
    """With its words, so that the index finds nothing that is not there."""
    noise = [bytes((n * 37 + i * i * 13 + (i >> 3)) % 256 for i in range(3000)) for n in range(30)]
    for number in range(30):
        store.write([trace(number, request=Message(body=noise[number], size=3000))])
    read_all(store, lambda one: f"word{one.id[4:]} common")
    assert store.retire(1010, 0) == 10
    assert store.search("word0005").items == ()
    assert len(store.search("common", limit=100).items) == 20
    with store.engine.connect() as connection:
        held = connection.execute(sa.text("select sum(size) from trace_blobs")).scalar_one()
    gone = store.retire(0, int(held) // 2)
    assert 10 <= gone <= 12
    left = [int(one.id[4:]) for one in store.list().items]
    assert left == list(range(29, 9 + gone, -1))
    assert [hit.summary.id for hit in store.search("common", limit=100).items] == [f"req_{n:04}" for n in left]
    assert store.retire(0, 0) == 0


def test_a_later_trace_finds_the_one_it_goes_on_with(store):
    """By the first mark that is known, of its own key's."""
    store.write([trace(1), trace(2)])
    (number, one), _ = store.unread(10)
    store.learn([lesson(number, one, "", session="run", marks=("prefix:a", "response:b"))])
    assert store.linked("ci", ["prefix:z", "prefix:a"]) == ("prefix:a", "req_0001", "run")
    assert store.linked("other", ["prefix:a"]) is None
    assert store.linked("ci", []) is None
    assert [one.id for one in store.session("run")] == ["req_0001"]
    assert store.get("req_0001").session == "run"
    assert [n for n, _ in store.unread(10)] == [number + 1]


@pytest.mark.parametrize("kind", ENGINES)
def test_encrypted_bodies_open_with_the_key_alone_and_leave_no_words(kind, tmp_path):
    """A stolen database tells who asked when, and not what."""
    with database(kind, tmp_path) as engine:
        url = engine.url.render_as_string(hide_password=False)
        store = open_traces(url, KEY, seals=True)
        store.write([trace(1)])
        assert store.get("req_0001") == trace(1)
        read_all(store)
        assert store.search("number").items == ()
        assert store.list().items[0].title == ""
        for other, why in ((open_traces(url), "no secret key"), (open_traces(url, b"o" * 43), "another secret key")):
            assert other.list().items[0].id == "req_0001"
            with pytest.raises(CannotOpen, match=why):
                other.get("req_0001")
            other.close()
        with store.engine.connect() as connection:
            blob = connection.execute(sa.text("select data from trace_blobs")).scalar_one()
        assert b"number" not in bytes(blob)
        store.close()


@pytest.mark.parametrize("kind", ENGINES)
def test_migrations_make_the_tables_that_the_code_knows_and_take_them_down_again(kind, tmp_path):
    """Beside the ledger's tables, which they do not touch."""
    with database(kind, tmp_path) as engine:
        sql.migrate(engine)
        before = set(sa.inspect(engine).get_table_names())
        sql.migrate(engine, lineage=sql.TRACES)
        found = sa.inspect(engine)
        for table in TRACE_METADATA.tables.values():
            columns = {column["name"] for column in found.get_columns(table.name)} - {"words"}
            assert columns == {column.name for column in table.columns}, table.name
            assert {index["name"] for index in found.get_indexes(table.name)} - {"trace_texts_words"} == {
                index.name for index in table.indexes
            }
        sql.migrate(engine, "base", sql.TRACES)
        left = {name for name in sa.inspect(engine).get_table_names() if name != "trace_version"}
        assert left == before
        assert sql.version(engine) == sql.head()


def test_two_processes_that_read_at_once_index_a_trace_once(store):
    """Two indexers, or one and a restart in between."""
    store.write([trace(1)])
    some = store.unread(10)
    for _ in range(2):
        store.learn([lesson(number, one, "once") for number, one in some])
    assert len(store.search("once").items) == 1
    with store.engine.connect() as connection:
        trace_words.remove(connection, [some[0][0]])


def test_a_store_is_named_by_a_folder_or_a_url(tmp_path):
    """The file is in the folder, for its owner alone."""
    store = open_traces(tmp_path / "state")
    store.write([trace(1)])
    store.close()
    file = tmp_path / "state" / "traces.db"
    assert file.stat().st_mode & 0o777 == 0o600
    again = open_traces(f"sqlite:///{file}")
    assert again.get("req_0001") == trace(1)
    again.close()
    assert msgspec.structs.asdict(trace(1))["id"] == "req_0001"
