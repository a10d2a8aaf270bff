"""A policy is somebody's, a conversation somebody else's: neither makes an evaluation long, deep or large."""

import pytest

from gatewright.invariant.policy import bounds
from gatewright.invariant.policy.bounds import MAX_VIOLATIONS
from tests.invariant.policy.talk import call, found, policy, result, said, user


def work_of(text, *messages, **more):
    """The least work of powers of two with which an evaluation comes to its end; counted, not timed."""
    asked = policy(text)
    for power in range(5, 19):
        if not any(one.failed for one in asked.evaluate(messages, work=2**power, **more)):
            return 2**power
    return 2**19


def test_a_product_of_bindings_is_cut_with_words():
    """Five free variables over a hundred messages are 10^10 combinations."""
    text = (
        'raise "x" if:\n'
        + "".join(f"    (m{n}: Message)\n" for n in range(5))
        + "    m0.content == m1.content + m2.content + m3.content + m4.content + 'q'"
    )
    [violation] = found(text, *[user(f"{n}") for n in range(100)])
    assert violation.failed
    assert "too much work" in violation.message


def test_filters_on_one_variable_spare_the_product():
    """The same two variables, filtered: linear in the conversation, where combined they were its square."""
    text = 'raise "x" if:\n    (a: ToolCall) -> (b: ToolCall)\n    a is tool:f\n    b is tool:g\n    a.function.arguments.n == b.function.arguments.n'
    calls = [said("", call("f" if n == 0 else "g", n=n)) for n in range(400)]
    assert work_of(text, *calls) <= 2 * work_of(text, *calls[:200])


@pytest.mark.parametrize(
    "lines",
    [
        "\n    ".join(["x0 := 'aaaaaaaaaaaaaaaa'", *(f"x{n} := x{n - 1} + x{n - 1}" for n in range(1, 60)), "x59 == 'a'"]),
        "\n    ".join(["x0 := [1, 2]", *(f"x{n} := x{n - 1} + x{n - 1}" for n in range(1, 60)), "x59 == []"]),
        (
            "x := ('a' + 'b').replace('', 'cccccccc').replace('', 'cccccccccccc').replace('', 'ccccccccccccc').replace('', 'ccccccccccccc').replace('', 'c')"
            ".replace('', 'cccccccccccc').replace('', 'cccccccccc')\n    x == 'a'"
        ),
        "2 ** 200 ** 200 == 1",
        "[a for a in [b for b in [c for c in [1, 2]]]] == [] or 9 ** 99 ** 99 == 1",
    ],
)
def test_values_do_not_grow_beyond_bounds(lines):
    [violation] = found(f'raise "x" if:\n    {lines}\n', user("hi"))
    assert violation.failed


def test_predicates_do_not_nest_beyond_the_stack():
    """Each asks the next twice: 2^60 ways, cut by work or by depth, never by the interpreter."""
    ask = [f"p{n}(m: Message) :=\n    p{n + 1}(m) and p{n + 1}(m)\n" for n in range(60)]
    text = "".join(ask) + 'p60(m: Message) :=\n    m.role == "user"\nraise "x" if:\n    (m: Message)\n    p0(m)\n'
    [violation] = found(text, user("hi"))
    assert violation.failed


def test_violations_are_told_up_to_a_number():
    assert len(found('raise "x" if:\n    (m: Message)', *[user("a") for _ in range(500)])) == MAX_VIOLATIONS


def test_what_was_told_before_does_not_crowd_out_what_is_new():
    """An agent's conversation may hold hundreds of old findings of a rule that only logs."""
    text = 'raise "x" if:\n    (m: Message)\n    "bad" in m.content'
    old = [user("bad") for _ in range(5 * MAX_VIOLATIONS)]
    assert [one.ranges[-1] for one in found(text, *old, said("bad, too"), since=len(old))] == [f"messages.{len(old)}"]
    counted = text + "\n    exists:\n        (n: Message)\n        n.role == 'user'"
    assert [one.ranges[-1] for one in found(counted, *old[:300], said("bad, too"), since=300)] == ["messages.300"]


def test_a_long_text_costs_what_its_length_is():
    """Patterns are RE2's: ten times the text is about ten times the work, for a pattern that backtracking would never end on."""
    text = 'raise "x" if:\n    (m: Message)\n    match("(a+)+$", m.content)\n    match("^(?!(a+)+$)(a|aa)+c", m.content)'
    long, longer = "a" * 100_000 + "b", "a" * 1_000_000 + "b"
    assert work_of(text, user(longer)) <= 16 * work_of(text, user(long))
    assert work_of(text, user(longer)) < bounds.MAX_WORK


def test_a_detector_is_asked_once_about_a_text():
    """However many assignments ask it again."""
    text = 'raise "x" if:\n    (a: ToolOutput) -> (b: ToolCall)\n    any(pii(a.content))\n    b is tool:send'
    big = "x " * 20_000
    few = [result(big), *[said("", call("send")) for _ in range(2)]]
    many = [result(big), *[said("", call("send")) for _ in range(60)]]
    assert work_of(text, *many) <= 4 * work_of(text, *few)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"role": None},
        {"role": "user"},
        {"role": "assistant", "tool_calls": [None, 3, {}, {"function": None}, {"function": {"name": 3, "arguments": [1]}}]},
        {"role": "tool", "content": {"a": [{"b": None}]}},
        {"role": "user", "content": [None, 3, "x", {"type": "text"}, {"type": "image_url"}, {"text": "a"}]},
        {"tools": [None, {"function": 3}]},
        {"function": {"name": "f"}},
        {"role": "user", "content": "\ud800 lone"},
    ],
)
def test_any_json_is_a_conversation(message):
    """What has no known shape belongs to no event, and nothing fails."""
    text = (
        'raise "x" if:\n    (m: Message)\n    (c: ToolCall)\n    (s: str) in text(m)\n    match("^(?!z).*", s)\n    c is tool:f({a: "b"})\n'
        'raise "y" if:\n    (o: ToolOutput)\n    "q" in o.content\nraise "z" if:\n    (i: Image)\n    i.image_url.url == "x"\n'
    )
    assert not any(one.failed for one in found(text, message, said("x", call("f", a="b"))))


def test_deep_json_does_not_break_the_stack():
    nested = "end"
    for _ in range(3000):
        nested = [nested]
    assert not any(one.failed for one in found('raise "x" if:\n    (o: ToolOutput)\n    "end" in o.content', result(nested)))
