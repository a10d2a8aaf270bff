"""An endpoint: a provider's URL, its credential and the dialects it speaks, ready to be sent to."""

import functools
import posixpath
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, Protocol, runtime_checkable
from urllib.parse import quote

from gatewright.ir.blocks import DialectName
from gatewright.ir.request import Asked, Target
from gatewright.jsontypes import JsonValue
from gatewright.pipeline.admit import Gate
from gatewright.pipeline.signed import send_signed
from gatewright.providers.auth.client_key import ClientKey
from gatewright.providers.auth.seam import Credential
from gatewright.providers.catalog.host import Auth
from gatewright.providers.quirks import Quirk, mendings
from gatewright.transport import Incoming, Outgoing, Timeouts, Transport, header_lines
from gatewright.transport.seam import Trail
from gatewright.wire.http import HeaderView

FORWARDED_REQUEST_HEADERS: dict[DialectName, tuple[str, ...]] = {
    "openai_chat": ("openai-beta", "idempotency-key"),
    "openai_responses": ("openai-beta", "idempotency-key"),
    "anthropic": ("anthropic-version", "anthropic-beta", "idempotency-key"),
    "gemini": (),
    "bedrock_converse": ("x-amzn-bedrock-trace", "x-amzn-bedrock-guardrailidentifier", "x-amzn-bedrock-guardrailversion"),
}
"""What a client's header may reach an upstream of its own dialect. All others stay here."""
_FORWARDED = {dialect: tuple((n, n.encode("ascii")) for n in names) for dialect, names in FORWARDED_REQUEST_HEADERS.items()}


LONG_ENOUGH = 12
"""Characters of a header's value that may be a credential; a shorter one stands in many words."""


class Headers(Protocol):
    def get(self, name: str, /) -> str | None: ...


@runtime_checkable
class Counts(Protocol):
    """A transport with connections."""

    def connections(self) -> tuple[int, int, int]: ...


