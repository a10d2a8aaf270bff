"""Names must lead somewhere."""

import pytest

from gatewright.config.resolve_models import Names, fits

DECLARED = Names({"providers": {"openai": {}}, "models": {"fast": {}, "claude-*": {}}, "aliases": {"f": "fast"}})


@pytest.mark.parametrize(
    ("pattern", "name", "good"),
    [
        ("claude-*", "claude-opus", True),
        ("claude-*", "claude-", False),
        ("*-mini", "gpt-mini", True),
        ("gpt-*-mini", "gpt-5-mini", True),
        ("gpt-*-mini", "gpt-mini", False),
        ("*", "x", True),
        ("a*a", "a", False),
    ],
)
def test_a_star_stands_for_some_text(pattern, name, good):
    """At least one character, or the target's name would be empty."""
    assert fits(pattern, name) == good


@pytest.mark.parametrize("name", ["fast", "f", "claude-x", "openai/gpt-5", "openai/a/b"])
def test_names_that_lead_somewhere(name):
    """Models, aliases, patterns, and any model of a provider."""
    assert DECLARED.leads(name)


@pytest.mark.parametrize("name", ["slow", "claude-", "openai/", "openai", "opnai/x", ""])
def test_names_that_do_not(name):
    """A provider alone is no model."""
    assert not DECLARED.leads(name)


def test_a_file_of_nonsense_declares_nothing():
    """The shape has told already."""
    assert Names({"providers": 5, "models": ["a"]}).providers == ()
