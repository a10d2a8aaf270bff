"""Streams of events under rules."""

from gatewright.guards.check_stream import StreamCheck
from gatewright.guards.redact import Redactor
from gatewright.guards.rules import Compiled, Rule
from gatewright.guards.terms import Finding
from gatewright.ir.blocks import Reasoning, Text, ToolCall
from gatewright.ir.events import BlockStart, BlockStop, NativeEvent, StreamEvent, TextDelta
from gatewright.ir.fold import fold, unfold
from gatewright.ir.request import Request
from gatewright.ir.response import Finish, Response
from tests.guards.kinds_cases import check_kind
from tests.guards.looking import Numbers, Words, rule
from tests.guards.streaming import check_answer

ASKED = Request(origin="openai_chat", model="m")


def test_a_stream_is_what_it_is_when_it_is_looked_at_whole() -> None:
    """1,000 random answers of several blocks, cut anywhere; `make guards` runs 10,000 and more."""
    assert sum(check_answer(seed) for seed in range(1_000)) > 300


def test_the_kinds_that_find_places_are_right_in_windows() -> None:
    assert max(check_kind(seed) for seed in range(600)) > 0


def check(*rules: Rule, originals: dict[str, str] | None = None, **settings: object) -> StreamCheck:
    redactor = Redactor()
    redactor.originals.update(originals or {})
    return StreamCheck(rules, redactor, ASKED, 64, **settings)  # type: ignore[arg-type]


def events(*blocks: object) -> list[StreamEvent]:
    return unfold(Response(origin="openai_chat", id="i", model="m", blocks=blocks, finish=Finish(reason="stop")))  # type: ignore[arg-type]


def text(out: list[StreamEvent]) -> str:
    return "".join(event.text for event in out if isinstance(event, TextDelta))


def test_what_no_rule_looks_at_goes_by_untouched() -> None:
    told = events(Text(text="hello"), ToolCall(id="c", name="f", arguments="{}"))
    assert all(
        new is old for new, old in zip(check(rule(Words(("x",)), parts=frozenset(("user",)))).feed(told), told, strict=True)
    )


def test_reasoning_follows_its_own_setting() -> None:
    told = events(Reasoning(text="a secret thought"), Text(text="hi"))
    forbidden = rule(Words(("secret",)))
    assert check(forbidden).feed(told) != told
    passed = check(forbidden, reasoning="pass")
    assert fold(passed.feed(told)).blocks[0] == Reasoning(text="a secret thought")
    dropped = check(forbidden, reasoning="drop")
    assert fold(dropped.feed(told)).blocks == (Reasoning(), Text(text="hi"))
    assert dropped.stop is None


def test_a_placeholder_in_arguments_comes_back_escaped() -> None:
    """What it stands for may hold quotes; the arguments stay JSON."""
    call = ToolCall(id="c", name="f", arguments='{"to":"\\u003cname_1> and more"}')
    out = check(originals={"<name_1>": 'Ann "A" Lee'}).feed(events(call))
    assert fold(out).blocks[0].arguments == '{"to":"Ann \\"A\\" Lee and more"}'  # type: ignore[union-attr]


class _Never:
    """A judge that objects to calls of one name, and to the words of the request never."""

    def judge(self, request: Request, answer: Response | None) -> list[Finding]:
        calls = [] if answer is None else [block for block in answer.blocks if isinstance(block, ToolCall)]
        return [Finding(kind="call", message="no") for call in calls if call.name == "rm"]


def _judging(parts: frozenset[str], **settings: object) -> Rule:
    return Rule(name="judge", kind="test", action="block", check=Compiled(judge=_Never()), parts=parts, **settings)  # type: ignore[arg-type]


def test_a_judge_of_calls_lets_words_flow_and_holds_calls() -> None:
    one = check(_judging(frozenset(("tool_call",))))
    told = events(Text(text="well"), ToolCall(id="c", name="rm", arguments='{"a":1}'))
    call = next(i for i, event in enumerate(told) if getattr(getattr(event, "block", None), "name", "") == "rm")
    assert text(one.feed(told[:call])) == "well"
    assert one.feed(told[call : call + 2]) == []
    assert one.feed(told[call + 2 :]) == []
    assert one.stop is not None


def test_a_judge_of_the_whole_holds_all_of_it() -> None:
    one = check(_judging(frozenset(("assistant", "tool_call"))))
    told = events(Text(text="well"), ToolCall(id="c", name="ls", arguments="{}"))
    assert one.feed(told[:-1]) == []
    assert fold(one.feed(told[-1:])) == fold(told)
    other = check(_judging(frozenset(("assistant", "tool_call"))))
    assert other.feed(events(Text(text="well"), ToolCall(id="c", name="rm", arguments="{}"))) == []
    assert other.stop is not None


def test_a_judge_that_only_tells_holds_nothing() -> None:
    one = check(_judging(frozenset(("assistant", "tool_call")), dry=True))
    told = events(Text(text="well"), ToolCall(id="c", name="rm", arguments="{}"))
    assert text(one.feed(told[:3])) == "well"
    one.feed(told[3:])
    assert one.stop is None
    assert [finding.dry for finding in one.checker.findings] == [True]


