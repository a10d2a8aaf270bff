"""Every text of a conversation is seen, and put back changed with nothing else touched."""

import base64

import msgspec
import pytest

from gatewright.dialects import BY_NAME
from gatewright.errors import Refused
from gatewright.guards.check import Checker, put_back
from gatewright.guards.redact import Redactor
from gatewright.guards.texts import Walk, texts
from gatewright.ir import blocks
from gatewright.ir.request import Asked, Request
from gatewright.ir.response import Response
from gatewright.ir.seal import Seal
from tests.guards.looking import Words, rule
from tests.laws.cases import files, load

MARK = "SESAME"


def request(*said: blocks.Block, role: str = "user") -> Request:
    return Request(origin="openai_chat", model="m", messages=(blocks.Message(role=role, blocks=said),))  # type: ignore[arg-type]


def redacted(asked: Request) -> Request:
    return Walk(Checker([rule(Words((MARK,)), "redact")], "request", Redactor()).see).request(asked)


PLACES = {
    "text": blocks.Text(text=MARK),
    "a citation": blocks.Text(text="x", citations=(blocks.Citation(kind="k", origin="anthropic", cited=MARK),)),
    "extras": blocks.Text(text="x", extras={"a": [{"b": MARK}]}),
    "an odd key": blocks.Native(origin="anthropic", data={f"{MARK} and more than a key has in general": 1}),
    "reasoning": blocks.Reasoning(text=MARK),
    "a summary": blocks.Reasoning(summary=("x", MARK)),
    "arguments": blocks.ToolCall(id="c", name="f", arguments='{"a": "SESAME"}'),
    "escaped arguments": blocks.ToolCall(id="c", name="f", arguments='{"a": "\\u0053ESAME"}'),
    "arguments that are no JSON": blocks.ToolCall(id="c", name="f", arguments="{SESAME"),
    "a result": blocks.ToolResult(call_id="c", content=(blocks.Text(text=MARK),)),
    "a structured result": blocks.ToolResult(call_id="c", content=(), structured={"a": MARK}),
    "a refusal": blocks.Refusal(text=MARK),
    "a native block": blocks.Native(origin="anthropic", data={"type": "x", "query": MARK}),
    "a title": blocks.Media(kind="document", source=blocks.Url(url="http://x"), title=MARK),
    "a URL": blocks.Media(kind="image", source=blocks.Url(url=f"http://x/{MARK}")),
    "a text document": blocks.Media(kind="document", source=blocks.Inline(media_type="text/plain", data=MARK, text=True)),
    "a text in base64": blocks.Media(
        kind="document", source=blocks.Inline(media_type="text/plain", data=base64.b64encode(MARK.encode()).decode())
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_text_is_found_wherever_it_stands(place) -> None:
    asked = request(PLACES[place], role="assistant")
    changed = redacted(asked)
    assert changed != asked
    told = msgspec.json.encode(changed)
    assert MARK.encode() not in told
    assert base64.b64encode(MARK.encode()) not in told
    assert redacted(changed) is changed


def test_what_nobody_changes_is_the_same_object() -> None:
    """Every case of the corpus and every recording, looked at by who changes nothing."""
    count = 0
    for place, path in files():
        case = load(place, path)
        if case.call is None:
            continue
        try:
            asked = BY_NAME[case.dialect].parse_request(case.call)
        except Refused:
            continue
        assert Walk(lambda text: text.text).request(asked) is asked, case.id
        count += bool(texts(asked))
    assert count > 100


def test_parts_tell_who_speaks() -> None:
    asked = Request(
        origin="anthropic",
        model="m",
        metadata={"user_id": "somebody"},
        messages=(
            blocks.Message(role="system", blocks=(blocks.Text(text="rules"),)),
            blocks.Message(
                role="assistant", blocks=(blocks.Reasoning(text="hm"), blocks.ToolCall(id="c", name="f", arguments="{}"))
            ),
            blocks.Message(role="user", blocks=(blocks.ToolResult(call_id="c", content=(blocks.Text(text="done"),)),)),
            blocks.Message(role="user", blocks=(blocks.Text(text="go"),)),
        ),
    )
    told = {(text.part, text.text, text.tool) for text in texts(asked)}
    assert told == {
        ("system", "rules", ""),
        ("reasoning", "hm", ""),
        ("tool_call", "f", "f"),
        ("tool_call", "{}", "f"),
        ("tool_result", "done", "f"),
        ("user", "go", ""),
        ("other", "somebody", ""),
    }


def test_a_seal_over_words_that_were_changed_is_taken_off() -> None:
    """Its provider would refuse the words; and the tokens of log probabilities would tell them."""
    seal = Seal(dialect="anthropic", data="abc", issuer="claude", kind="signature")
    (thought, said) = (
        redacted(
            request(
                blocks.Reasoning(text=MARK, seal=seal),
                blocks.Text(text=MARK, logprobs=(blocks.TokenLogprob(token=MARK),)),
                role="assistant",
            )
        )
        .messages[0]
        .blocks
    )
    assert isinstance(thought, blocks.Reasoning)
    assert isinstance(said, blocks.Text)
    assert (thought.seal, said.logprobs) == (None, ())


def test_arguments_stay_json_whatever_is_replaced() -> None:
    """A match across the document's own signs would leave none."""
    checker = Checker([rule(Words(('"a": 1',)), "redact")], "request", Redactor())
    call = blocks.ToolCall(id="c", name="f", arguments='{"a": 1}')
    assert Walk(checker.see).node(call, "tool_call", "").arguments == '{"redacted":true}'


def test_a_long_number_is_a_text() -> None:
    checker = Checker([rule(Words(("4111111111111111",)), "redact")], "request", Redactor())
    assert Walk(checker.see).json({"card": 4111111111111111, "n": 3}, "other", "") == {"card": "<word_1>", "n": 3}


def test_one_match_in_arguments_is_one_finding() -> None:
    """It stands in a string, and once more in the JSON as it is written."""
    checker = Checker([rule(Words((MARK,)))], "request", Redactor())
    Walk(checker.see).request(request(PLACES["arguments"], role="assistant"))
    assert len(checker.findings) == 1


def test_further_choices_of_an_answer_are_the_assistants_words() -> None:
    answer = BY_NAME["openai_chat"].parse_response(
        b'{"id":"1","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"}},'
        b'{"index":1,"message":{"role":"assistant","content":"SESAME"}}]}',
        Asked(),
    )
    assert ("assistant", MARK) in {(text.part, text.text) for text in texts(request(), answer)}


def test_what_was_replaced_comes_back_everywhere() -> None:
    answer = Response(
        origin="openai_chat",
        id="1",
        model="m",
        blocks=(blocks.Text(text="to <name_1>"), blocks.ToolCall(id="c", name="f", arguments='{"to":"\\u003cname_1>"}')),
        others=({"message": {"content": "<name_1>"}},),
    )
    back = put_back(answer, {"<name_1>": 'A "B"'})
    assert [text.text for text in texts(request(), back)] == ['to A "B"', "f", 'A "B"', '{"to":"A \\"B\\""}', 'A "B"']
