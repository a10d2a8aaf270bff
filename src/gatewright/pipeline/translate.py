"""Translate: pass the bytes, or cross the neutral form. Decided only here.

Bytes pass when client and upstream speak the same dialect, the route overrides nothing, and the body holds no foreign seal.
Everything else is parsed, rendered and accounted for: what cannot be said is a loss, in a header or a refusal.
"""

from collections.abc import Mapping
from functools import partial

import msgspec

from gatewright.dialects.protocol import Dialect
from gatewright.errors import Malformed, Problem, Refused
from gatewright.exchange import Exchange
from gatewright.ir.blocks import DialectName
from gatewright.ir.loss import Loss, loss_header
from gatewright.ir.paths import client_path, path_of
from gatewright.ir.request import Asked, Request, Sampling, Target, Thinking
from gatewright.ir.seal import IN_MARKS, MARK, MARK_64
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.pipeline.endpoint import Candidate, forwarded_headers, forwarded_lines
from gatewright.pipeline.invoke_headers import wrapping
from gatewright.pipeline.names import Names, fit_names
from gatewright.pipeline.narrow import with_cap
from gatewright.pipeline.replayed import settle, unmark
from gatewright.providers.quirks import let_through
from gatewright.transport import header_lines
from gatewright.wire.json import BadJson, encode
from gatewright.wire.splice import splice

_SEALS_AS_BYTES: frozenset[DialectName] = frozenset(("gemini", "bedrock_converse"))
_SAMPLING = frozenset(Sampling.__struct_fields__)

Dialects = Mapping[DialectName, Dialect]


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A request ready for one candidate."""

    dialect: DialectName
    path: str
    headers: bytes
    body: bytes
    passing: bool
    """The bytes pass: the answer's will too."""
    losses: tuple[Loss, ...] = ()
    asked: Asked = Asked()
    names: Names = {}
    """Tool names as the upstream knows them → as the client does, where they differ."""


def bytes_may_pass(exchange: Exchange, candidate: Candidate, dialect: DialectName) -> bool:
    return (
        dialect == exchange.dialect
        and exchange.request is None
        and not candidate.changes
        and exchange.narrowed is None
        and (IN_MARKS not in (body := exchange.call.body) or _is_unsealed(body, dialect))
    )


def _is_unsealed(body: bytes, dialect: DialectName) -> bool:
    # From the end, because CPython searches a word there faster; these bodies are large.
    return body.rfind(MARK) < 0 and (dialect not in _SEALS_AS_BYTES or body.rfind(MARK_64) < 0)


def prepare(exchange: Exchange, candidate: Candidate, dialects: Dialects) -> Prepared:
    """The request for `candidate`. Raises Refused for what the client must change."""
    own = exchange.dialect
    dialect = own if own in candidate.dialects else candidate.dialects[0]  # as `dialect_for`
    try:
        if bytes_may_pass(exchange, candidate, dialect):
            prepared = _pass(exchange, candidate, candidate.target, dialects[dialect])
        else:
            prepared = _cross(exchange, candidate, candidate.target, dialects)
        return prepared if exchange.operation != "invoke" else _with_wrapping(exchange, candidate, prepared)
    except BadJson as error:
        raise Refused(Problem(kind="invalid_request", message=f"The request body is {error}.")) from None


def _with_wrapping(exchange: Exchange, candidate: Candidate, prepared: Prepared) -> Prepared:
    headers, losses = wrapping(exchange.call.headers, candidate.endpoint, prepared.dialect)
    if candidate.losses == "refuse":
        refuse_losses(losses, candidate)
    return msgspec.structs.replace(prepared, headers=prepared.headers + header_lines(headers), losses=prepared.losses + losses)


def _pass(exchange: Exchange, candidate: Candidate, target: Target, dialect: Dialect) -> Prepared:
    call = exchange.call
    name = dialect.name
    edits = dialect.pass_edits(call, target)
    body = splice(call.body, edits) if edits else call.body
    losses: tuple[Loss, ...] = ()
    if candidate.mendings or candidate.endpoint.betas is not None:
        forwarded, body, losses = fit(candidate, name, forwarded_headers(name, call.headers), body)
        headers = header_lines(forwarded)
        if candidate.losses == "refuse":
            refuse_losses(losses, candidate)
    else:
        headers = forwarded_lines(name, call.headers)
    if name == "anthropic" and call.headers.get("anthropic-version") is None:
        headers += b"anthropic-version: 2023-06-01\r\n"
    return Prepared(
        dialect=name,
        path=dialect.pass_path(call, target),
        headers=headers,
        body=body,
        passing=True,
        losses=losses,
        asked=candidate.asked,
    )


def fit(
    candidate: Candidate, dialect: DialectName, headers: tuple[tuple[str, str], ...], body: bytes
) -> tuple[tuple[tuple[str, str], ...], bytes, tuple[Loss, ...]]:
    """A client's own headers and body as the candidate's host takes them, and what that loses. Raises BadJson."""
    losses: tuple[Loss, ...] = ()
    mending = candidate.mendings.get(dialect)
    if mending is not None:
        body, losses = mending.raw(body)
    if candidate.endpoint.betas is not None:
        headers, unknown = let_through(candidate.endpoint.betas, headers)
        losses += unknown
    return headers, body, losses