class Endpoint:
    """One provider as the pipeline sees it. Immutable after the start."""

    __slots__ = (
        "_base_paths",
        "_fronts",
        "_heads",
        "_hidden",
        "_origins",
        "credential",
        "dialects",
        "forwards",
        "gate",
        "name",
        "secret",
        "secrets",
        "betas",
        "quirks",
        "speaks",
        "stores_responses",
        "timeouts",
        "transport",
        "_transports",
    )

    def __init__(
        self,
        *,
        name: str,
        dialects: tuple[DialectName, ...],
        transports: Mapping[DialectName, Transport],
        base_paths: Mapping[DialectName, str],
        auth: Mapping[DialectName, Auth],
        secret: str,
        headers: tuple[tuple[str, str], ...] = (),
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
        forwards: frozenset[str] = frozenset(),
        stores_responses: bool = False,
        credential: Credential | None = None,
        origins: Mapping[DialectName, str] | None = None,
        speaks: Callable[[str, tuple[DialectName, ...]], tuple[DialectName, ...]] | None = None,
        quirks: tuple[Quirk, ...] = (),
        betas: Mapping[str, str] | None = None,
    ) -> None:
        """With a `credential`, `secret` is empty; it signs each call, for which it needs the dialects' `origins`."""
        self.name = name
        self.credential = credential
        self._origins = dict(origins or {})
        self.dialects = dialects
        self._transports = dict(transports)
        self.transport = self._transports[dialects[0]]
        self._base_paths = {dialect: path.rstrip("/").encode("ascii") for dialect, path in base_paths.items()}
        self.secret = secret.encode("utf-8")
        self.timeouts = timeouts
        self.forwards = forwards
        self.stores_responses = stores_responses
        self.speaks = speaks
        self.quirks = quirks
        self.betas = betas
        self.gate: Gate | None = None
        """Where calls wait for their turn. None: any number at once. Set before the first call."""
        self._hidden = tuple(value.encode() for _, value in headers if len(value) >= LONG_ENOUGH)
        self.secrets = tuple(filter(None, (self.secret, *self._hidden)))
        """What must not be told of what it says, but for what a `credential` knows."""
        self._fronts: dict[tuple[DialectName, str, bytes, bytes], tuple[bytes, bytes]] = {}
        self._heads = {d: header_lines(_auth_headers(auth[d], secret) + _PLAIN + headers) for d in dialects}

    def dialect_for(self, client: DialectName) -> DialectName:
        """The client's own where this endpoint speaks it, else the first it speaks."""
        return client if client in self.dialects else self.dialects[0]

    def spoken_to(self, model: str) -> tuple[DialectName, ...]:
        """The dialects in which it answers for a model; not every host speaks all of its own to each."""
        return self.dialects if self.speaks is None else self.speaks(model, self.dialects)

    def send(
        self,
        *,
        dialect: DialectName,
        method: str,
        path: str,
        headers: bytes,
        body: bytes,
        content_type: bytes = b"content-type: application/json\r\n",
        client: Headers | None = None,
        model: str = "",
        stream: bool = False,
        trail: Trail | None = None,
    ) -> Awaitable[Incoming]:
        """Send one request; returns when the answer's head is there. Raises TransportError.

        `client`: the headers of who asked, for a credential that is the client's own; without it Refused may be raised.
        `model` (as the provider names it) and `stream` are for hosts that want to be told outside the body: see `shaped.py`.
        `trail`: told how often it is written.
        """
        front = self._fronts.get((dialect, path, content_type, headers)) or self._front(dialect, path, content_type, headers)
        outgoing = Outgoing(
            b"POST" if method == "POST" else method.encode("ascii"), front[0], front[1], body, self.timeouts, trail
        )
        if self.credential is not None:
            return send_signed(self._transports[dialect], self.credential, outgoing, self._origins[dialect], client)
        return self._transports[dialect].send(outgoing)

    def _front(self, dialect: DialectName, path: str, content_type: bytes, headers: bytes) -> tuple[bytes, bytes]:
        """Path and headers of a call; the next one like it finds the very same."""
        short = len(path) <= _LONG
        front = (
            self._base_paths[dialect] + (_remembered(path) if short else _quoted(path)),
            self._heads[dialect] + content_type + headers,
        )
        if short and len(headers) <= _LONG:
            if len(self._fronts) >= _FRONTS:
                self._fronts.clear()
            self._fronts[dialect, path, content_type, headers] = front
        return front

    def get(
        self,
        *,
        dialect: DialectName,
        path: str,
        headers: bytes,
        timeouts: Timeouts,
        elsewhere: tuple[str, Transport] | None = None,
    ) -> Awaitable[Incoming]:
        """GET what is no dialect's, such as the list of models; a host's shape has no part in it. Raises TransportError.

        `path` is under the dialect's base, and may lead out of it (`/../catalog/models`).
        `elsewhere`: the origin of another host of the provider's, and the way there; `path` is whole then.
        """
        below, question, query = path.partition("?")
        place = posixpath.normpath(("" if elsewhere else self._base_paths[dialect].decode("ascii")) + below)
        origin, transport = elsewhere or (self._origins.get(dialect, ""), self._transports[dialect])
        outgoing = Outgoing(
            method=b"GET", path=wire_path(place + question + query), headers=self._heads[dialect] + headers, timeouts=timeouts
        )
        if self.credential is not None:
            return send_signed(transport, self.credential, outgoing, origin, None)
        return transport.send(outgoing)

    def connections(self) -> tuple[int, int, int]:
        """Connections that are busy, and idle; and calls that wait for one. None of a transport that has none."""
        told = [t.connections() for t in dict.fromkeys(self._transports.values()) if isinstance(t, Counts)]
        busy, idle, waiting = (sum(column) for column in zip(*told, strict=True)) if told else (0, 0, 0)
        return busy, idle, waiting

    async def close(self) -> None:
        """Close all connections; the gateway is stopping."""
        if self.credential is not None:
            await self.credential.close()
        for transport in dict.fromkeys(self._transports.values()):
            await transport.close()

    def scrub_for(self, client: Headers) -> Callable[[bytes], bytes]:
        """`scrub`, for who has asked: a credential that is the client's own is not known but by its request."""
        if isinstance(self.credential, ClientKey) and (key := self.credential.key_of(client).encode()):
            return lambda text: self.scrub(text.replace(key, b"***"))
        return self.scrub

    def scrub(self, text: bytes) -> bytes:
        """`text` (an upstream's error) without this endpoint's credential, and without the values of its headers."""
        for value in self._hidden:
            text = text.replace(value, b"***")
        if self.credential is not None:
            return self.credential.scrub(text)
        return text.replace(self.secret, b"***") if self.secret and self.secret in text else text


