"""What a key asks for beside what its requests say: defaults for what is unsaid, and the longest answer that it may have.

One rule: it is done in the neutral form, for whatever dialect the target speaks; a request that needs no change passes as it is.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from gatewright.dialects.protocol import Dialect
from gatewright.exchange import Exchange, Narrowed, Principal
from gatewright.ir.blocks import DialectName
from gatewright.ir.loss import Loss
from gatewright.ir.paths import path_of
from gatewright.ir.request import Request
from gatewright.jsontypes import JsonObject, JsonValue


def narrow(exchange: Exchange, principal: Principal, dialects: Mapping[DialectName, Dialect]) -> None:
    """Sets `exchange.narrowed` where the key asks for a change."""
    most = principal.max_tokens
    if most is not None:
        asked = dialects[exchange.dialect].asked_output(exchange.call)
        if 0 < asked <= most:
            most = None
    if most is not None or principal.defaults:
        exchange.narrowed = Narrowed(principal.defaults, most)


def with_cap(request: Request, narrowed: Narrowed) -> tuple[Request, tuple[Loss, ...]]:
    """After all that a route sets."""
    most, asked = narrowed.max_tokens, request.max_tokens
    if most is None:
        return request, ()
    if not _PLACES.isdisjoint(request.extras):
        request = msgspec.structs.replace(request, extras=_without_lengths(request.extras))
    if not _LENGTHS.isdisjoint(request.sampling.extras):  # as Gemini's and Bedrock's places for it are kept
        sampling = msgspec.structs.replace(request.sampling, extras=_without_lengths(request.sampling.extras))
        request = msgspec.structs.replace(request, sampling=sampling)
    if _fits(asked, most):
        return request, ()
    lost = Loss(
        path=path_of(request, "max_tokens"), why=f"this key may ask for at most {most} tokens", value=asked, weight="hint"
    )
    return msgspec.structs.replace(request, max_tokens=most), () if asked is None else (lost,)


def _fits(asked: JsonValue, most: int) -> bool:
    """Some hosts take -1 for no end."""
    return isinstance(asked, int) and 0 <= asked <= most


_LENGTHS: Final = frozenset(("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens"))
_WITHIN: Final = frozenset(("generationConfig", "generation_config", "inferenceConfig"))
_PLACES: Final = _LENGTHS | _WITHIN


def _without_lengths(extras: JsonObject) -> JsonObject:
    """What the neutral form has not taken: a null, or another spelling beside it. Nobody knows which one a host goes by."""
    return {
        name: _without_lengths(value) if name in _WITHIN and isinstance(value, dict) else value
        for name, value in extras.items()
        if name not in _LENGTHS
    }