def _cross(exchange: Exchange, candidate: Candidate, target: Target, dialects: Dialects) -> Prepared:
    if exchange.request is None:
        exchange.request = exchange.understood(dialects)
    narrowed = exchange.narrowed
    capped: tuple[Loss, ...] = ()
    request = exchange.request if narrowed is None else with_defaults(exchange.request, narrowed.defaults)
    request = override(with_defaults(request, candidate.defaults), candidate.overrides)
    if narrowed is not None:
        request, capped = with_cap(request, narrowed)
    dialect = dialects[candidate.dialect_for(exchange.dialect)]
    foreign = dialect.name != request.origin
    if foreign and (request.sampling.n or 1) > 1:
        where = path_of(request, "n")
        raise Refused(
            Problem(
                kind="invalid_request",
                param=where,
                message=f"{where}: {candidate.name} is called in another dialect, which gives one answer a call; ask for 1.",
            )
        )
    request = unmark(request, dialect.name)
    if foreign:
        request = settle(request)
    names: Names = {}
    renamed: tuple[Loss, ...] = ()
    if foreign:
        request, names, renamed = fit_names(request, dialect.name)
    rendered = dialect.render_request(request, target)
    losses = rendered.losses + renamed + capped
    if candidate.mendings and (mending := candidate.mendings.get(dialect.name)) is not None:
        losses += mending.document(rendered.body, partial(client_path, request, dialect.name))
    if candidate.losses == "refuse":
        refuse_losses(losses, candidate)
    headers = rendered.headers if foreign else _merge(rendered.headers, forwarded_headers(dialect.name, exchange.call.headers))
    if candidate.endpoint.betas is not None:
        headers, unknown = let_through(candidate.endpoint.betas, headers)
        losses += unknown
    return Prepared(
        dialect=dialect.name,
        path=rendered.path,
        headers=header_lines(headers) if headers else b"",
        body=encode(rendered.body),
        passing=False,
        losses=losses,
        names=names,
        asked=msgspec.structs.replace(rendered.asked, issuer=target.issuer, model=target.model),
    )


def _merge(ours: tuple[tuple[str, str], ...], forwarded: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The rendering's own headers beside the client's; beta flags add up, elsewhere the client's word holds."""
    merged = dict(ours)
    for name, value in forwarded:
        before = merged.get(name)
        if name == "anthropic-beta" and before:
            flags = dict.fromkeys(flag.strip() for flag in f"{before},{value}".split(","))
            merged[name] = ",".join(flags)
        else:
            merged[name] = value
    return tuple(merged.items())


def refuse_losses(losses: tuple[Loss, ...], candidate: Candidate) -> None:
    """Under policy `refuse`, whatever would change the answer is an error; hints (cache points, labels) are not."""
    grave = [loss for loss in losses if loss.weight != "hint"]
    if grave:
        told = "; ".join(f"{loss.path}: {loss.why} ({loss.weight})" for loss in grave[:8])
        raise Refused(
            Problem(
                kind="invalid_request",
                code="lossy_translation",
                param=grave[0].path,
                message=f"{candidate.name} cannot be asked this without loss, and this route refuses losses: {told}.",
            )
        )


def with_defaults(request: Request, defaults: Mapping[str, JsonValue]) -> Request:
    """The request with the route's parameters for what the client left unsaid. A reasoning budget is a word on effort, too."""
    unsaid = {name: value for name, value in defaults.items() if not _says(request, name)}
    return override(request, unsaid)


def _says(request: Request, name: str) -> bool:
    if name in _SAMPLING:
        return getattr(request.sampling, name) not in (None, ())
    return getattr(request, "thinking" if name == "effort" else name, None) is not None


def override(request: Request, overrides: Mapping[str, JsonValue]) -> Request:
    """The request with the route's overrides: neutral names (`max_tokens`, `temperature`, `effort`, `service_tier`, …)."""
    if not overrides:
        return request
    changes: dict[str, object] = {}
    sampling: dict[str, object] = {}
    for name, value in overrides.items():
        if name in _SAMPLING:
            sampling[name] = tuple(value) if isinstance(value, list) else value
        elif name == "effort":
            changes["thinking"] = Thinking(enabled=value != "none", effort=str(value))
        elif name in Request.__struct_fields__:
            changes[name] = value
        else:
            raise Malformed(f"overrides.{name}", "a neutral parameter name", "an unknown one")
    if sampling:
        changes["sampling"] = msgspec.structs.replace(request.sampling, **sampling)
    changed = msgspec.structs.replace(request, **changes)
    if None in changed.extras.values():  # said by the client for nothing, and written in place of what is set here
        changed = msgspec.structs.replace(changed, extras=_without_nulls(changed.extras))
    if None in changed.sampling.extras.values():
        bare = msgspec.structs.replace(changed.sampling, extras=_without_nulls(changed.sampling.extras))
        changed = msgspec.structs.replace(changed, sampling=bare)
    return changed


def _without_nulls(extras: JsonObject) -> JsonObject:
    return {name: value for name, value in extras.items() if value is not None}


def loss_lines(losses: tuple[Loss, ...]) -> bytes:
    """The `x-gatewright-loss` header line; empty when nothing was lost."""
    return b"x-gatewright-loss: %b\r\n" % loss_header(losses).encode("ascii") if losses else b""
