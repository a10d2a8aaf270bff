"""Near names."""

from gatewright.config.suggest import hint, near


def test_the_nearest_name_is_offered_and_case_does_not_matter():
    """A typing slip is answered with the word that was meant."""
    assert near("opnai", ["openai", "anthropic"]) == "openai"
    assert near("OpenAI", ["openai"]) == "openai"
    assert near("zzz", ["openai"]) is None


def test_what_is_known_is_listed_only_when_short():
    """Without a near name a short list helps and a long one does not."""
    assert hint("zzz", ["b", "a"]) == "; known: a, b"
    assert hint("zzz", [f"name-{i}" for i in range(50)]) == ""
    assert hint("zzz", []) == ""
