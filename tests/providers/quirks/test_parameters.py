"""Tables of parameters."""

from gatewright.providers.quirks.parameters import several, spelt, without
from gatewright.providers.quirks.seam import Tell


def mended(mend, body):
    tell = Tell("openai_chat", lambda field: f"@{field}")
    mend(body, tell)
    return body, [(loss.path, loss.weight, loss.value) for loss in tell.losses.found]


def test_losses_are_told_where_the_client_said_it():
    """The host's spelling is not the client's."""
    assert mended(without("h", ["a"]), {"a": 1, "b": 2}) == ({"b": 2}, [("@a", "dropped", 1)])


def test_what_asks_for_nothing_is_a_hint():
    """One and true are not the same value."""
    assert mended(without("h", ["n", "logprobs"]), {"n": 1, "logprobs": False})[1] == [
        ("@n", "hint", 1),
        ("@logprobs", "hint", False),
    ]
    assert mended(without("h", ["n"]), {"n": True})[1] == [("@n", "dropped", True)]
    assert mended(without("h", ["stop"]), {"stop": None})[1] == [("@stop", "hint", None)]


def test_a_host_that_the_client_knows_is_taken_at_its_word():
    """Both spellings: the host's own holds; null says nothing."""
    rename = spelt({"a": "b"})
    assert mended(rename, {"a": 1, "b": 2})[0] == {"b": 2}
    assert mended(rename, {"a": None})[0] == {}


def test_mends_follow_one_another():
    """What one spells anew the next may leave out."""
    assert mended(several(spelt({"a": "b"}), without("h", ["b"])), {"a": 1}) == ({}, [("@b", "dropped", 1)])
