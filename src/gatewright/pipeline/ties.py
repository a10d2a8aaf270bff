"""Ties: what a request clings to, read from its headers and, only where these say nothing, from its body.

One rule: the cheapest look first, and no look at all for a tie that the route does not want. A body is read in full only where
it holds a seal; for its beginning, no more is read than the beginning.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from gatewright.errors import Refused
from gatewright.exchange import Exchange
from gatewright.ir.blocks import DialectName
from gatewright.ir.seal import MARK, MARK_64
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


def tie_of(exchange: Exchange, policy: Policy, dialects: Dialects) -> Affinity | None:
    """The strongest tie that the route wants; None: it is free. `state` is not among them: that is looked up in a store.

    What cannot be read ties to nothing; whoever parses it tells the client.
    """
    wanted = policy.affinity
    if not wanted:
        return None
    tenant = "" if exchange.principal is None else exchange.principal.name
    try:
        if "seal" in wanted and (issuer := _sealed_by(exchange, dialects)):
            return affinity(tenant=tenant, sealed_by=issuer)
        if "session" in wanted and (session := session_of(exchange.call)):
            return affinity(tenant=tenant, session=session)
        if "prefix" in wanted and len(exchange.call.body) >= LEAST_PROMPT_BYTES:
            return affinity(tenant=tenant, prefix=_beginning(exchange, dialects))
    except (Refused, BadJson, msgspec.DecodeError, RecursionError):
        return None
    return None


def _sealed_by(exchange: Exchange, dialects: Dialects) -> str:
    """The endpoint of the newest seal; empty: there is none of ours."""
    body = exchange.call.body
    if exchange.request is None and body.rfind(MARK) < 0 and body.rfind(MARK_64) < 0:
        return ""
    return newest_issuer(exchange.understood(dialects).messages)


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
