"""What a key asks for beside what its requests say: defaults for what is unsaid, and the longest answer that it may have.

One rule: it is done in the neutral form, for whatever dialect the target speaks; a request that needs no change passes as it is.
"""

from collections.abc import Mapping

import msgspec

from gatewright.dialects.protocol import Dialect
from gatewright.exchange import Exchange, Narrowed, Principal
from gatewright.ir.blocks import DialectName
from gatewright.ir.loss import Loss
from gatewright.ir.paths import path_of
from gatewright.ir.request import Request


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
    if most is None or (asked is not None and asked <= most):
        return request, ()
    lost = Loss(
        path=path_of(request, "max_tokens"), why=f"this key may ask for at most {most} tokens", value=asked, weight="hint"
    )
    return msgspec.structs.replace(request, max_tokens=most), () if asked is None else (lost,)
