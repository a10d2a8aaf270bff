"""Calls and results keep to one another, whatever their ids were and whatever ids an API takes."""

import re
from typing import Final

import pytest

from gatewright.dialects.anthropic import turns as anthropic
from gatewright.dialects.bedrock_converse import turns as bedrock
from gatewright.ir.blocks import Message, Text, ToolCall, ToolResult
from gatewright.ir.loss import Losses
from gatewright.ir.pairing import IdRule, with_ids

RULE: Final = IdRule(re.compile(r"[a-z0-9_]{1,32}\Z"), "made_")


def called(*calls: ToolCall) -> Message:
    return Message(role="assistant", blocks=calls)


def call(call_id: str, name: str = "f") -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments="{}")


def result(call_id: str, name: str = "") -> ToolResult:
    return ToolResult(call_id=call_id, name=name, content=(Text(text="x"),))


def sent(messages: tuple[Message, ...], losses: Losses | None = None) -> list[str]:
    """The ids of calls and results in their order."""
    found = [block for message in with_ids(messages, RULE, losses or Losses("x")) for block in message.blocks]
    return [block.id if isinstance(block, ToolCall) else block.call_id for block in found if not isinstance(block, Text)]


def test_an_id_that_is_taken_stays_and_another_is_made_anew_always_alike():
    """The same word for the same id, so that a conversation that is sent again is the same to the provider's cache."""
    assert RULE.accepted("good_1") == "good_1"
    made = RULE.accepted("Not good!")
    assert made == RULE.accepted("Not good!") != RULE.accepted("Not good?")
    assert re.fullmatch(r"made_[0-9a-f]{24}", made)
    assert RULE.accepted("\ud800").startswith("made_"), "half a character is an id as well"


def test_a_result_follows_its_call_to_the_new_id():
    messages = (called(call("A"), call("b")), Message(role="user", blocks=(result("b"), Text(text="t"), result("A"))))
    assert sent(messages) == [RULE.accepted("A"), "b", "b", RULE.accepted("A")]


def test_calls_of_one_id_are_told_apart_and_answered_in_their_order():
    """Some hosts begin to count anew with every answer."""
    once = (called(call("call_0")), Message(role="user", blocks=(result("call_0"),)))
    first, first_result, second, second_result = sent(once + once)
    assert first == first_result != second == second_result


def test_results_without_ids_answer_the_earliest_call_of_their_name_and_it_is_said():
    """Gemini gives names alone; of what fits no name, the earliest call that waits is answered."""
    losses = Losses("x")
    messages = (
        called(call("", "f"), call("", "g"), call("", "f")),
        Message(role="user", blocks=(result("", "g"), result("", "f"), result("", "h"))),
    )
    assert sent(messages, losses) == ["made_call_0", "made_call_1", "made_call_2", "made_call_1", "made_call_0", "made_call_2"]
    assert [loss.why for loss in losses.found] == ["a result without an id is paired by its name"] * 3


def test_a_result_that_nobody_asked_for_has_an_id_that_is_taken():
    assert sent((Message(role="user", blocks=(result("Q"), result(""))),)) == [RULE.accepted("Q"), "unknown"]


@pytest.mark.parametrize(("module", "prefix"), [(anthropic, "toolu_"), (bedrock, "tooluse_")])
def test_both_apis_have_their_own_word_and_the_same_rule(module, prefix):
    assert module.with_ids is with_ids
    assert module.IDS.prefix == prefix
    assert module.IDS.accepted("call_1-A") == "call_1-A"
    for bad in ("", "a.b", "a" * 65, "a\n"):
        assert module.IDS.accepted(bad).startswith(prefix)
