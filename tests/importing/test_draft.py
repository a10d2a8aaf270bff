"""A configuration in the making."""

import pytest

from gatewright.importing.draft import Draft, kind_of
from gatewright.importing.source import read_source


def draft(text="a: 1"):
    return Draft(read_source("f.yaml", text.encode()))


def test_the_same_host_with_the_same_credential_is_one_provider():
    """Whatever its name is."""
    it = draft()
    assert it.provider("openai", {"api_key": "env:A", "base_url": None}) == "openai"
    assert it.provider("openai", {"api_key": "env:B"}) == "openai-2"
    assert it.provider("openai", {"api_key": "env:A"}) == "openai"
    assert it.provider("openai", {"api_key": "env:C"}, "mine") == "mine"
    assert it.provider("openai", {"api_key": "env:C"}) == "mine"
    assert it.providers == {
        "openai": {"api_key": "env:A"},
        "openai-2": {"kind": "openai", "api_key": "env:B"},
        "mine": {"kind": "openai", "api_key": "env:C"},
    }


def test_keys_have_names_of_their_own():
    """Two keys of one name cannot be told apart in a log."""
    it = draft()
    for _ in range(3):
        it.add_key("a", "env:K")
    assert [key["name"] for key in it.keys] == ["a", "a-2", "a-3"]


def test_what_is_left_is_told_once_with_its_place():
    """An empty reason: nothing to be carried."""
    it = draft("a: 1\nb: {c: 2, $schema: x}")
    part = it.source.top.part("b")
    it.leave_rest(part, {"$schema": ""}, "models", "m")
    it.leave_rest(part, {})
    assert [(one.place.line, one.path, one.section, one.name) for one in it.left] == [(2, ("b", "c"), "models", "m")]


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("openai", "openai"), ("OpenAI", "openai"), ("google", "gemini"), ("together_ai", "together"), ("fireworks_ai", "fireworks"),
        ("together-ai", "together"), ("mistral-ai", "mistral"), ("vertex_ai", "vertex"), ("azure_ai", "azure-ai"),
        ("bedrock", "bedrock"), ("dashscope", "alibaba"), ("here", "groq"), ("own", "custom"),
        ("demo", None), ("custom", None), ("sagemaker", None), ("", None),
    ],
)  # fmt: skip
def test_other_gateways_words_for_hosts(word, kind):
    """The importer's own table first, then the catalogue's names and aliases, however they are joined."""
    assert kind_of(word, {"here": "groq", "own": "custom"}) == kind
