"""Reports: the same sums as from the requests themselves, whatever is asked, and without reading them."""

import itertools
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

import msgspec
import pytest
import sqlalchemy as sa
from tests.sql_here import ENGINES, database
from tests.stores.traffic import HOUR_US, NOON, TARGETS, batch_of, lots, priced, written

from gatewright.record.entries import Who
from gatewright.stores import sql
from gatewright.stores.report_terms import BY, Query
from gatewright.stores.reports import first_hour, reading, report

ENTRIES = lots()
DAY = NOON - 12
TIMES = {"days": (DAY - 24, DAY + 48), "parts": (DAY - 20, DAY + 31), "within a day": (DAY + 3, DAY + 9), "all": (0, DAY * 2)}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, tmp_path_factory):
    with database(request.param, tmp_path_factory.mktemp("reports")) as engine:
        sql.migrate(engine)
        written(engine, ENTRIES)
        yield engine


def asked(engine, since: int, until: int, by: tuple = (), only: tuple = (), within: tuple = (), extra=None):
    with reading(engine) as connection:
        return report(connection, Query(since=since, until=until, by=by, only=only, within=within), extra)


def groups_of(entry, target: str) -> dict[str, str]:
    who = msgspec.msgpack.decode(entry.who, type=Who)
    provider, _, model = target.partition("/")
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=entry.at // HOUR_US)
    return {
        "key": who.key_id, "user": who.user, "team": who.team, "organization": who.organization, "model": model,
        "provider": provider, "route": entry.route, "operation": entry.operation, "status": f"{entry.status // 100}xx",
        "cache": entry.cache, "day": moment.strftime("%Y-%m-%d"), "hour": moment.strftime("%Y-%m-%dT%H:00Z"),
    }  # fmt: skip


def by_hand(since: int, until: int, by: tuple = (), only: tuple = ()) -> dict[tuple, Counter]:
    """Requests, attempts, tokens, cost and unknown costs, from the entries."""
    found: dict[tuple, Counter] = {}
    for entry in ENTRIES:
        if not since <= entry.at // HOUR_US < until:
            continue
        for target, adds in (
            (entry.served, {"requests": 1, "hits": entry.cache == "hit", "errors": entry.outcome == "error"}),
            *((one.target, _of(one)) for one in entry.attempts),
        ):
            groups = groups_of(entry, target)
            wanted: dict[str, list[str]] = {}
            for name, value in only:
                wanted.setdefault(name, []).append(value)
            if all(any(fnmatchcase(groups[name], value) for value in values) for name, values in wanted.items()):
                found.setdefault(tuple(groups[name] for name in by), Counter()).update(adds)
    return found


def _of(one) -> dict[str, int]:
    provider, _, model = one.target.partition("/")
    if one.usage is None:  # it failed: nobody is billed
        return {"attempts": 1}
    cost = priced(provider, model, type("U", (), {"input": one.usage[0]}), 0).micros
    return {
        "attempts": 1, "input": one.usage[0], "output": one.usage[5], "cost_micros": cost or 0, "unknown": cost is None,
    }  # fmt: skip


MEASURED = ("requests", "hits", "errors", "attempts", "input", "output", "cost_micros", "unknown")


def told(found) -> dict[tuple, tuple]:
    by = found.query.by
    return {
        tuple(line.group["key_id" if name == "key" else name] for name in by): tuple(line.sums[m] for m in MEASURED)
        for line in found.lines
    }


