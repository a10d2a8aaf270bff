"""A kept answer, given again: whole or as a stream, in the words of whoever asks now.

One rule: it is told as the answer of another API is, or of the same one where that is the client's; only what names this one
answer, its id, is made anew. Programs take two answers with one id for one.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from gatewright.exchange import Exchange, Reply
from gatewright.ir.blocks import DialectName
from gatewright.ir.events import ArgumentsDelta, MessageStart, ReasoningDelta, StreamEvent, TextDelta
from gatewright.ir.fold import unfold
from gatewright.ir.loss import Loss
from gatewright.ir.packing import KeptAnswer
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.pipeline.attempt import JSON, answered, stream_type
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.framed import named
from gatewright.pipeline.replayed import mark
from gatewright.pipeline.seals import name_calls
from gatewright.pipeline.translate import Dialects, loss_lines, prepare
from gatewright.wire.json import encode
from gatewright.wire.sse import without_line_separators

PIECE: Final = 2048
"""Characters of a delta: programs read streams by lines, and some take no long ones."""

_PREFIX: Final[dict[DialectName, str]] = {"openai_chat": "chatcmpl-", "openai_responses": "resp_", "anthropic": "msg_"}

replace = msgspec.structs.replace


def answer_id(exchange: Exchange) -> str:
    """An id for the answer to this exchange, as its client's API makes them."""
    own = exchange.answer.get("id")
    return own if isinstance(own, str) else _PREFIX.get(exchange.dialect, "") + exchange.request_id.removeprefix("req_")


def for_client(response: Response, exchange: Exchange, issuer: str) -> Response:
    """The answer as this client is to be told it, and may send it back. `issuer`: the endpoint that gave it."""
    response = replace(response, id=answer_id(exchange))
    if response.origin == exchange.dialect:
        return response
    return mark(name_calls(response, exchange.request_id), exchange.dialect, issuer)


def renamed(events: Sequence[StreamEvent], own_id: str) -> list[StreamEvent]:
    """The events with an id of this answer's own."""
    return [replace(event, id=own_id) if isinstance(event, MessageStart) else event for event in events]


def replayed(kept: KeptAnswer, exchange: Exchange, request: Request, dialects: Dialects, head: bytes = b"") -> Reply:
    """The reply that gives `kept` again. `head`: more header lines. Sets `exchange.losses`.

    Raises Refused where the route refuses what is lost on the way to this client.
    """
    client = dialects[exchange.dialect]
    issuer, _, _ = kept.target.partition("/")
    response = for_client(kept.response, exchange, issuer)
    request = answered(request, exchange)
    lost = request_losses(kept.losses, kept.dialect, kept.target, exchange, dialects)
    head = target_line(kept.target) + head
    if exchange.stream:
        wire = client.stream_renderer(request).render(in_pieces(unfold(response)))
        exchange.losses = lost
        head = named(stream_type(client, request.client.get("alt")) + head + loss_lines(lost), client, exchange.request_id)
        return Reply(200, head, without_line_separators(wire) if client.framing == "sse" else wire)
    rendered = client.render_response(response, request)
    exchange.losses = tuple({(loss.path, loss.why): loss for loss in (*lost, *rendered.losses)}.values())
    head = named(JSON + head + loss_lines(exchange.losses), client, exchange.request_id)
    return Reply(200, head, encode(rendered.body))


def request_losses(
    losses: tuple[Loss, ...], told: DialectName, target: str, exchange: Exchange, dialects: Dialects
) -> tuple[Loss, ...]:
    """What a request lost on its way to `target`, in this client's words. `told`: in whose words `losses` are.

    Raises Refused where the route refuses that.
    """
    if not losses or told == exchange.dialect:
        return losses
    for candidate in exchange.plan:
        if isinstance(candidate, Candidate) and candidate.name == target:
            return prepare(exchange, candidate, dialects).losses
    return losses


def target_line(target: str) -> bytes:
    """The header that names who answered; a client may have chosen the name."""
    shown = "".join(c if " " <= c <= "~" else "?" for c in target[:200])
    return b"x-gatewright-target: %b\r\n" % shown.encode("ascii")


def in_pieces(events: Sequence[StreamEvent]) -> list[StreamEvent]:
    """The events, with deltas of at most `PIECE` characters."""
    done: list[StreamEvent] = []
    for event in events:
        if isinstance(event, TextDelta | ReasoningDelta | ArgumentsDelta) and len(event.text) > PIECE:
            if isinstance(event, TextDelta) and event.logprobs:  # they belong to its tokens
                done.append(event)
                continue
            text = event.text
            done.extend(replace(event, text=text[i : i + PIECE]) for i in range(0, len(text), PIECE))
        else:
            done.append(event)
    return done
