"""What the generations of models accept, by name."""

import pytest

from gatewright.ir.claude_models import facts_of, version_of


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("claude-3-7-sonnet-20250219", (3, 7)),
        ("claude-3-opus-20240229", (3, 0)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-opus-4-1-20250805", (4, 1)),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", (4, 5)),
        ("claude-opus-4-1@20250805", (4, 1)),
        ("anthropic/claude-sonnet-4.6", (4, 6)),
        ("claude-fable-5-1", (5, 1)),
        ("claude-opus-5", (5, 0)),
        ("claude-2.1", (2, 1)),
        ("Claude-Mythos-preview", (99, 0)),
        ("deepseek-v9", None),
    ],
)
def test_versions_are_read_wherever_hosts_put_them(name, version):
    """A date is no version; a Claude without a version is the newest."""
    assert version_of(name) == version


def test_thinking_by_generation():
    """Budgets from 3.7, adaptive from 4.6; two families cannot switch it off."""
    assert [facts_of(f"claude-sonnet-{v}").thinking for v in ("4-5", "4-6", "5")] == ["budget", "adaptive", "adaptive"]
    assert facts_of("claude-3-5-sonnet-20241022").thinking == "none"
    assert [facts_of(f"claude-{v}").thinking_optional for v in ("opus-5", "fable-5", "mythos-5-1")] == [True, False, False]


def test_opus_4_gives_less_than_sonnet_4():
    """The same version, another limit."""
    assert facts_of("claude-opus-4-20250514").most_tokens == 32000
    assert facts_of("claude-sonnet-4-20250514").most_tokens == 64000