def expected(sums: dict[tuple, Counter]) -> dict[tuple, tuple]:
    return {group: tuple(counter[m] for m in MEASURED) for group, counter in sums.items()}


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize(
    "by", [(), *((name,) for name in BY), ("team", "model"), ("day", "key"), ("model", "hour")], ids=",".join
)
def test_a_report_says_what_the_requests_add_up_to(engine, by, time):
    """By everything that it can be asked by, for whole days and for parts of them."""
    since, until = TIMES[time]
    found = asked(engine, since, until, by)
    assert told(found) == expected(by_hand(since, until, by))
    assert found.total["requests"] == sum(since <= entry.at // HOUR_US < until for entry in ENTRIES)


@pytest.mark.parametrize(
    "only",
    [
        (("team", "red"),),
        (("key", "key_1"), ("key", "key_2")),
        (("model", "gpt-*"),),
        (("model", "*5*"), ("provider", "openai")),
        (("model", "gem_ini%"),),
        (("model", "gem*%"),),
        (("model", "GPT-*"),),
        (("team", ""),),
        (("cache", "hit"),),
        (("route", "r1"), ("user", "user*")),
    ],
)
@pytest.mark.parametrize("time", ["parts", "all"])
def test_filters_are_taken_letter_by_letter_but_for_stars(engine, only, time):
    """A model's name may hold whatever SQL takes for a wildcard; a capital is no small letter on either engine."""
    since, until = TIMES[time]
    for by in ((), ("model",), ("day", "team")):
        assert told(asked(engine, since, until, by, only)) == expected(by_hand(since, until, by, only))


def test_a_key_is_found_by_its_name_and_by_its_id(engine):
    """People know names; who renamed a key knows its id."""
    since, until = TIMES["all"]
    assert told(asked(engine, since, until, ("key",), (("key", "name 3"),))) == told(
        asked(engine, since, until, ("key",), (("key", "key_3"),))
    )
    (line,) = asked(engine, since, until, ("key",), (("key", "name 3"),)).lines
    assert line.group == {"key": "name 3", "key_id": "key_3"}


def test_whoever_may_see_a_part_sees_that_part_whatever_he_asks_for(engine):
    """Stars in an id mean nothing there, and a filter for another key finds nothing."""
    since, until = TIMES["all"]
    mine = told(asked(engine, since, until, ("key",), within=(("key_id", "key_2"),)))
    assert set(mine) == {("key_2",)}
    assert told(asked(engine, since, until, ("key",), (("key", "*"),), (("key_id", "key_2"),))) == mine
    assert told(asked(engine, since, until, ("key",), (("key", "key_3"),), (("key_id", "key_2"),))) == {}
    assert told(asked(engine, since, until, ("key",), within=(("key_id", "*"),))) == {}
    assert {group for (group,) in told(asked(engine, since, until, ("team",), within=(("team", "red"),)))} == {"red"}


@pytest.mark.parametrize("only", [(), (("model", "gpt-*"),), (("key", "name 1"), ("team", "blue")), (("model", "*m_i*%"),)])
def test_what_is_not_written_yet_counts_as_if_it_were(tmp_path, only):
    """The same report, whichever part of the requests is still in a journal; filters hold for that, too."""
    late, early = ENTRIES[:150], ENTRIES[150:]
    with database("sqlite", tmp_path) as engine:
        sql.migrate(engine)
        written(engine, early)
        extra = batch_of(late).rollups
        for by, (since, until) in itertools.product([(), ("key",), ("day", "model"), ("status", "hour")], TIMES.values()):
            found = asked(engine, since, until, by, only, extra=extra)
            if only and only[0] == ("key", "name 1"):
                only_ids = (("key", "key_1"), *only[1:])
                assert told(found) == expected(by_hand(since, until, by, only_ids))
            else:
                assert told(found) == expected(by_hand(since, until, by, only))
        scoped = asked(engine, 0, DAY * 2, ("key",), within=(("key_id", "key_2"),), extra=extra)
        assert told(scoped) == {k: v for k, v in expected(by_hand(0, DAY * 2, ("key",))).items() if k == ("key_2",)}


def test_the_dearest_comes_first_and_by_time_the_earliest(engine):
    """So does a person read it."""
    since, until = TIMES["all"]
    costs = [line.sums["cost_micros"] for line in asked(engine, since, until, ("model",)).lines]
    assert costs == sorted(costs, reverse=True)
    days = [line.group["day"] for line in asked(engine, since, until, ("day",)).lines]
    assert days == sorted(days)


def test_an_empty_time_has_no_lines(engine):
    """And totals that are 0, not nothing."""
    found = asked(engine, 5, 50, ("team",))
    assert found.lines == ()
    assert set(found.total.values()) == {0}
    assert asked(engine, 5, 50).lines == ()
    with reading(engine) as connection:
        assert first_hour(connection) == min(entry.at for entry in ENTRIES) // HOUR_US


@pytest.mark.parametrize("by", [(), *((name,) for name in BY), ("team", "model"), ("day", "model")], ids=",".join)
@pytest.mark.parametrize("only", [(), (("key", "key_1"),)], ids=["all", "a key"])
def test_no_report_reads_requests(engine, by, only):
    """Its time grows with keys, models and days, and not with requests; whole days are read from the daily sums."""
    statements: list[tuple[str, object]] = []

    def heard(_connection, _cursor, statement, parameters, _context, _many) -> None:
        statements.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", heard)
    try:
        asked(engine, *TIMES["days"], by, only)
    finally:
        sa.event.remove(engine, "before_cursor_execute", heard)
    assert statements
    text = " ".join(statement for statement, _ in statements).lower()
    assert not re.search(r"\b(from|join) (requests|attempts)\b", text)
    if "hour" not in by:
        assert "rollups_hourly" not in text


def test_hours_are_found_by_index_and_days_are_added_up_as_they_lie(tmp_path):
    """On SQLite nothing is sorted for a report by key, model or team, and hours outside of its time are not read."""
    plans: list[str] = []
    with database("sqlite", tmp_path) as engine:
        sql.migrate(engine)
        written(engine, ENTRIES)

        def explained(connection, _cursor, statement, parameters, _context, _many) -> None:
            if statement.startswith("SELECT rollups"):
                cursor = connection.connection.cursor()
                cursor.execute("explain query plan " + statement, parameters)
                plans.extend(row[3].replace("TABLE ", "") for row in cursor.fetchall())

        sa.event.listen(engine, "before_cursor_execute", explained)
        asked(engine, *TIMES["days"], ("model",))
        assert plans == ["SCAN rollups_daily"]
        plans.clear()
        asked(engine, *TIMES["days"], ("model",), (("key", "key_1"),))
        assert any("SEARCH rollups_daily USING PRIMARY KEY (place=" in plan for plan in plans)
        plans.clear()
        asked(engine, *TIMES["within a day"], ("hour",))
        assert [plan for plan in plans if "rollups_hourly" in plan] == [
            "SEARCH rollups_hourly USING INDEX sqlite_autoindex_rollups_hourly_1 (hour>? AND hour<?)"
        ]
        assert not any("TEMP B-TREE" in plan for plan in plans)
        sa.event.remove(engine, "before_cursor_execute", explained)


def test_every_name_of_a_model_can_be_asked_for(engine):
    """Also those that hold what SQL takes for a wildcard."""
    found = asked(engine, *TIMES["all"], ("model",))
    assert {line.group["model"] for line in found.lines} == {target.partition("/")[2] for target in TARGETS}
