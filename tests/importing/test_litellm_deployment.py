"""Where a deployment's calls go, said as this gateway wants it."""

import pytest

from gatewright.importing.litellm_deployment import fitted_base
from gatewright.providers.catalog import HOSTS


@pytest.mark.parametrize(
    ("base", "kind", "fitted"),
    [
        ("https://api.openai.com/v1/", "openai", "https://api.openai.com/v1"),
        ("https://h.example.com", "openai", "https://h.example.com"),
        ("https://h.example.com/v1/chat/completions", "openai", "https://h.example.com/v1"),
        ("https://api.anthropic.com/v1", "anthropic", "https://api.anthropic.com"),
        ("https://api.anthropic.com/v1/messages", "anthropic", "https://api.anthropic.com"),
        ("https://g.example.com/v1beta", "gemini", "https://g.example.com"),
        ("https://r.openai.azure.com/openai/v1/", "azure", "https://r.openai.azure.com"),
        ("http://localhost:11434", "ollama", "http://localhost:11434/v1"),
        ("http://localhost:8000/v1", "vllm", "http://localhost:8000/v1"),
        ("http://localhost:8000/base", "vllm", "http://localhost:8000/base"),
        ("env:BASE", "openai", "env:BASE"),
    ],
)
def test_a_base_has_the_version_where_the_kinds_own_has_it(base, kind, fitted):
    """And none of the paths that calls bring along; a variable is what it is."""
    assert fitted_base(base, HOSTS[kind]) == fitted
