"""From raw HTTP to an Exchange: paths, credentials, dialects. Shared by the fast lane and the ASGI way in."""

import itertools
import os
import time
from collections.abc import Callable, Container, Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl

from gatewright.dialects.protocol import Dialect
from gatewright.exchange import Exchange
from gatewright.ir.blocks import DialectName
from gatewright.server.heading import Heading
from gatewright.server.paths import Match, match, normalise
from gatewright.wire.http import KEY_HEADERS, Call, HeaderView

_MATCHES_KEPT = 4096
_METHODS = {b"POST": "POST", b"GET": "GET"}

Pairs: TypeAlias = tuple[tuple[str, str], ...]


def credential_of(headers: Mapping[bytes, bytes], query: Mapping[str, str]) -> bytes:
    """The client's key, from wherever its SDK puts it; empty when there is none.

    `x-gatewright-key` wins; then the dialects' own headers, in a fixed order, then `?key=`.
    """
    if own := headers.get(b"x-gatewright-key"):
        return own
    if authorization := headers.get(b"authorization"):
        if authorization.startswith((b"Bearer ", b"bearer ")) and (token := authorization[7:].strip()):
            return token
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() == b"bearer" and token:
            return token.strip()
    for name in KEY_HEADERS:
        if value := headers.get(name):
            return value
    return query.get("key", "").encode("utf-8", "replace")


def request_ids() -> Callable[[], str]:
    """Ids that are unique across processes and cheap: a random start, then a counter."""
    prefix = os.urandom(6).hex()
    counter = itertools.count(int.from_bytes(os.urandom(3)))
    return lambda: f"req_{prefix}{next(counter):010x}"


class Inbound:
    """Builds exchanges. Path matches are remembered: clients use few paths."""

    def __init__(self, dialects: Mapping[DialectName, Dialect], providers: Container[str]) -> None:
        self.dialects = dialects
        self.providers = providers
        self.new_id = request_ids()
        self._matches: dict[tuple[bytes, bytes], tuple[Match, Mapping[str, str], Pairs]] = {}

    def matched(self, method: bytes, target: bytes) -> tuple[Match, Mapping[str, str], Pairs]:
        """What a request line asks for, and its query as a mapping and as pairs."""
        found = self._matches.get((method, target))
        if found is None:
            path, raw_query = normalise(target)
            pairs = tuple(parse_qsl(raw_query, keep_blank_values=True)) if raw_query else ()
            query = dict(pairs)
            found = (match(method.decode("latin-1"), path, self.providers), query, pairs)
            if "key" not in query and len(target) < 256:  # a key in the query is not to be kept
                if len(self._matches) >= _MATCHES_KEPT:
                    self._matches.clear()
                self._matches[method, target] = found
        return found

    def read(self, heading: Heading) -> None:
        """Tell the heading what it means here: operation, dialect, credential."""
        headers = heading.headers
        method, target = heading.method, heading.target
        matched, query, pairs = self._matches.get((method, target)) or self.matched(method, target)
        heading.credential = credential_of(headers, query)
        seen = headers
        if query and "key" in query:  # it was for us; or, with ours in a header of its own, for the provider
            if b"x-goog-api-key" not in headers:
                seen = {**headers, b"x-goog-api-key": query["key"].encode("utf-8", "replace")}
            query = {name: value for name, value in query.items() if name != "key"}
            pairs = tuple(pair for pair in pairs if pair[0] != "key")
        dialect, operation = matched.dialect, matched.operation
        if operation == "generate":
            pass
        elif operation in ("list_models", "get_model", "unknown"):
            dialect = dialect_by_headers(headers, dialect)
        elif operation == "forward" and b"anthropic-version" in headers and dialect != "gemini":
            dialect = "anthropic"  # /v1/files is OpenAI's and Anthropic's
        heading.match, heading.query, heading.pairs = matched, query, pairs
        heading.view = HeaderView(seen)
        heading.dialect, heading.operation = dialect, operation
        heading.word = _METHODS.get(method) or method.decode("latin-1")
        heading.read_by = self

    def exchange(self, heading: Heading, body: bytes) -> Exchange:
        """The exchange of a complete request. Never raises: `peek` comes later, inside the stack."""
        if heading.read_by is not self:
            self.read(heading)
        matched = heading.match
        return Exchange(
            request_id=self.new_id(),
            dialect=heading.dialect,
            operation=heading.operation,
            method=heading.word,
            call=Call(path=matched.path, body=body, query=heading.query, pairs=heading.pairs, headers=heading.view),
            started=time.monotonic(),
            credential=heading.credential,
            pin=matched.pin,
            params=matched.params,
        )


def dialect_by_headers(headers: Mapping[bytes, bytes], otherwise: DialectName) -> DialectName:
    """Whose client this is, where the path does not say (`/v1/models` is everybody's)."""
    if b"anthropic-version" in headers:
        return "anthropic"
    if b"x-goog-api-key" in headers or b"x-goog-api-client" in headers:
        return "gemini"
    if b"x-api-key" in headers and b"authorization" not in headers:
        return "anthropic"
    return otherwise
