"""What one worker finds out about targets, told to the others: circuits that open and close, keys that rest.

One rule: what is told is of a provider as it is configured, not of its name. One that was given another address or key has
nothing to do with what somebody learnt of it before.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from gatewright.config import ProviderConfig, Secret
from gatewright.pipeline.health import Event, Health
from gatewright.stores.peers import PeerName, Peers

log = logging.getLogger("gatewright")

TOPIC: Final = "health"
LONGEST_S: Final = 2 * 3600.0
"""Nothing rests or stays open for longer: what says so comes from another clock."""
LONGEST_NAME: Final = 512
"""Characters of a model's name, which clients choose. One with a longer name has each worker find out for itself."""


class _Shared(msgspec.Struct, frozen=True):
    provider: str
    """The mark of the event's provider, where it was told."""
    event: Event


def share(health: Health, peers: Peers, providers: Callable[[], Mapping[str, ProviderConfig]]) -> None:
    """Have `health` know what its peers know, and tell them what it finds out. `providers`: as they are configured now.

    Before the peers are opened.
    """
    encoder = msgspec.msgpack.Encoder()
    decoder = msgspec.msgpack.Decoder(_Shared)

    def payload(event: Event) -> bytes:
        return encoder.encode(_Shared(mark(providers().get(event.endpoint)), event))

    def tell(event: Event) -> None:
        if len(event.model) <= LONGEST_NAME:
            peers.tell(TOPIC, payload(event))

    def hear(told: bytes, _sender: PeerName) -> None:
        shared = decoder.decode(told)
        event, now = shared.event, health.clock()
        if shared.provider != mark(providers().get(event.endpoint)):
            return
        if event.at > now + 1.0 or event.until > now + LONGEST_S:
            log.debug("not believed, its clock is not ours: %s", event)
            return
        health.hear(event)

    def standing() -> Iterator[bytes]:
        return (payload(event) for event in health.news() if len(event.model) <= LONGEST_NAME)

    health.subscribe(tell)
    peers.subscribe(TOPIC, hear, standing)


def mark(provider: ProviderConfig | None) -> str:
    """The same in every process, and another for every change; it does not tell what is in it. Empty: there is no such one."""
    if provider is None:
        return ""
    written = msgspec.json.encode(provider, enc_hook=_revealed, order="deterministic")
    return hashlib.sha256(written).hexdigest()[:32]


def _revealed(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"{type(value)} in a configuration")
