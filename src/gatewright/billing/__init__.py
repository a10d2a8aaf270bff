"""Providers' bills: their own exports, read, and held against the ledger. Sans I/O."""
