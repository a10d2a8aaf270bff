"""Bytes, sans I/O: JSON, server-sent events, objects read by consumption, edits on raw JSON."""
