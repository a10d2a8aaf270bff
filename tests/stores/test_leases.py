"""Leases: more for who asks often, none near the end or for windows that are too short, and none kept for nobody."""

from gatewright.limits.meters import US, Meter
from gatewright.limits.terms import Budget, Limit
from gatewright.stores.leases import IDLE_US, MOST, SHARE, Lease

NOW = 1_780_000_000 * US
BUDGET = Meter("team", "t", Budget("month", 10**9))


def test_who_asks_again_soon_leases_for_twice_as_many():
    """Up to a bound; and who comes seldom for none."""
    lease = Lease(BUDGET)
    wishes = [lease.wish(10, NOW + i * 1000) for i in range(8)]
    assert wishes[0] == 0
    assert wishes[1:6] == [10, 20, 40, 80, 160]
    assert wishes[-1] == MOST * 10
    assert lease.wish(10, NOW + 10 * US) == 0


def test_a_window_whose_sub_buckets_are_short_is_not_leased():
    """The lease would be over before it is used."""
    lease = Lease(Meter("key", "k", Limit(1, "requests", 10**6)))
    assert [lease.wish(1, NOW + i) for i in range(5)] == [0] * 5


def test_a_lease_of_another_sub_bucket_is_given_back():
    """Its units count from an earlier time than who would use them now."""
    lease = Lease(BUDGET)
    assert lease.take(7, 50, 1000, NOW + US) == (0, 0)
    assert lease.take(7, 10, 900, NOW + US) == (0, 0)
    assert lease.left == 60
    assert lease.take(8, 5, 800, NOW + 2 * US) == (7, 60)
    assert lease.left == 5


def test_a_lease_is_over_with_its_time_or_when_nobody_uses_it():
    """Then it is others' again."""
    lease = Lease(BUDGET)
    lease.take(7, 50, 1000, NOW + 5 * US)
    lease.used = NOW
    assert lease.good(NOW) == 50
    assert not lease.is_over(NOW)
    assert lease.is_over(NOW + IDLE_US + 1)
    assert lease.good(NOW + 5 * US) == 0


def test_what_was_not_used_is_kept_only_where_the_limit_is_far():
    """Near it every unit is to be had by whoever comes."""
    lease = Lease(BUDGET)
    lease.wish(1, NOW)
    lease.wish(1, NOW + 1)
    lease.take(7, 0, 10 * SHARE, NOW + US)
    assert lease.keeps(7, 10, NOW)
    assert not lease.keeps(6, 10, NOW)
    assert not lease.keeps(7, 11, NOW)
