"""One list, in the words and pages of each client."""

from decimal import Decimal

import pytest

from gatewright.errors import Malformed
from gatewright.pipeline.model_shapes import Shown, entry, listing
from gatewright.providers.facts import Facts

FULL = Shown(
    "claude/opus",
    "claude",
    Facts(
        title="Opus",
        created=1770249600,
        context=200_000,
        max_output=64_000,
        capabilities=("vision", "reasoning"),
        input_usd=Decimal("0.25"),
        output_usd=Decimal(25),
    ),
)
BARE = Shown("fast")
MANY = [Shown(name) for name in "abcdefg"]


def test_openai_and_those_who_follow_it():
    """Its four fields, and beside them what OpenRouter tells, by OpenRouter's names."""
    assert entry("openai_chat", FULL) == {
        "id": "claude/opus",
        "object": "model",
        "created": 1770249600,
        "owned_by": "claude",
        "name": "Opus",
        "context_length": 200_000,
        "max_completion_tokens": 64_000,
        "capabilities": ["vision", "reasoning"],
        "pricing": {"prompt": "0.00000025", "completion": "0.000025"},
    }
    assert entry("openai_responses", BARE) == {"id": "fast", "object": "model", "created": 0, "owned_by": "gatewright"}


def test_anthropic():
    """Its own names for sizes; what is not known has the values that its API gives then."""
    assert entry("anthropic", FULL) == {
        "type": "model",
        "id": "claude/opus",
        "display_name": "Opus",
        "created_at": "2026-02-05T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
        "pricing": {"prompt": "0.00000025", "completion": "0.000025"},
    }
    assert entry("anthropic", BARE)["created_at"] == "1970-01-01T00:00:00Z"
    assert entry("anthropic", BARE)["display_name"] == "fast"


def test_gemini():
    """A resource name, limits, and whether it thinks."""
    assert entry("gemini", FULL) == {
        "name": "models/claude/opus",
        "displayName": "Opus",
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        "inputTokenLimit": 200_000,
        "outputTokenLimit": 64_000,
        "thinking": True,
    }
    assert "thinking" not in entry("gemini", BARE)


def test_a_free_model_costs_nothing_and_an_unknown_price_is_not_told():
    """Zero and unknown are not the same."""
    free = entry("openai_chat", Shown("m", facts=Facts(input_usd=Decimal(0))))
    assert free["pricing"] == {"prompt": "0"}
    assert "pricing" not in entry("openai_chat", BARE)


def ids(document):
    return "".join(one["id"] for one in document["data"])


@pytest.mark.parametrize(
    ("query", "page", "more"),
    [
        ({}, "abcdefg", False),
        ({"limit": "3"}, "abc", True),
        ({"limit": "3", "after_id": "c"}, "def", True),
        ({"limit": "3", "after_id": "f"}, "g", False),
        ({"after_id": "g"}, "", False),
        ({"limit": "2", "before_id": "d"}, "bc", True),
        ({"limit": "9", "before_id": "d"}, "abc", False),
        ({"limit": "100000"}, "abcdefg", False),
        ({"limit": ""}, "abcdefg", False),
        ({"beta": "true"}, "abcdefg", False),
    ],
)
def test_anthropics_pages(query, page, more):
    """Cursors are ids; `has_more` looks the way that was asked."""
    document = listing("anthropic", MANY, query)
    assert (ids(document), document["has_more"]) == (page, more)
    assert (document["first_id"], document["last_id"]) == ((page[0], page[-1]) if page else (None, None))


def test_every_page_of_geminis_once():
    """Following the tokens gives each model once, and ends."""
    seen, query = "", {"pageSize": "3"}
    for _ in range(3):
        document = listing("gemini", MANY, query)
        seen += "".join(one["name"].removeprefix("models/") for one in document["models"])
        query = {"pageSize": "3", "pageToken": document.get("nextPageToken", "")}
    assert seen == "abcdefg"
    assert query["pageToken"] == ""
    assert len(listing("gemini", MANY, {"pageSize": "0"})["models"]) == 7


@pytest.mark.parametrize(
    ("dialect", "query"),
    [
        ("anthropic", {"limit": "0"}),
        ("anthropic", {"limit": "-1"}),
        ("anthropic", {"limit": "ten"}),
        ("anthropic", {"limit": "٣"}),
        ("anthropic", {"limit": "9" * 5000}),
        ("anthropic", {"after_id": "zzz"}),
        ("anthropic", {"before_id": "zzz"}),
        ("gemini", {"pageSize": "x"}),
        ("gemini", {"pageToken": "gone"}),
    ],
)
def test_a_page_that_is_not_there_is_refused_by_name(dialect, query):
    """The parameter that is wrong is named; a list never silently begins anew."""
    with pytest.raises(Malformed) as refused:
        listing(dialect, MANY, query)
    assert refused.value.problem.param in query
    assert len(refused.value.problem.message) < 300


def test_openai_knows_no_pages():
    """Its list endpoint has no parameters."""
    assert ids(listing("openai_chat", MANY, {"limit": "2"})) == "abcdefg"
