"""A name that a provider does not list comes out at the nearest one that it does."""

import pytest

from gatewright.providers.ladder import Ladder, climb, newest, spelling, version_of

LADDER = Ladder(provider="ob1")
ROUTER = (
    "openai/gpt-5.1",
    "anthropic/claude-3.5-haiku",
    "anthropic/claude-haiku-4.5",
    "anthropic/claude-sonnet-4",
    "anthropic/claude-sonnet-4.5",
    "anthropic/claude-sonnet-4.5:beta",
    "anthropic/claude-3.7-sonnet:thinking",
    "anthropic/claude-opus-4.9",
    "anthropic/claude-opus-4.10",
)
"""Names as routers of many vendors list them."""
BEDROCK = (
    "us.anthropic.claude-sonnet-4-20250514-v1:0",
    "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "anthropic.claude-3-5-sonnet-20240620-v1:0",
    "anthropic.claude-3-5-sonnet-20241022-v2:0",
    "amazon.nova-pro-v1:0",
)


@pytest.mark.parametrize(
    ("asked", "listed", "model", "rung"),
    [
        ("openai/gpt-5.1", ROUTER, "openai/gpt-5.1", "exact"),
        ("claude-sonnet-4.5", ROUTER, "anthropic/claude-sonnet-4.5", "vendor"),
        ("claude-3-5-sonnet-20240620-v1:0", BEDROCK, "anthropic.claude-3-5-sonnet-20240620-v1:0", "vendor"),
        ("claude-sonnet-4-5-20250929", ROUTER, "anthropic/claude-sonnet-4.5", "spelling"),
        ("claude-sonnet-4-20250514", ROUTER, "anthropic/claude-sonnet-4", "spelling"),
        ("claude-sonnet-4-0", ROUTER, "anthropic/claude-sonnet-4", "spelling"),
        ("claude-sonnet-4-5-latest", ROUTER, "anthropic/claude-sonnet-4.5", "spelling"),
        ("claude-3-7-sonnet:thinking", ROUTER, "anthropic/claude-3.7-sonnet:thinking", "spelling"),
        ("claude-sonnet-4-5", BEDROCK, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "spelling"),
        ("claude-3-5-sonnet", BEDROCK, "anthropic.claude-3-5-sonnet-20241022-v2:0", "spelling"),
        ("claude-sonnet-9-20300101", ROUTER, "anthropic/claude-sonnet-4.5", "family"),
        ("claude-opus-4-1", ROUTER, "anthropic/claude-opus-4.10", "family"),
        ("claude-3-haiku", ROUTER, "anthropic/claude-haiku-4.5", "family"),
        ("Claude-OPUS", ROUTER, "anthropic/claude-opus-4.10", "family"),
        ("claude-fable-6", ROUTER, "anthropic/claude-opus-4.10", "newest"),
        ("claude-sonnet-4-5", (), "claude-sonnet-4-5", "unchanged"),
        ("claude-sonnet-4-5", ("openai/gpt-5.1", "meta/llama-4"), "claude-sonnet-4-5", "unchanged"),
    ],
)
def test_every_rung(asked, listed, model, rung):
    """Exact, the vendor's prefix, another spelling, the family's newest, the vendor's newest, or as it came."""
    step = climb(asked, listed, LADDER)
    assert (step.model, step.rung) == (model, rung)


@pytest.mark.parametrize("order", [list, reversed, sorted])
def test_the_order_of_a_list_decides_nothing(order):
    """Providers list in any order, and in another tomorrow."""
    assert climb("claude-opus-9", tuple(order(ROUTER)), LADDER).model == "anthropic/claude-opus-4.10"
    assert climb("claude-fable", tuple(order(BEDROCK)), LADDER).model == "us.anthropic.claude-sonnet-4-5-20250929-v1:0"


def test_preferred_names_come_before_the_newest():
    """The operator's choice for what belongs to no family, the first that is listed."""
    ladder = Ladder(provider="x", preferred=("anthropic/claude-sonnet-9", "anthropic/claude-sonnet-4"))
    assert climb("claude-fable-6", ROUTER, ladder) == climb("claude-mythos", ROUTER, ladder)
    assert climb("claude-fable-6", ROUTER, ladder).model == "anthropic/claude-sonnet-4"
    assert climb("claude-opus-8", ROUTER, ladder).rung == "family"


def test_other_vendors_have_ladders_too():
    """Nothing in it is about Claude but the defaults."""
    ladder = Ladder(provider="x", vendors=("google",), families=("flash-lite", "flash", "pro"))
    listed = ("google/gemini-2.5-pro", "google/gemini-3-pro-preview", "google/gemini-2.5-flash", "anthropic/claude-opus-4.9")
    assert climb("gemini-9-flash", listed, ladder).model == "google/gemini-2.5-flash"
    assert climb("gemini-9-pro", listed, ladder).model == "google/gemini-3-pro-preview"


def test_a_family_is_a_word_and_not_a_part_of_one():
    """`octopus` is no Opus."""
    assert climb("claude-octopus", ("anthropic/claude-opus-4", "anthropic/claude-sonnet-5"), LADDER).rung == "newest"


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("claude-opus-4.9", "claude-opus-4.10"),
        ("claude-3-7-sonnet", "claude-sonnet-4"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4-5-20250929"),
        ("claude-3-5-sonnet-20240620", "claude-3-5-sonnet-20241022"),
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", "anthropic.claude-3-5-sonnet-20241022-v2:0"),
        ("claude-sonnet-4.5:thinking", "claude-sonnet-4.5"),
        ("claude-sonnet-4.5-preview", "claude-sonnet-4.5"),
        ("claude-opus", "claude-opus-3"),
    ],
)
def test_versions_are_numbers(older, newer):
    """Sorted as text, 4.10 would come before 4.9, and a date would pass for a version."""
    assert newest([older, newer]) == newest([newer, older]) == newer


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("claude-sonnet-4-20250514", (4, 0, 0)),
        ("us.anthropic.claude-3-5-haiku-20241022-v1:0", (3, 5, 0)),
        ("claude-opus-4-1@20250805", (4, 1, 0)),
        ("anthropic/claude-instant", (0, 0, 0)),
        ("llama-3.3-70b-instruct", (3, 3, 0)),
    ],
)
def test_version_of_a_name(name, version):
    """Dates, revisions of the host and sizes in billions are none."""
    assert version_of(name) == version


def test_one_model_has_one_spelling():
    """As five hosts write it."""
    names = (
        "claude-opus-4-1",
        "claude-opus-4-1-20250805",
        "claude-opus-4-1@20250805",
        "us.anthropic.claude-opus-4-1-20250805-v1:0",
        "anthropic/claude-opus-4.1",
    )
    assert {spelling(name) for name in names} == {"claude-opus-4-1"}
