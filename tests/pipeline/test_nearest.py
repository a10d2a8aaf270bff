"""Nearest questions: what is ruled out early could not have been near, and memory has an end."""

import math

from hypothesis import given
from hypothesis import strategies as st

from gatewright.pipeline import nearest
from gatewright.pipeline.nearest import HEAD, Questions, cosine, direction

NUMBERS = st.floats(-10, 10, width=32)


def plain(one: list[float], other: list[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / math.sqrt(sum(a * a for a in one)) / math.sqrt(sum(b * b for b in other))


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(*[st.lists(NUMBERS, min_size=n, max_size=n)] * 2)), st.floats(0.5, 0.99))
def test_what_is_ruled_out_is_below_the_threshold(pair, threshold):
    """The short sum gives the same verdict as the whole."""
    padded = [[*numbers, *([0.0] * HEAD), *reversed(numbers)] for numbers in pair]
    one, other = map(direction, padded)
    if one is None or other is None:
        return
    whole = plain(*padded)
    found = cosine(one, other, threshold)
    if whole >= threshold + 1e-4:
        assert found is not None
        assert abs(found - whole) < 1e-4
    elif whole < threshold - 1e-4:
        assert found is None


def test_what_has_no_direction_is_near_to_nothing():
    """Zeros, nothing, and what is not finite."""
    for numbers in ([], [0.0, 0.0], [float("nan"), 1.0], [float("inf")], [1e308, 1e308]):
        assert direction(numbers) is None


def test_vectors_of_two_models_are_never_near():
    """Spaces of other sizes cannot be compared."""
    one, other = direction([1.0, 0.0]), direction([1.0, 0.0, 0.0])
    assert one is not None
    assert other is not None
    assert cosine(one, other, 0.5) is None


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_nearest_of_several_wins_and_only_among_its_kind():
    """Until its time is over."""
    clock = Clock()
    questions = Questions(clock)
    near, nearer, asked = direction([1.0, 0.3]), direction([1.0, 0.1]), direction([1.0, 0.0])
    assert near is not None
    assert nearer is not None
    assert asked is not None
    questions.add(b"kind", near, b"near", 60)
    questions.add(b"kind", nearer, b"nearer", 10)
    questions.add(b"other", asked, b"same", 60)
    found = questions.nearest(b"kind", asked, 0.9)
    assert found is not None
    assert found[0] == b"nearer"
    assert 0.99 < found[1] < 1
    assert questions.nearest(b"third", asked, 0.9) is None
    clock.now = 11
    found = questions.nearest(b"kind", asked, 0.9)
    assert found is not None
    assert found[0] == b"near"
    assert questions.nearest(b"kind", asked, 0.99) is None


def test_memory_has_an_end(monkeypatch):
    """Of each kind, and of all; the kinds that nobody asks for go first."""
    monkeypatch.setattr(nearest, "MOST_EACH", 5)
    monkeypatch.setattr(nearest, "MOST", 20)
    questions = Questions(Clock())
    vector = direction([1.0, 0.0])
    assert vector is not None
    for kind in range(50):
        for i in range(9):
            questions.add(b"%d" % kind, vector, b"%d" % i, 60)
        questions.nearest(b"0", vector, 0.9)
        assert questions.size <= 20
    assert questions.nearest(b"0", vector, 0.9) is not None
    assert questions.nearest(b"1", vector, 0.9) is None
