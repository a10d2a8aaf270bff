"""The page about policies says what is so."""

import re
from pathlib import Path

import pytest

from gatewright.guards.policy_rule import bound
from gatewright.invariant.policy import PolicyError, parse
from tests.invariant.documented import ROOT, page

HEAD = (ROOT / "docs" / "invariant-policies.head.md").read_text(encoding="utf-8")


def test_the_page_is_current():
    """`python -m tests.docs.generate` writes it."""
    assert Path(ROOT / "docs" / "invariant-policies.md").read_text(encoding="utf-8") == page()


def test_the_policy_of_the_first_example_is_one():
    text = re.search(r"      policy: \|\n(.*?)```", HEAD, re.DOTALL)
    assert text is not None
    assert parse(text.group(1), bound())


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        ('from invariant.detectors import moderated\nraise "x" if:\n    (m: Message)\n    moderated(m)', 0),
        ('raise "x" if:\n    (m: Message)\n    m.contnet', 1),
        ('raise "x" if:\n    (c: ToolCall)\n    c is tool:f({to: <LOCATION>})', 2),
    ],
)
def test_errors_are_shown_as_they_are(policy, line):
    shown = [one for one in HEAD.splitlines() if one.startswith("policy:")][line]
    with pytest.raises(PolicyError) as caught:
        parse(policy, bound())
    assert str(caught.value) == shown


def test_every_function_and_detector_of_the_page_is_there():
    for row, make in (("functions", "x := {}"), ("detectors", "x := {}")):
        words = re.search(rf"^\| {row} \| (.*) \|$", HEAD, re.MULTILINE)
        assert words is not None
        for name in re.findall(r"\w+", words.group(1)):
            call = f"{name}('a', m.content)" if name in ("match", "find") else f"{name}(m)"
            parse('raise "x" if:\n    (m: Message)\n    ' + make.format(call), bound())
