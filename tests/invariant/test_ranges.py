"""Places in Invariant's notation."""

from gatewright.invariant.ranges import most_specific, split_range


def test_only_the_innermost_place_is_told():
    """The reference's own example."""
    assert most_specific(["messages.2", "messages.2.content:25-30", "messages.2.content"]) == ["messages.2.content:25-30"]


def test_a_place_is_told_once_and_numbers_are_not_prefixes():
    """`messages.1` is not around `messages.12`, though it is how it begins; the reference drops it."""
    assert most_specific(["messages.12", "messages.1", "messages.12"]) == ["messages.1", "messages.12"]
    assert most_specific(["messages.1.content:1-2", "messages.1.content:1-23"]) == [
        "messages.1.content:1-2",
        "messages.1.content:1-23",
    ]


def test_a_range_is_told_from_its_path():
    """A key of arguments may hold a colon."""
    assert split_range("messages.2.content:25-30") == ("messages.2.content", 25, 30)
    assert split_range("messages.2.tool_calls.0.function.arguments.a:b") == (
        "messages.2.tool_calls.0.function.arguments.a:b",
        0,
        0,
    )
    assert split_range("messages.2") == ("messages.2", 0, 0)
