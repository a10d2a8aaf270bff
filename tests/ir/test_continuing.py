"""Requests that go on with an answer that was cut: what may be gone on with, and in which words it is asked for."""

import msgspec
import pytest

from gatewright.ir.blocks import Citation, Inline, Media, Message, Native, Reasoning, Refusal, Text, ToolCall
from gatewright.ir.continuing import ASK, LEAST_TOKENS, MOST_ANCHOR, Delivered, anchor_of, continued, why_not
from gatewright.ir.request import OutputFormat, Request, Sampling, Thinking
from gatewright.ir.seal import Seal

ASKED = Request(origin="anthropic", model="m", messages=(Message(role="user", blocks=(Text(text="hi", bare=True),)),))
SEAL = Seal(dialect="anthropic", data="EqQB", issuer="claude")
replace = msgspec.structs.replace


def said(*texts: str, open_: bool = True) -> Delivered:
    return Delivered(tuple(Text(text=text) for text in texts), open_)


def test_text_goes_on_in_the_assistants_turn_where_that_is_taken():
    """The answer so far is the last message, without the white space at its end after which no model goes on."""
    after = continued(ASKED, said("Once upon a \n"), "prefill")
    assert (after.way, after.anchor) == ("prefill", "")
    assert after.request.messages == (*ASKED.messages, Message(role="assistant", blocks=(Text(text="Once upon a", bare=True),)))


def test_elsewhere_a_turn_asks_for_the_rest_and_names_the_last_words():
    """A model that begins with words known beforehand can be joined to them letter by letter."""
    after = continued(ASKED, said("Once upon a time there was"), "turn")
    *_, answered, asked = after.request.messages
    assert after.way == "turn"
    assert after.anchor == "Once upon a time there was"
    assert answered == Message(role="assistant", blocks=(Text(text="Once upon a time there was", bare=True),))
    assert asked.role == "user"
    assert asked.blocks[0].text == ASK + after.anchor


@pytest.mark.parametrize("way", ["prefill", "turn"])
def test_a_prefilled_answer_of_the_clients_own_goes_on_in_one_turn(way):
    """Two turns of the assistant in a row are refused by some and joined with a line break by others."""
    begun = Message(role="assistant", blocks=(Text(text="{", bare=True),))
    after = continued(replace(ASKED, messages=(*ASKED.messages, begun)), said('"a": '), way)
    turns = [message for message in after.request.messages if message.role == "assistant"]
    assert [block.text for turn in turns for block in turn.blocks] == ['{"a":' if way == "prefill" else '{"a": ']


@pytest.mark.parametrize(
    "blocks",
    [(), (Text(text=" \n"),), (Reasoning(text="hm", seal=SEAL),), (Reasoning(),)],
    ids=["nothing", "white space", "whole reasoning", "reasoning unsaid"],
)
@pytest.mark.parametrize("way", ["prefill", "turn"])
def test_where_nothing_was_said_the_same_is_asked_again(blocks, way):
    """No words to go on from: the request is the client's own."""
    delivered = Delivered(blocks, open=blocks == (Reasoning(),))
    after = continued(ASKED, delivered, way)
    assert why_not(ASKED, delivered) == ""
    assert (after.way, after.request) == ("again", ASKED)


def test_reasoning_is_not_shown_to_another_model():
    """What was thought before the text is sealed by one model; only the text is handed on."""
    after = continued(ASKED, Delivered((Reasoning(text="hm", seal=SEAL), Text(text="So", seal=SEAL)), open=True), "turn")
    assert after.request.messages[1].blocks == (Text(text="So", bare=True),)


def test_a_prefilled_answer_is_asked_for_without_reasoning():
    """Claude refuses the two together; a turn keeps what the client asked for."""
    asked = replace(ASKED, thinking=Thinking(enabled=True, budget=2000))
    assert continued(asked, said("So"), "prefill").request.thinking is None
    assert continued(asked, said("So"), "turn").request.thinking == asked.thinking


