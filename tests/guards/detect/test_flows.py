import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.guards.detect.flows import compiled
from tests.guards.detect.talks import answer, call, calls, gives, native, says, talk, user

MAIL = {"after": {"result_of": ["fetch_*", "read_*"]}, "deny": {"call": "send_*"}, "unless": {"user": "(?i)yes, send"}}


def paths(flow: dict, request, said=None) -> list[str]:
    return [finding.path for finding in compiled({"flows": [flow]}).judge.judge(request, said)]


def read(*, text: str = "untrusted") -> list:
    return [user("look"), calls(call("fetch_page", "1")), gives("1", text)]


def test_after_an_untrusted_result_nothing_is_sent():
    """In an answer, or in what the client says was called before."""
    send = call("send_email", to="x")
    assert paths(MAIL, talk(*read()), answer(send)) == ["content[0]"]
    assert paths(MAIL, talk(user("hi")), answer(send)) == []
    assert paths(MAIL, talk(*read(), calls(send))) == ["messages[3].content[0]"]
    assert paths(MAIL, talk(calls(send), *read())) == []


def test_findings_of_the_request_are_not_told_again():
    assert paths(MAIL, talk(*read(), calls(call("send_email"))), answer()) == []


def test_the_user_may_make_it_good():
    """Until something taints it again."""
    send = call("send_email")
    assert paths(MAIL, talk(*read(), user("yes, send it")), answer(send)) == []
    assert paths(MAIL, talk(*read(), user("no")), answer(send)) == ["content[0]"]
    assert paths(MAIL, talk(*read(), user("yes, send it"), *read()), answer(send)) == ["content[0]"]
    assert paths(MAIL, talk(user("yes, send it"), *read()), answer(send)) == ["content[0]"]


def test_what_a_result_holds_and_what_a_call_says_may_matter():
    flow = {
        "after": {"result_of": "*", "contains": "(?i)password"},
        "deny": {"call": "send_*", "arguments": {"to": {"not_matches": r"@example\.com$"}}},
    }
    outside, inside = call("send_email", to="a@evil.example"), call("send_email", to="a@example.com")
    assert paths(flow, talk(*read(text="PASSWORD: x")), answer(outside, inside)) == ["content[0]"]
    assert paths(flow, talk(*read(text="nothing")), answer(outside)) == []


def test_what_is_required_must_come_before():
    flow = {"before": {"call": "transfer"}, "require": {"call": "confirm"}}
    assert paths(flow, talk(user("go")), answer(call("transfer"))) == ["content[0]"]
    assert paths(flow, talk(user("go"), calls(call("confirm", "1")), gives("1", "ok")), answer(call("transfer"))) == []
    assert paths(flow, talk(user("go")), answer(call("confirm"), call("transfer"))) == []
    since = {**flow, "after": {"result_of": "fetch_*"}}
    assert paths(since, talk(calls(call("confirm", "0")), *read()), answer(call("transfer"))) == ["content[0]"]
    assert paths(since, talk(user("go")), answer(call("transfer"))) == []


def test_events_of_every_kind():
    """What was said, a failed result, a provider's own tool, a result of a call that nobody named."""
    deny = {"call": "pay"}
    assert paths({"after": {"user": "(?i)refund"}, "deny": deny}, talk(user("Refund me")), answer(call("pay")))
    assert paths({"after": {"assistant": True}, "deny": deny}, talk(says("hi")), answer(call("pay")))
    failed = talk(calls(call("x", "1")), gives("1", "no", failed=True))
    assert paths({"after": {"result_of": "x", "failed": True}, "deny": deny}, failed, answer(call("pay")))
    assert not paths({"after": {"result_of": "x", "failed": False}, "deny": deny}, failed, answer(call("pay")))
    assert paths({"after": {"call": "x"}, "deny": deny}, failed, answer(call("pay")))
    web = calls(native(type="web_search_tool_result", content=[{"title": "a"}]))
    assert paths({"after": {"result_of": "web_search"}, "deny": deny}, talk(web), answer(call("pay")))
    assert paths({"after": {"result_of": "other"}, "deny": deny}, talk(gives("unknown", "x")), answer(call("pay")))


def test_the_operators_words_are_told():
    [finding] = compiled({"flows": [{**MAIL, "message": "ask first"}]}).judge.judge(talk(*read()), answer(call("send_x")))
    assert (finding.kind, finding.message) == ("flow", "ask first")


@pytest.mark.parametrize(
    ("flow", "says"),
    [
        ({}, "expected `after` and `deny`"),
        ({"deny": {"call": "x"}}, "needs `after`"),
        ({"before": {"call": "x"}}, "needs `require`"),
        ({"after": {"user": True}, "deny": {"user": True}}, r"expected a call.*\$.flows\[0\].deny"),
        ({"after": {}, "deny": {"call": "x"}}, r"expected one of.*\$.flows\[0\].after"),
        ({"after": {"user": "(?!x)"}, "deny": {"call": "x"}}, r"lookaround.*\$.flows\[0\].after.user"),
        ({"after": {"user": "x", "contains": "y"}, "deny": {"call": "x"}}, "said of results"),
        ({"after": {"user": "x", "arguments": {"a": "b"}}, "deny": {"call": "x"}}, "said of calls"),
        ({"after": {"user": False}, "deny": {"call": "x"}}, "a pattern or `true`"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(flow, says):
    with pytest.raises(ValueError, match=says):
        compiled({"flows": [flow]})


STEPS = {
    "fetch": lambda n: calls(call("fetch_page", n)),
    "result": lambda n: gives("", "text", "fetch_page"),
    "send": lambda n: calls(call("send_email", n)),
    "yes": lambda n: user("yes, send"),
    "no": lambda n: user("no"),
}


@settings(max_examples=300)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=12))
def test_it_agrees_with_the_words_of_the_rule(steps):
    """A call is found exactly where a result stands before it with no consent between."""
    asked = talk(*(STEPS[step](str(index)) for index, step in enumerate(steps)))
    expected = [
        f"messages[{index}].content[0]"
        for index, step in enumerate(steps)
        if step == "send"
        and any(earlier == "result" and "yes" not in steps[place:index] for place, earlier in enumerate(steps[:index]))
    ]
    assert paths(MAIL, asked) == expected
