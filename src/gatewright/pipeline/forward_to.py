"""Forward to: which provider takes a call that is passed on as it is, and with which body.

By model where the request names one, else by what the providers have. Above `limit`: what a call may cost depends on its model.
"""

from typing import Final

import msgspec

from gatewright.dialects.forms import model_field, rename
from gatewright.dialects.forwarded import family_of, model_in_json, rename_in_embeddings
from gatewright.errors import Problem, Refused, refuse
from gatewright.exchange import Check, Exchange
from gatewright.ir.blocks import DialectName
from gatewright.ir.request import Target
from gatewright.pipeline import uploads
from gatewright.pipeline.endpoint import Candidate, Endpoint
from gatewright.pipeline.estimate import MOST_OUTPUT, OUTPUT
from gatewright.pipeline.route import Router, allowed, may_use, may_use_all
from gatewright.pipeline.translate import Dialects
from gatewright.wire.json import BadJson, encode
from gatewright.wire.splice import splice

_OPENAI: Final[tuple[DialectName, ...]] = ("openai_chat", "openai_responses")
"""Two dialects, one API around them."""


def _FIRST() -> float:  # noqa: N802 - a constant in the place of chance
    """Forwarded calls take a route's heaviest target: their answers (files, batches) live where they were made."""
    return 0.5


class ForwardTo(Check):
    """Sets `exchange.plan` (one candidate), `model` and `onward`. Raises Refused where nobody takes it."""

    def __init__(self, dialects: Dialects, router: Router) -> None:
        self.dialects = dialects
        self.router = router

    def check(self, exchange: Exchange) -> None:
        family = family_of(exchange.call.path)
        try:
            candidate, exchange.onward = self._choose(exchange, family)
        except BadJson as error:
            raise refuse("invalid_request", f"The request body is {error}.") from None
        endpoint = candidate.endpoint
        if not (has(endpoint, family) and speaks(exchange.dialect, endpoint)):
            raise refuse("not_found", f"Provider '{endpoint.name}' has no {family} endpoint to forward {exchange.call.path} to.")
        exchange.plan = (candidate,)

    def _choose(self, exchange: Exchange, family: str) -> tuple[Candidate, bytes]:
        """Whom to forward to, and the body with the model's name there."""
        call = exchange.call
        body = call.body
        if uploads.is_upload(call.path):
            return Candidate(self._by_family(exchange, family), ""), body
        content_type = call.headers.get("content-type") or ""
        field = model_field(body, content_type) if body and content_type.lower().startswith("multipart/") else None
        in_path = exchange.dialect == "gemini" and bool(exchange.params)
        model = exchange.params[0] if in_path else field.value if field is not None else model_in_json(body)
        exchange.model = model
        if not model:
            return Candidate(self._by_family(exchange, family), ""), body
        candidate = self._by_model(exchange, model)
        if in_path:
            return candidate, rename_in_embeddings(body, candidate.model)
        if family == "completions" and exchange.method == "POST":
            edits = self.dialects["openai_chat"].pass_edits(call, Target(model=candidate.model, issuer=""))
            most = None if exchange.principal is None else exchange.principal.max_tokens
            if most is not None and _asks_for_more(body, most):
                edits = {**edits, "max_tokens": encode(most)}
            return candidate, splice(body, edits) if edits else body
        if candidate.model != model:
            body = rename(body, field, candidate.model) if field else splice(body, {"model": encode(candidate.model)})
        return candidate, body

    def _by_model(self, exchange: Exchange, model: str) -> Candidate:
        """The heaviest target of the model's route. Raises Refused where this key may not use it."""
        route, starred = self.router.resolve(model, exchange.pin)
        principal = exchange.principal
        assert principal is not None
        if not may_use(principal, model, route, exchange.pin):
            raise Refused(
                Problem(
                    kind="permission",
                    code="model_not_allowed",
                    param="model",
                    message=f"This key may not use the model '{model[:200]}'. It may use: {allowed(principal)}.",
                )
            )
        return self.router.plan(route, starred, _FIRST)[0]

    def _by_family(self, exchange: Exchange, family: str) -> Endpoint:
        """The one provider that has it, for keys that may use all its models. Several: the client must say which."""
        path = exchange.call.path
        endpoints = self.router.endpoints
        principal = exchange.principal
        assert principal is not None
        asked = [endpoints[exchange.pin]] if exchange.pin else endpoints.values()
        having = [e for e in asked if has(e, family) and speaks(exchange.dialect, e)]
        if not having:
            where = f"Provider '{exchange.pin}' has no" if exchange.pin else "No provider here has a"
            raise refuse("not_found", f"{where} {family} endpoint to forward {path} to.")
        usable = [e for e in having if may_use_all(principal, e.name)]
        if not usable:
            raise refuse(
                "permission",
                f"{path} names no model, so it needs a key for every model of the provider (such as '{having[0].name}/*'); "
                f"this key may use: {allowed(principal)}.",
                code="model_not_allowed",
            )
        if len(usable) == 1:
            return usable[0]
        names = ", ".join(e.name for e in usable)
        raise refuse(
            "invalid_request",
            f"{path} names no model and several providers have it ({names}); say which by path: /{usable[0].name}{path}.",
        )


def has(endpoint: Endpoint, family: str) -> bool:
    """Whether the provider has such an endpoint; `any` stands for what nobody has heard of."""
    return family in endpoint.forwards if family != "any" else "any" in endpoint.forwards


def speaks(dialect: DialectName, endpoint: Endpoint) -> bool:
    """Whether the provider's API is the client's: an OpenAI path means nothing to Anthropic."""
    return spoken(dialect, endpoint) in (_OPENAI if dialect in _OPENAI else (dialect,))


def spoken(dialect: DialectName, endpoint: Endpoint) -> DialectName:
    """The dialect whose base URL and credential a call of a client's goes out with."""
    if dialect in _OPENAI and dialect not in endpoint.dialects:
        return next((d for d in _OPENAI if d in endpoint.dialects), endpoint.dialects[0])
    return endpoint.dialect_for(dialect)


class _Length(msgspec.Struct):
    """What says how long an answer may be."""

    max_tokens: object = None
    """None: 16, by the API of legacy completions; not all hosts keep to that."""
    n: object = None
    best_of: object = None


_length = msgspec.json.Decoder(_Length)


def _asks_for_more(body: bytes, most: int) -> bool:
    """Whether a legacy completion may be longer than that. Raises BadJson."""
    try:
        asked = _length.decode(body).max_tokens
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadJson(f"not readable: {error}") from None
    return asked is not None and not (isinstance(asked, int) and 0 <= asked <= most)  # some hosts take -1 for no end


def most_written(exchange: Exchange) -> int:
    """Tokens that the answer to a forwarded call may have, for what is reserved: above the truth, or a guess.

    What is measured otherwise (seconds of sound, pictures by the piece) has a price in tokens or none that is known.
    """
    family = family_of(exchange.call.path)
    if family in _READ_ONLY:
        return 0
    try:
        asked = _length.decode(exchange.onward)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # a form, or sound
        asked = _Length()
    many = max(_count(asked.n), _count(asked.best_of))
    each = asked.max_tokens if isinstance(asked.max_tokens, int) and asked.max_tokens > 0 else _LONG.get(family, OUTPUT)
    return min(each * many, MOST_OUTPUT)


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1


_READ_ONLY: Final = frozenset(("embeddings", "moderations", "rerank", "files"))
"""Nothing is written."""
_LONG: Final = {"images": 8192}
"""More than the largest picture of the best quality has."""
