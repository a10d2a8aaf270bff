"""The demo model: an upstream without a network, for trying everything before there is a key.

One rule: it answers as a strict provider would, in the dialect it was called in, and the same question gives the same answer.
"""

from gatewright.transport.demo.upstream import DemoTransport

__all__ = ["DemoTransport"]
