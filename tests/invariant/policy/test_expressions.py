"""What the expressions of policies say, and where they fail."""

import pytest

from tests.invariant.policy.talk import call, condition, found, said, user


@pytest.mark.parametrize(
    "lines",
    [
        "1 + 2 * 3 == 7",
        "2 ** 3 ** 2 == 512",
        "-2 ** 2 == -4",
        "(1 + 2) * 3 == 9",
        "7 % 4 == 3",
        '"a" + "b" == "ab"',
        "not 1 > 2 and 3 >= 3",
        "1 if 2 > 1 else 0",
        "(0 if 1 > 2 else 5) == 5",
        "[x * 2 for x in [1, 2, 3] if x > 1] == [4, 6]",
        "any(x > 2 for x in [1, 2, 3])",
        "all([True, 1, 'a'])",
        "len({'a': 1, b: 2}) == 2",
        "{a: 1}['a'] == 1",
        "{'a': 1}.a == 1",
        "{'a': {'b': 2}}.a.b == 2",
        "max(1, 5, 3) == 5 and min([2, 1]) == 1 and sum([1, 2]) == 3",
        "sorted([3, 1, 2]) == [1, 2, 3]",
        "len({1, 1, 2}) == 2",
        "2 in {1, 2} and 3 not in [1, 2]",
        "'b' in ('a', 'b')",
        "empty([]) and not empty('x')",
        "'Hello'.upper() == 'HELLO'",
        "'a,b'.split(',') == ['a', 'b']",
        "'-'.join(['a', 'b']) == 'a-b'",
        "'aXb'.replace('X', '-') == 'a-b'",
        "'hello'[1:3] == 'el' and [1, 2, 3][-1] == 3",
        "'abc'.startswith('ab') and 'abc'.endswith('bc')",
        'match("https?://[^\\s]+", "https://x.org y")',
        "not match('b', 'ab')",
        "find('[0-9]+', 'a1b22') == ['1', '22']",
        "None is None and 1 is not None",
        "x := 3\nx == 3",
        'int("12") == 12 and str(3) == "3"',
        'r"\\d" == "\\\\d"',
        "1 == 2 or\n    3 == 3",
        "1 == 1\nand 2 == 2",
    ],
)
def test_expressions_have_the_values_they_have_in_python(lines):
    assert condition(lines, user("hi"))


@pytest.mark.parametrize(
    "lines",
    [
        "(m: Message)\nm.refusal is None",
        "(m: Message)\nnot ('x' in m.refusal)",
        "(m: Message)\nlen(m.refusal) == 0",
        "(m: Message)\nnot match('x', m.refusal)",
        "(m: Message)\nfind('x', m.refusal) == []",
        "(m: Message)\nm.refusal.lower() is None",
        "(m: Message)\nnot (m.metadata.a > 2)",
        "(m: Message)\nm.metadata['a']['b'] is None",
        "[1][5] is None and {}['a'] is None",
    ],
)
def test_what_is_not_there_is_none_and_found_in_nothing(lines):
    assert condition(lines, user("hi"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1 + 'a' == 2", "cannot take a number and a text"),
        ("1 < 'a'", "cannot compare a number with a text"),
        ("1 / 0 == 1", "no answer"),
        ("len(3) == 1", "has no length"),
        ("'a' in 3", "cannot look into a number"),
        ("2 ** 4000 > 1", "too large"),
        ("sum(['a']) == 1", "expected a number"),
    ],
)
def test_what_makes_no_sense_fails_with_its_place(line, words):
    """A rule that cannot be judged is never skipped in silence: whoever blocks, blocks."""
    [violation] = found(f'raise "x" if:\n    (m: Message)\n    {line}\n', user("hi"))
    assert violation.failed
    assert violation.message.startswith("policy:3:")
    assert words in violation.message


def test_a_guard_on_an_earlier_line_protects_the_later_one():
    assert not condition("(c: ToolCall)\nc is tool:add\nc.function.arguments.n > 2", said("", call("other", n="text")))
