"""Ties: what a request clings to, read from its headers and, only where these say nothing, from its body.

One rule: the cheapest look first, and no look at all for a tie that the route does not want. A body is read in full only where
it holds a seal; for its beginning, no more is read than the beginning.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from gatewright.errors import Refused
from gatewright.exchange import Exchange
from gatewright.ir.blocks import DialectName
from gatewright.ir.seal import MARK, MARK_64
from gatewright.pipeline.choose import Standings
from gatewright.pipeline.endpoint import Candidate
from gatewright.pipeline.policy import Policy
from gatewright.pipeline.translate import Dialects
from gatewright.routing.affinity import Affinity, affinity, newest_issuer, prefix_of
from gatewright.wire.http import Call, HeaderView
from gatewright.wire.json import BadJson

LEAST_PROMPT_BYTES: Final = 4096
"""Of a body whose beginning is worth a tie: no provider caches shorter prompts (1,024 tokens)."""
SESSION_HEADERS: Final = (
    "x-gatewright-session",
    "x-claude-code-session-id",
    "x-session-id",
    "session-id",
    "session_id",  # Codex
)
"""The first that is there."""
_PAIRS = tuple((name, name.encode("ascii")) for name in SESSION_HEADERS)
_LONGEST_SESSION = 512
_MESSAGES: Final[Mapping[DialectName, str]] = {
    "openai_chat": "messages",
    "openai_responses": "input",
    "anthropic": "messages",
    "gemini": "contents",
    "bedrock_converse": "messages",
}


class _Metadata(msgspec.Struct):
    user_id: str | None = None
    session_id: str | None = None


class _Ids(msgspec.Struct):
    prompt_cache_key: str | None = None
    metadata: msgspec.Raw = msgspec.Raw()


class _Said(msgspec.Struct):
    role: str = ""


_ids = msgspec.json.Decoder(_Ids)
_metadata = msgspec.json.Decoder(_Metadata)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(list[msgspec.Raw])
_said = msgspec.json.Decoder(_Said)


def held_by(exchange: Exchange, policy: Policy, dialects: Dialects) -> Affinity | None:
    """The endpoint that sealed the newest reasoning of the conversation: elsewhere that is lost. None: there is none of ours."""
    if "seal" not in policy.affinity:
        return None
    body = exchange.call.body
    if exchange.request is None and body.rfind(MARK) < 0 and body.rfind(MARK_64) < 0:
        return None
    try:
        issuer = newest_issuer(exchange.understood(dialects).messages)
    except Refused:  # whoever renders it tells the client
        return None
    return affinity(tenant="", sealed_by=issuer)


def tie_of(exchange: Exchange, policy: Policy, dialects: Dialects) -> Affinity | None:
    """The session, else the same beginning, as far as the route wants them. None: the request is free.

    What cannot be read ties to nothing; whoever renders it tells the client.
    """
    wanted = policy.affinity
    tenant = "" if exchange.principal is None else exchange.principal.name
    if "session" in wanted and (session := session_of(exchange.call)):
        return affinity(tenant=tenant, session=session)
    if "prefix" in wanted and len(exchange.call.body) >= LEAST_PROMPT_BYTES:
        try:
            return affinity(tenant=tenant, prefix=_beginning(exchange, dialects))
        except (Refused, BadJson, msgspec.DecodeError, RecursionError):
            return None
    return None


def kept_at(plan: Sequence[object], served: str, health: Standings) -> Sequence[object]:
    """The plan with the target that gave the answer before at its front, else one of its endpoint; unless it is down.

    `served`: `provider/model`.
    """
    candidates = [candidate for candidate in plan if isinstance(candidate, Candidate)]
    held = [c for c in candidates if c.name == served] or [c for c in candidates if served.startswith(f"{c.endpoint.name}/")]
    standing = [c for c in held if health.standing(c) != "open" and health.rests_s(c) <= 0]
    return [*standing, *(c for c in candidates if c not in standing)] if standing else plan


def session_of(call: Call) -> str:
    """What the client says belongs together, by a header or in the body; empty: nothing."""
    headers = call.headers
    if isinstance(headers, HeaderView):
        found = headers.pick(_PAIRS)
        if found and found[0][1]:
            return found[0][1][:_LONGEST_SESSION]
    else:
        for name in SESSION_HEADERS:
            if value := headers.get(name):
                return value[:_LONGEST_SESSION]
    body = call.body
    if b'"prompt_cache_key"' not in body and b'"user_id"' not in body:
        return ""
    try:
        ids = _ids.decode(body)
        return (ids.prompt_cache_key or _session_in(bytes(ids.metadata)))[:_LONGEST_SESSION]
    except (msgspec.DecodeError, RecursionError):  # of another type than these are: no session
        return ""


def _session_in(metadata: bytes) -> str:
    """The session that Claude Code writes into `metadata.user_id`: `user_…_session_<id>`, later a JSON text with `session_id`."""
    if not metadata.startswith(b"{"):
        return ""
    user_id = _metadata.decode(metadata).user_id or ""
    if user_id.startswith("{"):
        return _metadata.decode(user_id).session_id or ""
    before, _, session = user_id.rpartition("_session_")
    return session if before else ""


def _beginning(exchange: Exchange, dialects: Dialects) -> list[bytes]:
    """What all turns of the conversation begin with."""
    known = exchange.request or exchange.neutral
    if known is not None:
        return prefix_of(known)
    return prefix_of(dialects[exchange.dialect].parse_request(opening(exchange.call, exchange.dialect)))


def opening(call: Call, dialect: DialectName) -> Call:
    """The call with no more of its conversation than the client's first message: to read the rest is what costs."""
    key = _MESSAGES[dialect]
    fields = _fields.decode(call.body)
    listed = bytes(fields.get(key, b""))
    if not listed.startswith(b"["):
        return call
    kept: list[msgspec.Raw] = []
    for item in _items.decode(listed):
        role = _said.decode(item).role or ("user" if dialect == "gemini" else "")
        if role in ("assistant", "model"):
            break
        kept.append(item)
        if role == "user":
            break
    return msgspec.structs.replace(call, body=msgspec.json.encode({**fields, key: kept}), notes={})
