"""Tokens by their shapes."""

import pytest

from gatewright.invariant.detectors.tokens import find_tokens


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ghp_" + "a1" * 18, "GITHUB_TOKEN"),
        ("AKIAIOSFODNN7EXAMPLE", "AWS_ACCESS_KEY"),
        ("AccountKey=" + "a" * 86 + "==", "AZURE_STORAGE_KEY"),
        ("xoxb-1234567890-abcdef", "SLACK_TOKEN"),
    ],
)
def test_each_shape_is_told_by_its_name(text, kind):
    assert list(find_tokens(f"it is {text} .")) == [(kind, 6, 6 + len(text))]


def test_prose_is_none():
    assert not list(find_tokens("a ghp of akia, xoxo, AccountKey=short, ghp_1234"))