def test_the_limit_of_tokens_shrinks_by_what_is_out():
    """A quarter of the bytes, and never below what every API takes."""
    asked = replace(ASKED, max_tokens=100)
    assert continued(asked, said("x" * 200), "turn").request.max_tokens == 50
    assert continued(asked, said("x" * 4000), "turn").request.max_tokens == LEAST_TOKENS
    assert continued(replace(ASKED, max_tokens=5), said("x" * 400), "turn").request.max_tokens == 5
    assert continued(ASKED, said("x" * 400), "turn").request.max_tokens is None
    thinks = replace(ASKED, max_tokens=3000, thinking=Thinking(enabled=True, budget=2000))
    assert continued(thinks, said("x" * 8000), "turn").request.max_tokens == 2000 + LEAST_TOKENS


CITED = Text(text="a", citations=(Citation(kind="url_citation", origin="openai_chat", url="https://e.org"),))
CALL = ToolCall(id="c1", name="look", arguments="{}")


@pytest.mark.parametrize(
    ("delivered", "why"),
    [
        (Delivered((Text(text="a"), CALL), open=True), "a tool call is out"),
        (Delivered((CALL,), open=False), "a tool call is out"),
        (Delivered((Refusal(text="I"),), open=True), "the model has refused"),
        (Delivered((Native(origin="anthropic", data={}),), open=False), "only its provider"),
        (Delivered((Media(kind="image", source=Inline(media_type="image/png", data="")),), open=False), "only its provider"),
        (Delivered((CITED,), open=True), "citations are out"),
        (Delivered((Reasoning(text="hm"),), open=True), "within reasoning"),
        (Delivered((Reasoning(summary=("hm",)),), open=True), "within reasoning"),
        (Delivered((Reasoning(seal=SEAL, redacted=True),), open=True), "within reasoning"),
        (Delivered((Reasoning(id="rs_1"),), open=True), "within reasoning"),
    ],
)
def test_what_one_model_alone_can_finish_is_not_gone_on_with(delivered, why):
    """Tool calls, sealed thoughts, refusals and what its provider holds are never made by two."""
    assert why in why_not(ASKED, delivered)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sampling": Sampling(n=2)}, "several answers"),
        ({"sampling": Sampling(logprobs=True)}, "log probabilities"),
        ({"sampling": Sampling(top_logprobs=3)}, "log probabilities"),
        ({"extras": {"conversation": "conv_1"}}, "keeps this conversation"),
        ({"extras": {"background": True}}, "keeps this conversation"),
        ({"output": OutputFormat(kind="json_schema", schema={})}, "JSON answer"),
        ({"output": OutputFormat(kind="json_object")}, "JSON answer"),
    ],
)
def test_what_was_asked_for_may_forbid_a_second_model(change, why):
    """Each of these would come out wrong, and wrong is worse than cut."""
    assert why in why_not(replace(ASKED, **change), said('{"a"'))
    assert why_not(ASKED, said('{"a"')) == ""


def test_a_json_answer_that_has_not_begun_may_begin_elsewhere():
    """Before its first character it is as good as new."""
    asked = replace(ASKED, output=OutputFormat(kind="json_object"))
    assert why_not(asked, Delivered((Reasoning(text="hm"),), open=False)) == ""


@pytest.mark.parametrize(
    ("text", "anchor"),
    [
        ("Hello", "Hello"),
        ("Hello \n\n", "Hello"),
        ("a line that is done\nand the last line of it", "and the last line of it"),
        ("def f():\n    return 1\n}", "def f():\n    return 1\n}"),
        (" ".join(["word"] * 100), " ".join(["word"] * 15)),
        ("好" * 200, "好" * MOST_ANCHOR),
    ],
)
def test_the_last_words_are_whole_words_of_the_last_line(text, anchor):
    """They are quoted at the end of a prompt and looked for at the head of an answer: short, and without edges."""
    assert anchor_of(text) == anchor
    assert len(anchor) <= MOST_ANCHOR
