"""What is wrong with a policy is told with its place and with what to do."""

import pytest

from gatewright.invariant.policy import PolicyError, bounds, parse
from tests.invariant.policy.talk import DETECTORS

RULE = 'raise "x" if:\n    '


@pytest.mark.parametrize(
    ("policy", "place", "words"),
    [
        ("", (1, 1), "holds no rule"),
        ("# nothing\n", (1, 1), "holds no rule"),
        ("if x:\n    y", (1, 1), "not part of the language"),
        ("def f(x):\n    y", (1, 1), "a predicate is written"),
        ("42", (1, 1), "a rule begins with `raise`"),
        ('raise "x" if:', (1, 14), "indented block"),
        ('raise "x"\n    (m: Message)', (1, 10), '"if"'),
        (RULE + "(m: Mesage)", (2, 5), 'did you mean "Message"?'),
        (RULE + "(m: Message)\n    m.contnet", (3, 6), 'did you mean "content"?'),
        (RULE + "(c: ToolCall)\n    c.function.nme", (3, 15), 'did you mean "name"?'),
        (RULE + "(m: Message)\n    mm.content", (3, 5), 'nothing is called "mm"'),
        (RULE + "(m: Message)\n    lem(m.content) > 1", (3, 5), 'did you mean "len"?'),
        (RULE + "(m: Message)\n    m.content.lowr()", (3, 14), 'did you mean "lower"?'),
        (RULE + "(m: Message)\n    moderated(m.content)", (3, 5), 'detector "moderated" needs a model'),
        ("from invariant.detectors import moderated as bad\n" + RULE + "(m: Message)\n    bad(m)", (4, 5), "kind: judge"),
        ("from invariant.detectors import piii\n" + RULE + "(m: Message)", (1, 33), 'did you mean "pii"?'),
        ("from invariant.detctors import pii\n" + RULE + "(m: Message)", (1, 1), 'did you mean "invariant.detectors"?'),
        ("from os import system\n" + RULE + "(m: Message)", (1, 16), "run no Python"),
        ("import os\n" + RULE + "(m: Message)", (1, 1), "run no Python"),
        (RULE + "(c: ToolCall)\n    c is tool:f({to: <LOCATION>})", (3, 22), 'cannot find "LOCATION"'),
        (RULE + '(m: Message)\n    "PERSON" in pii(m)', (3, 5), 'cannot find "PERSON"'),
        (RULE + '(m: Message)\n    any(pii(m, ["CARD"]))', (3, 17), 'cannot find "CARD"'),
        (RULE + '(m: Message)\n    pii(m, kinds=["CREDIT_CARD"])', (3, 18), 'no option "kinds"'),
        (RULE + '(m: Message)\n    match("(?<=a)b", m.content)', (3, 11), "looks ahead or behind"),
        (RULE + '(m: Message)\n    match("a(?!b)", m.content)', (3, 11), "looks ahead or behind"),
        (RULE + '(m: Message)\n    match("(a)\\\\1", m.content)', (3, 11), "google-re2"),
        (RULE + '(m: Message)\n    find("^(?!a).*", m.content)', (3, 10), "find cannot look ahead"),
        (RULE + '(c: ToolCall)\n    c is tool:f({to: r"("})', (3, 22), "google-re2"),
        (RULE + '(m: Message)\n    "a" in (m: Message)', (3, 12), "binds a variable"),
        (RULE + "(m: Message)\n    not (n: Message)", (3, 9), "binds a variable"),
        (RULE + "(m: str) -> (n: Message)", (2, 5), "stands between messages"),
        (RULE + "(m: Message)\n    m is tool:f", (3, 10), "asks a ToolCall or a ToolOutput"),
        (RULE + "(m: Message)\n    f'{m}' == 'x'", (3, 5), "join the pieces with +"),
        (RULE + '(m: Message)\n    "never closed', (3, 5), "never closed"),
        (RULE + "(m: Message)\n    (1 + 2", (3, 5), '"(" is never closed'),
        (RULE + "(m: Message)\n    [1, 2)", (3, 10), 'closes "["'),
        (RULE + "(m: Message)\n  m.role", (3, 3), "is indented as no line before it"),
        (RULE + "(m: Message)\n        m.role", (3, 9), "indented deeper"),
        (RULE + "(m: Message)\n    m.role ==", (3, 14), "expected a value"),
        (RULE + "(m: Message)\n    m.role = 'user'", (3, 12), "end of the line"),
        (RULE + "(m: Message)\n    count(min=2)", (3, 5), "is a quantifier"),
        (RULE + "count(mni=2):\n        (m: Message)", (2, 15), "count takes min and max"),
        (RULE + "(m: Message)\n    len", (3, 5), "is a function"),
        (RULE + "(m: Message)\n    len(m, m)", (3, 5), "takes one argument"),
        (RULE + "(m: Message)\n    (m: ToolCall)", (3, 5), '"m" is a Message already'),
        (RULE + "x := 1\n    x := 2", (3, 5), "bound twice"),
        (RULE + "(x: str) in y\n    (y: str) in x", (2, 5), "one another's variables"),
        ('raise PolicyVoilation("x") if:\n    (m: Message)', (1, 7), 'there is no error "PolicyVoilation"'),
        ("p(m: Message) :=\n    p(m)\n" + RULE + "(m: Message)\n    p(m)", (1, 1), '"p" needs itself'),
        ("a := b\nb := a\n" + RULE + "(m: Message)", (1, 6), '"a" needs itself'),
        ("p(m: Message) :=\n    m.role\n" + RULE + "(m: Message)\n    p(m, m)", (5, 5), "takes 1 arguments, got 2"),
        ("len := 2\n" + RULE + "(m: Message)", (1, 1), "a word of the language"),
        ("a := 1\na := 2\n" + RULE + "(m: Message)", (2, 1), "declared already"),
        (RULE + "(m: Message)\n    m.role == $", (3, 15), "means nothing here"),
    ],
)
def test_errors_name_the_place_and_say_what_to_do(policy, place, words):
    with pytest.raises(PolicyError) as caught:
        parse(policy, DETECTORS)
    assert words in str(caught.value)
    assert (caught.value.at.line, caught.value.at.column) == place
    assert str(caught.value).startswith(f"policy:{place[0]}:{place[1]} ")


