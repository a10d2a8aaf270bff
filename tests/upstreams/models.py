"""Which models of the strict upstream stand for what, and whose key opens them."""

from collections.abc import Mapping

from tests.upstreams.answers import KEYS

MODELS: Mapping[str, Mapping[str, str]] = {
    "openai_chat": {"plain": "gpt-4.1-mini", "thinks": "gpt-5-mini", "missing": "gpt-0-nonexistent", "limited": "gpt-4.1-nano"},
    "openai_responses": {
        "plain": "gpt-4.1-mini",
        "thinks": "gpt-5-mini",
        "missing": "gpt-0-nonexistent",
        "limited": "gpt-4.1-nano",
    },
    "anthropic": {
        "plain": "claude-haiku-4-5",
        "thinks": "claude-sonnet-4-6",
        "missing": "claude-nonexistent-1",
        "limited": "claude-haiku-4-5-20251001",
    },
    "gemini": {
        "plain": "gemini-2.5-flash",
        "thinks": "gemini-3-pro-preview",
        "missing": "gemini-9-nonexistent",
        "limited": "gemini-2.5-flash-lite",
    },
}
KEY_OF: Mapping[str, str] = {
    "openai_chat": KEYS["openai"],
    "openai_responses": KEYS["openai"],
    "anthropic": KEYS["anthropic"],
    "gemini": KEYS["gemini"],
}
