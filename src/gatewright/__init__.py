"""Gatewright: one self-hosted endpoint between every LLM client and every provider."""

__version__ = "0.1.0"