def test_a_match_that_goes_on_in_the_next_block_is_stopped() -> None:
    """Nothing of it leaves; what stands before it does, and the block it stands in is told as far."""
    told = events(Text(text="a sec"), Text(text="ret b"))
    one = check(rule(Words(("secret",))))
    out = [event for part in told for event in one.feed([part])]
    assert text(out) == "a "
    assert one.stop is not None
    (finding,) = one.checker.findings
    assert (finding.path, finding.start, finding.end) == ("blocks[0].text", 2, 5)


def test_a_match_over_blocks_is_redacted_in_each() -> None:
    told = events(Text(text="a se"), Text(text="cr"), Text(text="et b"))
    one = check(rule(Words(("secret",)), "redact"))
    out = [event for part in told for event in one.feed([part])]
    assert fold(out).blocks == (Text(text="a <word_1>"), Text(text="<word_2>"), Text(text="<word_3> b"))


def test_the_end_of_a_block_waits_for_the_next_and_no_longer() -> None:
    """It leaves with what comes next, if that is no text, or decides it; and all in its order."""
    told = events(Text(text="a sec"), ToolCall(id="c", name="f", arguments="{}"))
    one = check(rule(Words(("secret",)), parts=frozenset(("assistant",))))
    assert text(one.feed(told[:3])) == "a "
    assert one.holds
    assert one.feed(told[3:4]) == []
    assert text(one.feed(told[4:5])) == "sec"
    told = events(Text(text="a sec"), Text(text="ond"))
    one = check(rule(Words(("secret",))))
    out = one.feed(told[:5])
    assert text(out) == "a "
    assert fold([*out, *one.feed(told[5:])]) == fold(told)


def test_a_match_at_the_end_of_a_block_is_one_whatever_the_next_begins_with() -> None:
    """Three digits are a number at the block's end, though a fourth follows in the next block."""
    one = check(rule(Numbers(3, 3)))
    assert text(one.feed(events(Text(text="a 123"), Text(text="4 b")))) == "a "
    assert one.stop is not None
    redacting = check(rule(Numbers(3, 3), "redact"))
    assert text(redacting.feed(events(Text(text="a 123"), Text(text="4 b")))) == "a <number_1>4 b"


def test_a_rule_that_only_tells_sees_over_blocks_and_holds_nothing() -> None:
    told = events(Text(text="a sec"), Text(text="ret b"))
    one = check(rule(Words(("secret",)), "flag"))
    assert one.feed(told[:3]) == told[:3]
    assert one.feed(told[3:]) == told[3:]
    assert [finding.kind for finding in one.checker.findings] == ["word"]


def test_what_a_block_begins_with_is_held_as_its_deltas_are() -> None:
    begun = [*events(Text(text="a sec"))[:3], BlockStart(1, Text(text="re")), TextDelta(1, "t b")]
    one = check(rule(Words(("secret",))))
    assert text(one.feed(begun)) == "a "
    assert one.stop is not None


def test_what_blocks_hold_together_is_no_more_than_one_would() -> None:
    """Many small blocks under a rule that waits long: the bound is the rule's, not the block's."""
    one = check(rule(Words(("a" * 40,))))
    for index in range(200):
        one.feed([BlockStart(index, Text(text="")), TextDelta(index, "aab" if index % 20 else "aa"), BlockStop(index)])
    assert one.stop is None
    assert one.most_held < 40


def _choice(index: int, words: str) -> NativeEvent:
    return NativeEvent(origin="openai_chat", data={"choices": [{"index": index, "delta": {"content": words}}]})


def test_further_choices_are_looked_at_each_for_itself() -> None:
    """Pieces of one choice make one text; those of two do not."""
    begun = events(Text(text="a"))[:1]
    one = check(rule(Words(("secret",))))
    assert one.feed([*begun, _choice(1, "sec"), _choice(2, "ret")]) != []
    assert one.stop is None
    one.feed([_choice(1, "ret")])
    assert one.stop is not None
    redacting = check(rule(Words(("secret",)), "redact"))
    out = redacting.feed([*begun, _choice(1, "a sec"), _choice(1, "ret b"), *events(Text(text="x"))[1:]])
    said = "".join(one.data["choices"][0]["delta"]["content"] for one in out if isinstance(one, NativeEvent))  # type: ignore[index,call-overload]
    assert said == "a <word_1> b"


def test_an_event_leaves_after_all_that_came_before_it() -> None:
    """What may still become a match of one choice holds up the words of another that came later."""
    one = check(rule(Words(("secret",))))
    told = events(Text(text="x"))
    assert one.feed([told[0], _choice(1, "sec"), *told[1:3]]) == told[:1]
    assert one.feed([_choice(1, "ond")]) == [_choice(1, "sec"), *told[1:3], _choice(1, "ond")]
