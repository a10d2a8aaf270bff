"""Seats: who is alive is asked of the kernel, and what the dead held is found."""

from gatewright.stores.seats import ENTRIES, SEATS, Seats


def words() -> memoryview:
    return memoryview(bytearray(Seats.WORDS * 8 + 80)).cast("q")


def make(shared: memoryview, writes: list[int]) -> None:
    for i in range(0, len(writes), 2):
        shared[writes[i]] = writes[i + 1]


def held(seats: Seats, gauge: int, by: int, shared: memoryview) -> None:
    writes: list[int] = []
    seats.count(gauge, by, writes)
    make(shared, writes)


def test_each_worker_has_a_seat_of_its_own(tmp_path):
    """And takes none on which somebody sits."""
    shared = words()
    seats = [Seats(shared, 10, tmp_path) for _ in range(3)]
    for one in seats:
        one.sit()
    assert len({one._mine for one in seats}) == 3
    assert list(seats[0].dead()) == []
    seats[1].leave()
    late = Seats(shared, 10, tmp_path)
    late.sit()
    assert late._mine not in {seats[0]._mine, seats[2]._mine}


def test_what_one_held_who_is_gone_is_found_once(tmp_path):
    """Its lock is free, and its seat is not empty."""
    shared = words()
    gone, here = Seats(shared, 10, tmp_path), Seats(shared, 10, tmp_path)
    gone.sit()
    here.sit()
    held(gone, 5000, 3, shared)
    held(gone, 7000, 1, shared)
    held(gone, 7000, -1, shared)
    held(here, 5000, 2, shared)
    assert here.held() == {5000: 5}
    gone.leave()  # as the kernel does for the dead
    found = []
    for gauge, (count, *entry) in here.dead():
        found.append((gauge, count))
        make(shared, entry)
    assert found == [(5000, 3)]
    assert list(here.dead()) == []
    assert here.held() == {5000: 2}


def test_entries_of_what_is_held_no_more_are_used_again(tmp_path):
    """A worker meets more gauges in its life than it holds of at once."""
    shared = words()
    seats = Seats(shared, 10, tmp_path)
    seats.sit()
    for gauge in range(1000, 1000 + ENTRIES + 50):
        held(seats, gauge, 1, shared)
        held(seats, gauge, -1, shared)
    held(seats, 999, 4, shared)
    assert seats.held() == {999: 4}


def test_without_a_seat_a_worker_counts_all_the_same(tmp_path, caplog):
    """More processes than seats: what one of them held is too much, should it die; never too little."""
    shared = words()
    for seat in range(SEATS):
        shared[10 + seat * (ENTRIES + 1)] = 1
    seats = Seats(shared, 10, tmp_path)
    seats.sit()
    writes: list[int] = []
    seats.count(5, 1, writes)
    assert writes == []
    assert "share a state folder" in caplog.text
