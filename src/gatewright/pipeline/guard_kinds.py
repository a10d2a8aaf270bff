"""Kinds of rules that must wait for somebody: their names, and where each is made.

As `guards/kinds.py`, one height up: what is asked here needs endpoints, a network and a clock. Settings are read when the
configuration is; what they mean is made (`make`) when the gateway is put together.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from gatewright.jsontypes import JsonObject
from gatewright.pipeline.guard_terms import Maker

if TYPE_CHECKING:  # a configuration is read by commands that need none of these
    from gatewright.pipeline.asking import Begins
    from gatewright.pipeline.attempt import Attempt
    from gatewright.pipeline.beside import Beside
    from gatewright.pipeline.endpoint import Endpoint
    from gatewright.pipeline.health import Health
    from gatewright.pipeline.settle import Recorder
    from gatewright.pipeline.translate import Dialects
    from gatewright.transport import Transport


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """With what an `Asked` may ask."""

    environ: Mapping[str, str]
    endpoints: "Mapping[str, Endpoint]"
    dialects: "Dialects"
    health: "Health"
    settles: "Recorder"
    recorder: "Begins | None" = None
    """`settles` and `recorder`: whose books the calls of models are in."""
    attempt: "Attempt | None" = None
    """Makes calls of models. None: none can be made."""
    beside: "Beside | None" = None
    """Who is asked whether the client's limits and budgets leave them."""
    opened: "list[Transport]" = []
    """Connections of those who are asked: whoever opens some puts them here, and they are closed with the gateway."""


class AskedKind(Protocol):
    """What a row names: a function that reads settings (raising ValueError as `guards.kinds.Compile` does) and gives a maker."""

    def __call__(self, settings: JsonObject) -> "Maker": ...


ASKED_KINDS: dict[str, str] = {
    "judge": "gatewright.pipeline.guard_judge:kind",
    "webhook": "gatewright.pipeline.guard_webhook:kind",
}
"""Name → `module:function`, the function an `AskedKind`."""


def read_kind(kind: str, settings: JsonObject) -> Maker:
    """Raises KeyError for a kind that is none, ValueError for settings that are wrong."""
    module, _, function = ASKED_KINDS[kind].partition(":")
    read = cast("AskedKind", getattr(import_module(module), function))
    return read(settings)
