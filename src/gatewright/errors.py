"""What can go wrong, and whose fault it is.

`Problem` is a value: what a client or an upstream did wrong, in no dialect's words. Every dialect renders it.
Exceptions carry a `Problem` where one must leave a deep call:

    GatewrightError
    ├── Refused          the client's request cannot be served as it is        (4xx, never retried)
    │   └── Malformed    a document is not of its dialect's shape: path, expected, got
    └── UpstreamFailed   the provider failed or answered nonsense              (maybe retried elsewhere)
"""

from collections.abc import Callable
from typing import Literal

import msgspec

from gatewright.jsontypes import JsonValue

ProblemKind = Literal[
    "invalid_request",  # the client's fault: body, field, combination
    "authentication",  # no key or a wrong key
    "billing",  # the account behind a key has no money left
    "permission",  # a key that may not do this
    "not_found",  # no such model, path, stored response
    "conflict",
    "too_large",
    "unprocessable",
    "rate_limit",
    "cancelled",  # the client left
    "timeout",
    "internal",  # our bug
    "upstream",  # the provider broke: bad answer, cut stream, connection refused
    "overloaded",  # the provider or we are out of capacity: try later
]

STATUS_OF: dict[ProblemKind, int] = {
    "invalid_request": 400,
    "authentication": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "unprocessable": 422,
    "rate_limit": 429,
    "cancelled": 499,
    "timeout": 504,
    "internal": 500,
    "upstream": 502,
    "overloaded": 503,
}

KIND_OF: dict[int, ProblemKind] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "invalid_request",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "invalid_request",
    422: "unprocessable",
    429: "rate_limit",
    499: "cancelled",
    500: "upstream",
    502: "upstream",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}


def kind_of(status: int) -> ProblemKind:
    """The kind that an upstream's HTTP status stands for; an unknown 4xx is the request's fault, all else the upstream's."""
    return KIND_OF.get(status) or ("invalid_request" if 400 <= status < 500 else "upstream")


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that went wrong, in no dialect's words."""

    kind: ProblemKind
    message: str
    """For a person: who, where, what was expected, what came, what to do. Never a secret, never a body."""
    status: int = 0
    """HTTP status to answer with. 0: the kind's own (`STATUS_OF`)."""
    param: str | None = None
    """Path of the offending field in the client's document, such as `messages[3].content`."""
    code: str | None = None
    """The upstream's (or our) machine-readable code, such as `context_length_exceeded`."""
    type: str | None = None
    """The upstream's own error type or status word, when it gave one (`overloaded_error`, `RESOURCE_EXHAUSTED`)."""
    retry_after_s: float | None = None
    headers: tuple[tuple[str, str], ...] = ()
    """Response headers to carry over: `retry-after` and the rate-limit family, as the upstream sent them."""
    origin: str = ""
    """Dialect of `raw`. Empty: the gateway itself is speaking."""
    raw: JsonValue = None
    """The upstream's error document, rendered verbatim to a client of the same dialect."""

    @property
    def http_status(self) -> int:
        return self.status or STATUS_OF[self.kind]


class GatewrightError(Exception):
    """Base of everything raised on purpose."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


MAX_REFUSAL = 2000
"""Characters of a refusal: it may quote the request, and a client can put anything there."""


class Refused(GatewrightError):
    """The client's request cannot be served as it is."""

    def __init__(self, problem: Problem) -> None:
        if len(problem.message) > MAX_REFUSAL:
            problem = msgspec.structs.replace(problem, message=problem.message[:MAX_REFUSAL] + "…")
        super().__init__(problem)


class Malformed(Refused):
    """A document is not of its dialect's shape."""

    def __init__(self, path: str, expected: str, got: str) -> None:
        where = f"{path}: " if path else ""
        super().__init__(Problem(kind="invalid_request", message=f"{where}expected {expected}, got {got}", param=path or None))


class UpstreamFailed(GatewrightError):
    """The provider failed, or its answer could not be read."""


def scrubbed(problem: Problem, scrub: Callable[[bytes], bytes]) -> Problem:
    """The problem without what `scrub` takes out of bytes: an upstream may say anywhere in its error what it was sent."""
    told = msgspec.json.encode(problem)
    hidden = scrub(told)
    return problem if hidden == told else msgspec.json.decode(hidden, type=Problem)


def refuse(kind: ProblemKind, message: str, *, param: str | None = None, code: str | None = None) -> Refused:
    """A `Refused` to raise, in one line."""
    return Refused(Problem(kind=kind, message=message, param=param, code=code))
