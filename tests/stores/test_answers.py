"""Kept answers in memory: bounded in bytes and in time, and those that are used stay."""

from gatewright.stores.answers import LARGEST_SHARE, OVERHEAD, Answers


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_there_until_its_time_is_over():
    """Not a moment longer, and its place is free then."""
    clock = Clock()
    answers = Answers(1 << 20, clock=clock)
    answers.hold(b"k", b"body", 10)
    clock.now += 9.9
    assert answers.near(b"k") == b"body"
    clock.now += 0.1
    assert answers.near(b"k") is None
    assert (len(answers), answers.size) == (0, 0)


def test_the_size_is_bounded_and_the_least_used_go_first():
    """Whatever is put in, no more bytes are held than allowed; reading counts as use."""
    body = b"x" * 800
    answers = Answers(5 * (len(body) + 1 + OVERHEAD))
    for key in (b"a", b"b", b"c", b"d", b"e"):
        answers.hold(key, body, 60)
    assert answers.near(b"a") is not None
    answers.hold(b"f", body, 60)
    assert answers.near(b"b") is None, "the one that nobody has asked for since longest"
    assert [answers.near(key) is not None for key in (b"a", b"c", b"d", b"e", b"f")] == [True] * 5
    for i in range(1000):
        answers.hold(b"%d" % i, b"y" * (i % 700), 60)
        assert answers.size <= answers.max_bytes


def test_a_smaller_bound_holds_from_the_next_answer_on():
    """The configuration may change while it runs."""
    answers = Answers(1 << 20)
    for i in range(20):
        answers.hold(b"%d" % i, b"x" * 1000, 60)
    answers.max_bytes = 8000
    answers.hold(b"new", b"x" * 100, 60)
    assert answers.size <= 8000
    assert answers.near(b"new") is not None


def test_one_answer_does_not_push_out_all_others():
    """What is larger than a good part of the whole is not kept."""
    answers = Answers(100_000)
    answers.hold(b"small", b"x", 60)
    answers.hold(b"large", b"x" * (100_000 // LARGEST_SHARE), 60)
    assert answers.near(b"large") is None
    assert answers.near(b"small") == b"x"


def test_a_later_answer_takes_the_place_of_an_earlier():
    """Without counting twice."""
    answers = Answers(100_000)
    for body in (b"one", b"three", b"two"):
        answers.hold(b"k", body, 60)
    assert answers.near(b"k") == b"two"
    assert answers.size == len(b"k") + len(b"two") + OVERHEAD


async def test_what_others_left_is_held_here_too():
    """The shared store is asked once."""

    class Shared:
        asked = 0

        async def get(self, key):
            self.asked += 1
            return b"theirs"

        async def put(self, key, kept, ttl_s):
            raise AssertionError

        async def close(self): ...

    shared = Shared()
    answers = Answers(100_000, shared=shared)
    assert answers.near(b"k") is None
    assert await answers.far(b"k", 60) == b"theirs"
    assert answers.near(b"k") == b"theirs"
    assert shared.asked == 1
