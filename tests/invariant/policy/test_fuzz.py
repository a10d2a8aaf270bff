"""Garbage, mutants of documented policies, and any JSON for a conversation: an error with its place, or an answer."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.guards.policy_rule import bound
from gatewright.invariant.policy import PolicyError, parse
from tests.invariant.documented import documented

POLICIES = [example.policy for page in documented() for example in page.examples]
PIECES = sorted(
    {piece for policy in POLICIES for piece in re.findall(r"\w+|[^\w\s]+|\n\s*", policy)}
    | {
        "not ",
        "if",
        "else",
        "for",
        "in",
        "is",
        "raise",
        "count(min=1):",
        "forall:",
        "exists:",
        "->",
        "~>",
        ":=",
        "**",
        "\t",
        '"',
        "'",
        '"""',
        "r'",
        "<",
        "{",
        "}",
        "\\",
        "\0",
        "é",
    }
)
PLACED = re.compile(r"policy:\d+:\d+ ")

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["user", "assistant", "tool", "send_email", "a@b.org", '{"a": 1}']),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "function", "name", "arguments", "id", "to"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)
messages = st.lists(
    st.dictionaries(
        st.sampled_from(["role", "content", "tool_calls", "tool_call_id", "function", "type", "tools", "metadata", "id"]),
        values,
        max_size=5,
    )
    | st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool", "system"]), "content": values}),
    max_size=6,
)


def tried(text, conversation=()):
    """The error, if it is one; a policy is evaluated, and what it says is looked at."""
    refused = None
    try:
        policy = parse(text, bound())
    except PolicyError as error:
        refused = error
    if refused is not None:
        assert PLACED.match(str(refused)), str(refused)
        assert 1 <= refused.at.line <= text.count("\n") + text.count("\r") + 2
        assert refused.at.column >= 1
        return
    for violation in policy.evaluate(conversation, since=len(conversation) // 2, work=5_000):
        assert violation.args or violation.error
        assert not violation.failed or PLACED.match(violation.message)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=120))
def test_garbage_is_an_error_with_its_place(text):
    tried(text)
    tried('raise "x" if:\n    (m: Message)\n    ' + text, [{"role": "user", "content": "hi"}])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25), messages)
def test_words_of_the_language_in_any_order_are_an_error_or_a_policy(pieces, conversation):
    tried(" ".join(pieces), conversation)
    tried('raise "x" if:\n    (m: Message)\n    (c: ToolCall)\n    ' + " ".join(pieces), conversation)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(POLICIES), st.data(), messages)
def test_mutants_of_documented_policies_are_an_error_or_a_policy(policy, data, conversation):
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(policy)))
        end = data.draw(st.integers(at, min(len(policy), at + 6)))
        policy = policy[:at] + data.draw(st.sampled_from(["", *PIECES])) + policy[end:]
    tried(policy, conversation)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([text for text in POLICIES if "moderated" not in text and "llm" not in text]), messages)
def test_documented_policies_answer_for_any_json(policy, conversation):
    """Only data of the wrong kind may fail, and says where."""
    tried(policy, conversation)
