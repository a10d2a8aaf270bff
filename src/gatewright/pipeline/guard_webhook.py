"""Kind `webhook`: a service of the operator's is asked over HTTP what it thinks of a request or an answer.

    texts ─▶ form (gatewright | opa | lakera | azure_text | azure_shield) ─▶ POST ─▶ findings

One rule: it is asked at the URL of the configuration alone, within its deadline; after failures in a row it is left alone for a
while; and what no verdict means is said by `on_failure`.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from gatewright.guards.detect.settings import read, wrong
from gatewright.guards.rules import Asker, Compiled
from gatewright.guards.terms import Finding, Text
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject
from gatewright.pipeline.endpoint import wire_path
from gatewright.pipeline.guard_failing import NoVerdict, OnFailure, without_verdict
from gatewright.pipeline.guard_kinds import Means
from gatewright.pipeline.guard_webhook_forms import FORMS, Form, Question
from gatewright.routing import breaker
from gatewright.transport import HttpTransport, Outgoing, Timeouts, TransportError, header_lines

FormName: TypeAlias = Literal["gatewright", "opa", "lakera", "azure_text", "azure_shield"]
MOST_BYTES: Final = 1 << 20
"""Of an answer."""
_KEY_HEADER: Final = {"azure_text": "ocp-apim-subscription-key", "azure_shield": "ocp-apim-subscription-key"}
_RULE: Final = breaker.Rule()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    """Where it is asked, path and query included."""
    form: FormName = "gatewright"
    api_key: str = ""
    """Sent as the form wants it: as a bearer token, or in Azure's header."""
    headers: dict[str, str] = {}
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 2.0
    on_failure: OnFailure = "closed"
    max_connections: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 64
    severity: Annotated[int, msgspec.Meta(ge=1, le=6)] = 4
    """Of Azure's categories: from which severity on they count."""
    project: str = ""
    """Of Lakera: the project whose policy is meant."""


class WebhookMaker(msgspec.Struct, frozen=True):
    """Settings that were read."""

    settings: Settings
    headers: bytes

    @property
    def compiled(self) -> Compiled:
        return Compiled()

    def make(self, means: Means) -> "Webhook":
        url = urlsplit(self.settings.url)
        transport = HttpTransport(f"{url.scheme}://{url.netloc}", max_connections=self.settings.max_connections)
        means.opened.append(transport)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        return Webhook(self.settings, transport, wire_path(path), self.headers, means.health.clock)


class Webhook:
    """Who is asked. Within one event loop."""

    def __init__(
        self, settings: Settings, transport: HttpTransport, path: bytes, headers: bytes, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._form: Form = FORMS[settings.form]
        self._transport = transport
        self._path = path
        self._headers = headers
        self._clock = clock
        self._circuit = breaker.State()
        limit = settings.timeout_s
        self._timeouts = Timeouts(connect_s=limit, headers_s=limit, first_event_s=limit, idle_s=limit, total_s=limit)
        self._who = f"the check at {urlsplit(settings.url).hostname}"

    async def ask(self, request: Request, answer: Response | None, texts: Sequence[Text], asker: Asker) -> Sequence[Finding]:
        settings = self._settings
        question = Question(request, answer, texts, asker.request_id, settings.severity, settings.project)
        permit, self._circuit = breaker.admit(self._circuit, _RULE, self._clock())
        if permit is None:
            return without_verdict(settings.on_failure, self._who, "it has failed too often and is left alone", asker.request_id)
        outcome: breaker.Outcome = "neutral"  # unless told otherwise: the verdict was not wanted any more
        try:
            async with asyncio.timeout(settings.timeout_s):
                findings = await self._asked(question)
            outcome = "success"
        except NoVerdict as error:
            outcome = "failure"
            return without_verdict(settings.on_failure, self._who, str(error), asker.request_id)
        except TransportError as error:
            outcome = "failure"
            return without_verdict(settings.on_failure, self._who, type(error).__name__, asker.request_id)
        except TimeoutError:
            outcome = "failure"
            why = f"nothing came within {settings.timeout_s:g} s"
            return without_verdict(settings.on_failure, self._who, why, asker.request_id)
        finally:
            self._circuit = breaker.tell(self._circuit, _RULE, permit, outcome, self._clock())
        return findings

    async def _asked(self, question: Question) -> list[Finding]:
        """Raises NoVerdict, TransportError, TimeoutError."""
        bodies = self._form.bodies(question)
        found: list[Finding] = []
        for said in await asyncio.gather(*(self._posted(body) for body in bodies)):
            found += self._form.read(said, question)
        return found

    async def _posted(self, body: bytes) -> object:
        outgoing = Outgoing(method=b"POST", path=self._path, headers=self._headers, body=body, timeouts=self._timeouts)
        incoming = await self._transport.send(outgoing)
        told = await incoming.read(MOST_BYTES)
        if incoming.status != 200:
            raise NoVerdict(f"it answered {incoming.status}")
        try:
            return msgspec.json.decode(told)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise NoVerdict("its answer is not JSON") from None


def kind(settings: JsonObject) -> WebhookMaker:
    """Raises ValueError."""
    said = read(settings, Settings)
    _check(said.url)
    headers = [
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("accept-encoding", "identity"),
        ("user-agent", "gatewright"),
    ]
    if said.api_key:
        name = _KEY_HEADER.get(said.form, "authorization")
        headers.append((name, said.api_key if name in _KEY_HEADER.values() else f"Bearer {said.api_key}"))
    try:
        lines = header_lines((*headers, *said.headers.items()))
    except ValueError as error:
        raise wrong("headers", str(error)) from None
    return WebhookMaker(said, lines)


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise wrong("url", "not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise wrong("url", "expected an http:// or https:// URL with a host")
    if "@" in parts.netloc:
        raise wrong("url", "a URL with credentials in it; they belong in `api_key` or `headers`")
    if parts.fragment or any(c.isspace() for c in url):
        raise wrong("url", "a URL with a fragment or spaces in it")
