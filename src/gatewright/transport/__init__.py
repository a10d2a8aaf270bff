"""Pooled async HTTP/1.1 to upstreams, behind one seam: `send(Outgoing) -> Incoming`."""

from gatewright.transport.answer import Answer
from gatewright.transport.client import HttpTransport
from gatewright.transport.coding import ACCEPTED
from gatewright.transport.failures import BadAnswer, Closed, ConnectFailed, Cut, PoolTimeout, TimedOut, TooLarge, TransportError
from gatewright.transport.proxy import proxy_for
from gatewright.transport.seam import KEPT_FEW, Incoming, Kept, Outgoing, Timeouts, Transport, header_lines

__all__ = [
    "ACCEPTED",
    "KEPT_FEW",
    "Answer",
    "BadAnswer",
    "Closed",
    "ConnectFailed",
    "Cut",
    "HttpTransport",
    "Incoming",
    "Kept",
    "Outgoing",
    "PoolTimeout",
    "TimedOut",
    "Timeouts",
    "TooLarge",
    "Transport",
    "TransportError",
    "header_lines",
    "proxy_for",
]
