"""Watchers that cannot fail or slow a request."""
