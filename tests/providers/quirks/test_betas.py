"""Beta flags: an allow-map by host."""

from gatewright.providers.quirks import BETAS, let_through


def flags(host, value):
    headers, losses = let_through(BETAS[host], (("anthropic-version", "v"), ("anthropic-beta", value)))
    return dict(headers).get("anthropic-beta"), [loss.value for loss in losses]


def test_an_unknown_flag_stays_at_home_and_is_told():
    """It would kill the call."""
    told = flags("vertex", "claude-code-20250219, interleaved-thinking-2025-05-14,effort-2025-11-24")
    assert told == ("interleaved-thinking-2025-05-14", ["claude-code-20250219", "effort-2025-11-24"])


def test_a_flag_goes_by_the_hosts_name():
    """And once, where two mean the same."""
    assert flags("vertex", "advanced-tool-use-2025-11-20,tool-search-tool-2025-10-19") == ("tool-search-tool-2025-10-19", [])


def test_no_flag_left_is_no_header():
    """An empty one would be a flag of its own."""
    assert flags("foundry", "x-2026-01-01, ,") == (None, ["x-2026-01-01"])
    assert let_through({}, ()) == ((), ())