@pytest.mark.parametrize(
    "policy",
    [
        "x" * (bounds.MAX_CHARS + 1),
        RULE + "(" * 500 + "1" + ")" * 500,
        RULE + "1" + " + 1" * 5000,
        RULE + "not " * 5000 + "1",
        RULE + "-" * 5000 + "1",
        RULE + "m" + ".a" * 9000,
        RULE + "a" + "[0]" * 5000,
        RULE + "x == " + "1 if 1 else " * 3000 + "1",
        RULE + "\n    ".join(["1 == 1"] * 5000),
        (RULE + "(m: Message)\n") * 1000,
        RULE + "".join("    " * n + "exists:\n" + "    " * (n + 2) for n in range(200)),
        RULE + "(m: Message)\n" + "".join(f'    match("{n}(a{{1,900}}b{{1,900}})", m.content)\n' for n in range(90)),
        RULE + "(m: Message)\n    match('" + "a" * 3000 + "', m.content)",
        RULE + "x := " + "9" * 5000,
        RULE + "c is tool:f(" + "{a: " * 3000 + "1" + "}" * 3000 + ")",
        RULE + "[" * 3000,
        RULE + "a and " * 9000 + "a",
    ],
)
def test_hostile_policies_are_refused_with_a_place(policy):
    """Long, deep, wide: an error with a place, within a bounded stack."""
    with pytest.raises(PolicyError, match=r"^policy:\d+:\d+ "):
        parse(policy, DETECTORS)
