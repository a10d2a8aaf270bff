import pytest

from gatewright.guards.detect.lengths import compiled, estimated
from gatewright.ir.blocks import Text
from tests.guards.detect.talks import answer, call, says, talk, user


def kinds(settings: dict, request, said=None) -> list[str]:
    return [finding.kind for finding in compiled(settings).judge.judge(request, said)]


def test_each_limit_is_looked_at():
    asked = talk(user("x" * 100), says("y" * 50), user("z"), tools=("a", "b"))
    assert kinds({"max_text_chars": 99}, asked) == ["text_chars"]
    assert kinds({"max_text_chars": 100}, asked) == []
    assert kinds({"max_total_chars": 120}, asked) == ["chars"]
    assert kinds({"max_total_chars": 200}, asked) == []
    assert kinds({"max_text_tokens": 24}, asked) == ["text_tokens"]
    assert kinds({"max_total_tokens": 30}, asked) == ["tokens"]
    assert kinds({"max_messages": 2, "max_tools": 1}, asked) == ["messages", "tools"]
    assert kinds({"max_messages": 3, "max_tools": 2}, asked) == []


def test_whose_texts_count_is_chosen():
    asked = talk(user("x" * 10), says("y" * 50))
    assert kinds({"max_text_chars": 20, "only": ["user"]}, asked) == []
    assert kinds({"max_text_chars": 20, "only": ["assistant"]}, asked) == ["text_chars"]


def test_of_an_answer_the_answer_counts():
    """What was asked was looked at before."""
    asked = talk(user("x" * 1000))
    assert kinds({"max_text_chars": 20}, asked, answer(Text(text="short"))) == []
    assert kinds({"max_text_chars": 20, "max_messages": 0}, asked, answer(Text(text="y" * 30))) == ["text_chars"]


def test_arguments_count_as_they_are_written():
    """Once: not each string of theirs, too."""
    written = call("send", to="x" * 20)
    size = len(written.arguments)
    assert kinds({"max_total_chars": size}, talk(), answer(written)) == []
    assert kinds({"max_total_chars": size - 1}, talk(), answer(written)) == ["chars"]


def test_where_it_is_too_long_is_told_and_nothing_of_it():
    [finding] = compiled({"max_text_chars": 3}).judge.judge(talk(user("secret")), None)
    assert "messages[0]" in finding.path
    assert finding.message == "6 characters; at most 3 may be"


def test_tokens_are_about_right():
    """A quarter of the characters; of Chinese, Japanese and Korean each."""
    assert estimated("") == 0
    assert estimated("abcdefgh") == 2
    assert estimated("日本語です") == 5


def test_a_limit_is_needed():
    with pytest.raises(ValueError, match="a limit is needed"):
        compiled({})
    with pytest.raises(ValueError, match=r"\$.max_total_chars"):
        compiled({"max_total_chars": -1})
