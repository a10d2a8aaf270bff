"""What a route adds to a request that stays in its client's own dialect, where the API has no word for it.

One rule: a client cannot have said such a field in this dialect, so that what stands there is the operator's, and must not go in
silence.
"""

from collections.abc import Iterable
from typing import Final

from gatewright.ir.loss import Losses, is_void
from gatewright.ir.paths import path_of
from gatewright.ir.request import Request, Sampling
from gatewright.jsontypes import JsonValue

_LABELS: Final = frozenset(("user", "store"))
"""Fields that change nothing in the answer."""
_SO_ANYWAY: Final[dict[str, JsonValue]] = {"frequency_penalty": 0, "presence_penalty": 0, "parallel_tool_calls": True}
"""Values that say what is so without them."""


def tell_unsaid(request: Request, fields: Iterable[str], losses: Losses) -> None:
    """Tell as lost which of the neutral `fields`, for which this API has no word, stand in the request."""
    for field in fields:
        given = getattr(request.sampling if field in Sampling.__struct_fields__ else request, field)
        value = list(given) if isinstance(given, tuple) else given
        if not is_void(value):
            report = losses.hint if field in _LABELS or _SO_ANYWAY.get(field) == value else losses.dropped
            report(path_of(request, field), f"{losses.dialect} has no word for it; the route asks for it", value)
