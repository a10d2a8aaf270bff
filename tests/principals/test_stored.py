"""A change that is taken in alone leaves what reading everything anew would: nobody too many is let in, and nobody is kept out."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.limits.terms import Budget, Limit
from gatewright.principals.records import (
    Granted,
    GrantedBudget,
    GrantedLimit,
    Held,
    Key,
    Organization,
    Records,
    Team,
    User,
)
from gatewright.principals.roll import Roll, roll_after, roll_of
from gatewright.principals.secrets import digest
from gatewright.principals.stored import NOTHING, Change, Entries, after

NOW = 1_000.0
ONE, OTHER = Limit(60, "requests", 1), Limit(60, "requests", 2)
DECLARED = Records(
    organizations={"o2": Organization(id="o2", models=("gpt-*",))},
    teams={"t2": Team(id="t2", organization="o1")},
    users={"u2": User(id="u2", team="t1")},
    keys=(
        Held(key=Key(id="d1", name="d1", user="u1"), digest=digest(b"d1")),
        Held(key=Key(id="d2", name="d2", team="t2", role="viewer"), digest=digest(b"k3")),
        Held(key=Key(id="k4", name="k4"), digest=digest(b"d3")),
    ),
    granted={("team", "t2"): Granted((OTHER,), ()), ("key", "d1"): Granted((OTHER,), ())},
)
"""Some of whose names are stored as well: a team, a user, an organization, a key by its name and one by its secret."""

above = {kind: st.sampled_from(["", f"{kind}1", f"{kind}2"]) for kind in "otu"}
models = st.sampled_from([("*",), ("gpt-*",)])
flag = st.booleans()
limits = st.sampled_from([ONE, OTHER])
budgets = st.sampled_from([Budget("day", 5), Budget("total", 6)])
places = st.sampled_from(
    [("all", ""), ("organization", "o1"), ("team", "t1"), ("team", "t2"), ("user", "u1"), ("key", "k1"), ("key", "d1")]
)


def granted(of, name, value):
    return lambda one: places.flatmap(
        lambda place: value.map(lambda what: of(id=one, level=place[0], owner=place[1], **{name: what}))
    )


def held(one):
    return st.builds(
        Held,
        key=st.builds(
            Key, id=st.just(one), name=st.just(one), organization=above["o"], team=above["t"], user=above["u"], models=models,
            disabled=flag, revoked=st.sampled_from([0, 0, 5]), expires=st.sampled_from([0, 999, 2_000]),
        ),
        digest=st.sampled_from([digest(one.encode()), digest(f"{one}/new".encode())]),
        previous=st.sampled_from([b"", digest(f"{one}/old".encode())]),
        previous_ends=st.sampled_from([999, 2_000]),
    )  # fmt: skip


MADE = {
    "organizations": (("o1", "o2"), lambda one: st.builds(Organization, id=st.just(one), models=models, disabled=flag)),
    "teams": (
        ("t1", "t2"),
        lambda one: st.builds(Team, id=st.just(one), organization=above["o"], models=models, disabled=flag),
    ),
    "users": (
        ("u1", "u2"),
        lambda one: st.builds(User, id=st.just(one), organization=above["o"], team=above["t"], models=models, disabled=flag),
    ),
    "keys": (("k1", "k2", "k3", "k4"), held),
    "limits": (("l1", "l2"), granted(GrantedLimit, "limit", limits)),
    "budgets": (("b1", "b2"), granted(GrantedBudget, "budget", budgets)),
}


@st.composite
def changes(draw) -> tuple[Entries, dict[str, set[str]]]:
    """A few records that are written, and a few that go."""
    written: dict = {}
    gone: dict = {}
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(list(MADE)))
        ids, made = MADE[kind]
        one = draw(st.sampled_from(ids))
        if draw(st.integers(0, 3)):
            written.setdefault(kind, {})[one] = draw(made(one))
        elif one not in written.get(kind, {}):
            gone.setdefault(kind, set()).add(one)
    return Entries(**written), {kind: ids - set(written.get(kind, {})) for kind, ids in gone.items()}


def plain(roll: Roll):
    return {d: msgspec.structs.astuple(found) for d, found in roll.principals.items()}, roll.barred


def everything(stored):
    """As if it had all been read at once."""
    return after(NOTHING, Change(stored.version, stored.entries))[0].records


def by_id(records: Records) -> Records:
    return msgspec.structs.replace(records, keys=tuple(sorted(records.keys, key=lambda one: one.key.id)))


@settings(max_examples=400, deadline=None)
@given(st.lists(changes(), min_size=1, max_size=8))
def test_change_by_change_and_all_at_once_are_the_same(steps):
    """Whoever belongs to whom, whatever is declared beside it; after every change."""
    stored, roll = NOTHING, roll_of(DECLARED, Records(), NOW)
    for number, (written, gone) in enumerate(steps, 1):
        stored, touched = after(stored, Change(number, written, gone))
        roll = roll_after(roll, stored, touched, NOW)
        assert by_id(stored.records) == by_id(everything(stored))
        assert plain(roll) == plain(roll_of(DECLARED, everything(stored), NOW))


def test_whom_a_change_does_not_concern_is_not_looked_at():
    """Others' records and principals are the same objects; so is what is granted elsewhere."""
    teams = {name: Team(id=name) for name in ("red", "blue")}
    keys = {
        name: Held(key=Key(id=name, name=name, team="red" if name == "in" else "blue"), digest=digest(name.encode()))
        for name in ("in", "out")
    }
    limit = GrantedLimit(id="l", level="team", owner="blue", limit=ONE)
    stored, touched = after(NOTHING, Change(5, Entries(teams=teams, keys=keys, limits={"l": limit})))
    roll = roll_after(roll_of(Records(), Records(), NOW), stored, touched, NOW)
    poisoned = msgspec.structs.replace(stored, entries=msgspec.structs.replace(stored.entries, keys={**keys, "out": None}))
    change = Change(6, Entries(keys={"in": msgspec.structs.replace(keys["in"], key=Key(id="in", name="in", disabled=True))}))
    later, touched = after(poisoned, change)
    assert touched == type(touched)(keys=frozenset({"in"}), digests=frozenset({digest(b"in")}))
    found = roll_after(roll, later, touched, NOW)
    assert found.principals == {digest(b"out"): roll.principals[digest(b"out")]}
    assert found.principals[digest(b"out")] is roll.principals[digest(b"out")]
    assert later.records.granted is stored.records.granted
    assert later.records.teams is stored.records.teams


def test_a_key_that_was_rotated_twice_leaves_its_first_secret_behind():
    """What opened it before the change opens it no longer, though nothing names that any more."""
    key = Key(id="k", name="k")
    first = Held(key=key, digest=digest(b"2"), previous=digest(b"1"), previous_ends=5_000)
    stored, touched = after(NOTHING, Change(1, Entries(keys={"k": first})))
    roll = roll_after(roll_of(Records(), Records(), NOW), stored, touched, NOW)
    assert set(roll.principals) == {digest(b"1"), digest(b"2")}
    second = Held(key=key, digest=digest(b"3"), previous=digest(b"2"), previous_ends=5_000)
    stored, touched = after(stored, Change(2, Entries(keys={"k": second})))
    roll = roll_after(roll, stored, touched, NOW)
    assert set(roll.principals) == {digest(b"2"), digest(b"3")}
    assert not roll.barred