_SAFE = "/:?&=%@!$'()*+,;-._~[]"
"""What may stand in a path and query as it is; dialects have quoted their own parts already."""

_PLAIN: tuple[tuple[str, str], ...] = (("accept", "*/*"), ("accept-encoding", "identity"), ("user-agent", "gatewright"))


_FRONTS = 256
_LONG = 512
"""Characters of a path that is not remembered: clients choose paths, and memory is ours."""


def wire_path(path: str) -> bytes:
    """Path and query as bytes that may stand in a request line."""
    return _remembered(path) if len(path) <= _LONG else _quoted(path)


def _quoted(path: str) -> bytes:
    return quote(path, safe=_SAFE, errors="replace").encode("ascii")


_remembered = functools.lru_cache(maxsize=4096)(_quoted)


def _auth_headers(auth: Auth, secret: str) -> tuple[tuple[str, str], ...]:
    if not secret or auth == "none":
        return ()
    if auth == "bearer":
        return (("authorization", f"Bearer {secret}"),)
    return ((auth, secret),)


def forwarded_lines(dialect: DialectName, client: Headers) -> bytes:
    """`forwarded_headers` as lines. Remembered with the client's head, which comes again with its next request."""
    if not isinstance(client, HeaderView):
        return header_lines(forwarded_headers(dialect, client))
    lines = client.lines.get(dialect)
    if lines is None:
        lines = client.lines[dialect] = header_lines(forwarded_headers(dialect, client))
    return lines


def forwarded_headers(dialect: DialectName, client: Headers) -> tuple[tuple[str, str], ...]:
    """The client's headers that an upstream of the same dialect may see."""
    if isinstance(client, HeaderView):
        return client.pick(_FORWARDED[dialect])
    found = ((name, client.get(name)) for name in FORWARDED_REQUEST_HEADERS[dialect])
    return tuple((name, value) for name, value in found if value is not None)


class Candidate:
    """A target to try: an endpoint, the model's name there, and what the route asks of it. Immutable, made once per route."""

    __slots__ = (
        "asked",
        "changes",
        "defaults",
        "dialects",
        "endpoint",
        "losses",
        "max_tokens",
        "mendings",
        "model",
        "name",
        "overrides",
        "served_line",
        "target",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        model: str,
        losses: Literal["warn", "refuse"] = "warn",
        overrides: Mapping[str, JsonValue] | None = None,
        *,
        max_tokens: int = 0,
        defaults: Mapping[str, JsonValue] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.model = model
        self.dialects = endpoint.spoken_to(model)
        self.mendings = mendings(endpoint.quirks, self.dialects, model) if endpoint.quirks else {}
        self.losses = losses
        self.overrides = overrides or {}
        self.defaults = defaults or {}
        self.changes = bool(self.overrides or self.defaults)
        """Whether the request must be read, because the route changes it."""
        self.max_tokens = max_tokens
        self.target = Target(model=model, issuer=endpoint.name, max_tokens=max_tokens)
        self.asked = Asked(issuer=endpoint.name, model=model)
        """Of a call whose bytes pass."""
        self.name = f"{endpoint.name}/{model}"
        shown = "".join(c if " " <= c <= "~" else "?" for c in self.name[:_LONG])  # a client may have named it
        self.served_line = b"x-gatewright-target: %b\r\n" % shown.encode("ascii")

    def dialect_for(self, client: DialectName) -> DialectName:
        """The client's own where the endpoint speaks it for this model, else the first that it does."""
        return client if client in self.dialects else self.dialects[0]
