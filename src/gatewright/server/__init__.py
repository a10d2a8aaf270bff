"""Sockets to clients: the fast lane for model calls, plain ASGI for the rest and for embedding."""
