"""Who somebody is: each level narrows, what is broken is refused, and what is declared counts before what is stored."""

import msgspec
import pytest

from gatewright.limits.terms import Limit, Scope
from gatewright.principals.records import Granted, Held, Key, Organization, Records, Team, User
from gatewright.principals.roll import roll_of
from gatewright.principals.secrets import digest, new_key

NOW = 1_000.0
GROUPS = Records(
    organizations={"acme": Organization(id="acme", models=("gpt-*",)), "other": Organization(id="other")},
    teams={"red": Team(id="red", organization="acme"), "blue": Team(id="blue"), "lost": Team(id="lost", organization="gone")},
    users={"ann": User(id="ann", team="red", models=("*-mini",)), "bob": User(id="bob")},
    granted={
        ("organization", "acme"): Granted((Limit(60, "requests", 9),), ()),
        ("user", "ann"): Granted((Limit(60, "requests", 3),), ()),
        ("key", "k"): Granted((Limit(60, "requests", 1),), ()),
        ("all", ""): Granted((Limit(60, "requests", 99),), ()),
    },
)


def held(**fields) -> Held:
    more = {name: fields.pop(name) for name in ("previous", "previous_ends") if name in fields}
    return Held(key=Key(**{"id": "k", "name": "k", **fields}), digest=digest(b"key"), **more)


def found(key: Held, groups: Records = GROUPS, declared: Records | None = None):
    roll = roll_of(declared or Records(), msgspec.structs.replace(groups, keys=(key,)), NOW)
    return roll.principals.get(digest(b"key")) or roll.barred[digest(b"key")][0]


def test_every_level_counts():
    """A user's key belongs to the user's team and its organization; each narrows the models, each has its limits."""
    it = found(held(user="ann", models=("gpt-5*",)))
    assert (it.user, it.team, it.organization) == ("ann", "red", "acme")
    assert (it.within, it.models) == ((("gpt-*",), ("*-mini",)), ("gpt-5*",))
    assert [(scope.kind, scope.id) for scope in it.scopes] == [
        ("all", ""),
        ("organization", "acme"),
        ("user", "ann"),
        ("key", "k"),
    ]
    assert it.scopes[-1] == Scope("key", "k", (Limit(60, "requests", 1),))
    assert not it.guarded


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"disabled": True}, "key_disabled"),
        ({"revoked": 5}, "key_revoked"),
        ({"expires": 1_000}, "key_expired"),
        ({"team": "nowhere"}, "key_disabled"),
        ({"team": "lost"}, "key_disabled"),
        ({"user": "nobody"}, "key_disabled"),
        ({"user": "ann", "team": "blue"}, "key_disabled"),
        ({"user": "ann", "organization": "other"}, "key_disabled"),
        ({"organization": "gone"}, "key_disabled"),
        ({"ips": ("nonsense",)}, "key_disabled"),
    ],
)
def test_it_fails_closed(fields, why):
    """Whatever is gone, broken or does not agree: refused, never let in without it."""
    assert found(held(**fields)) == why


@pytest.mark.parametrize("kind", ["organizations", "teams", "users"])
def test_disabling_a_level_disables_what_is_beneath(kind):
    """And the message says which."""
    name = {"organizations": "acme", "teams": "red", "users": "ann"}[kind]
    there = getattr(GROUPS, kind)
    groups = msgspec.structs.replace(GROUPS, **{kind: {**there, name: msgspec.structs.replace(there[name], disabled=True)}})
    roll = roll_of(Records(), msgspec.structs.replace(groups, keys=(held(user="ann"),)), NOW)
    assert not roll.principals
    assert f'"{name}" is disabled' in roll.barred[digest(b"key")][1]


def test_a_rotated_key_has_two_that_open_until_the_overlap_ends():
    """The old one ends by itself; the key's own end comes first where it is earlier."""
    for ends, expires, until in ((2_000, 0, 2_000.0), (2_000, 1_500, 1_500.0)):
        roll = roll_of(Records(), Records(keys=(held(previous=digest(b"old"), previous_ends=ends, expires=expires),)), NOW)
        assert roll.principals[digest(b"old")].expires == until
        assert roll.principals[digest(b"old")].guarded
        assert roll.principals[digest(b"key")].expires == expires
    roll = roll_of(Records(), Records(keys=(held(previous=digest(b"old"), previous_ends=999),)), NOW)
    assert roll.barred[digest(b"old")][0] == "key_replaced"


def test_what_is_declared_counts():
    """Before a stored team, and before a stored key of the same name or the same secret."""
    declared = Records(teams={"red": Team(id="red", models=("claude-*",))})
    it = found(held(team="red"), declared=declared)
    assert (it.organization, it.within) == ("", (("claude-*",),))
    own = Held(key=Key(id="k", name="k", role="viewer"), digest=digest(b"declared"))
    roll = roll_of(Records(keys=(own,)), Records(keys=(held(role="admin"),)), NOW)
    assert [it.role for it in roll.principals.values()] == ["viewer"]
    assert digest(b"key") in roll.barred
    twin = Held(key=Key(id="x", name="x", role="viewer"), digest=digest(b"key"))
    roll = roll_of(Records(keys=(twin,)), Records(keys=(held(role="admin"),)), NOW)
    assert [it.role for it in roll.principals.values()] == ["viewer"]
    roll = roll_of(
        Records(keys=(msgspec.structs.replace(twin, key=Key(id="x", name="x", disabled=True)),)), Records(keys=(held(),)), NOW
    )
    assert not roll.principals, "what the file disables stays so"


def test_who_has_not_changed_is_the_same_object():
    """So that what others remember by identity stays good; any change makes another."""
    records = msgspec.structs.replace(GROUPS, keys=(held(user="ann"),))
    first = roll_of(Records(), records, NOW)
    second = roll_of(Records(), records, NOW, first)
    assert second.principals[digest(b"key")] is first.principals[digest(b"key")]
    groups = msgspec.structs.replace(records, users={"ann": User(id="ann", team="red")})
    assert roll_of(Records(), groups, NOW, first).principals[digest(b"key")] is not first.principals[digest(b"key")]


def test_keys_are_256_bits_of_chance():
    """43 characters that fit in a header, a URL and a shell, and no two alike."""
    keys = {new_key() for _ in range(1000)}
    assert len(keys) == 1000
    assert all(key.startswith("gw-") and len(key) == 46 and key.replace("-", "").replace("_", "").isalnum() for key in keys)
