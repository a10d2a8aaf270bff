"""Shapes by name, in one pass."""

from gatewright.invariant.detectors.shapes import Shapes

SHAPES = Shapes([("number", r"\d+"), ("word", r"[a-z]{3,}"), ("number", "none")])


def test_each_shape_is_named_and_placed_in_characters():
    assert list(SHAPES.find("äß 12 🙂ABC none")) == [("number", 3, 5), ("word", 7, 10), ("word", 11, 15)]


def test_half_characters_take_their_place():
    assert list(SHAPES.find("\ud800 7")) == [("number", 2, 3)]
