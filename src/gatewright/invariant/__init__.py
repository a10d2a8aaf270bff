"""Invariant's own forms, for those who use them already: messages, metadata, annotations, and its policy language. Sans I/O."""
