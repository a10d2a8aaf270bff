"""Ordinary traffic for Invariant's Explorer: every trace of a conversation, as it ends, pushed to one dataset.

    traces ─▶ queue (bounded) ─▶ thread: read ─▶ messages, metadata, annotations ─▶ POST {explorer}/api/v1/push/trace

One rule: nobody waits for Explorer. What does not fit is dropped and counted; one that fails is left alone for a while.
"""

import base64
import http.client
import logging
import queue
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

import msgspec

from gatewright.guards.terms import Finding
from gatewright.invariant.messages import messages_of
from gatewright.invariant.metadata import metadata_of
from gatewright.invariant.openai_form import as_answered
from gatewright.ir.request import Request
from gatewright.ir.response import Response
from gatewright.jsontypes import JsonObject
from gatewright.record.explorer import IN_A_ROW, MOST_BYTES, PATH, REST_S, TOLD_EVERY_S, Counts
from gatewright.record.explorer_body import Annotation, Guardrail, PolicyError, annotations_of, push_body
from gatewright.record.traces import Batch, Trace
from gatewright.transport.proxy import proxy_for

log = logging.getLogger("gatewright")

Meaning: TypeAlias = Callable[[Trace], tuple[Request | None, Response | None]]
"""What a trace's bytes mean. Never raises."""
CLOSING_S: Final = 2.0
MAX_ANSWER: Final = 64 << 10


class PushRule(msgspec.Struct, frozen=True, kw_only=True):
    """Where to, and in whose name."""

    url: str
    key: str
    dataset: str
    queue: int = 1000
    deadline_s: float = 20.0

    def __repr__(self) -> str:
        return f"PushRule({self.url}, {self.dataset}, ***)"


class ExplorerSink:
    """A `TraceSink`. Its thread begins with the first trace. (A thread's own connection: the gateway's belong to its loop.)"""

    def __init__(self, rule: PushRule, meaning: Meaning, environ: Mapping[str, str]) -> None:
        self.rule = rule
        self.counts = Counts()
        self._meaning = meaning
        self._way = _Way(rule, environ)
        self._waiting: queue.Queue[Trace | None] = queue.Queue(rule.queue)
        self._taken = self._done = 0
        """Bytes of what was taken to be pushed, and of what is over; each is written by one thread."""
        self._thread: threading.Thread | None = None
        self._closing_by: float | None = None
        self._failures = 0
        self._rests_until = 0.0
        self._told = -TOLD_EVERY_S

    def take(self, batch: Batch) -> None:
        """As `TraceSink` says."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="explorer", daemon=True)
            self._thread.start()
        for trace in batch.whole():
            if trace.operation not in ("generate", "invoke"):
                continue
            size = len(trace.request.body) + len(trace.answer.body)
            try:
                if self._taken - self._done + size > MOST_BYTES:
                    raise queue.Full  # noqa: TRY301 - as full as by their number
                self._waiting.put_nowait(trace)
                self._taken += size
            except queue.Full:
                self.counts.dropped += 1
                self._tell(f"more traces wait than may: {self.counts.dropped} were dropped so far")

    def close(self) -> None:
        """Push what waits, for a moment."""
        self._closing_by = time.monotonic() + CLOSING_S
        if self._thread is None:
            return
        with suppress(queue.Full):  # it looks at the time before each one
            self._waiting.put_nowait(None)
        self._thread.join(CLOSING_S)
        self._way.close()

    def _work(self) -> None:
        while (trace := self._next()) is not None:
            try:
                self._push(trace)
            except Exception:
                self.counts.failed += 1
                log.exception("explorer: trace %s could not be pushed on a bug of ours", trace.id)
            self._done += len(trace.request.body) + len(trace.answer.body)

    def _next(self) -> Trace | None:
        if self._closing_by is not None and time.monotonic() >= self._closing_by:
            return None
        return self._waiting.get()

    def _push(self, trace: Trace) -> None:
        if time.monotonic() < self._rests_until:
            self.counts.dropped += 1
            return
        body = body_of(trace, *self._meaning(trace), dataset=self.rule.dataset)
        if body is None:
            return
        try:
            status = self._way.post(PATH, body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._failed(f"{self._way.where}: {type(error).__name__}")
            return
        if status < 300:
            self._failures = 0
            self.counts.pushed += 1
        elif status >= 500 or status == 429:
            self._failed(f"it answered {status}")
        else:
            self.counts.failed += 1
            self._tell(f"a trace was not taken: it answered {status}")

    def _failed(self, why: str) -> None:
        self.counts.failed += 1
        self._failures += 1
        self._tell(f"a trace was not taken: {why}")
        if self._failures >= IN_A_ROW:
            self._failures, self._rests_until = 0, time.monotonic() + REST_S

    def _tell(self, what: str) -> None:
        now = time.monotonic()
        if now - self._told >= TOLD_EVERY_S:
            self._told = now
            log.warning("warning: explorer: %s", what)


def body_of(trace: Trace, request: Request | None, answer: Response | None, *, dataset: str) -> bytes | None:
    """Of the push. None: there is no conversation in it."""
    if request is None or (answer is None and not trace.found):
        return None
    metadata = metadata_of(trace.request.body, answer, trace.client_dialect)
    metadata["gatewright_trace"] = trace.id
    if trace.session:
        metadata["gatewright_session"] = trace.session
    return push_body(dataset, _messages(trace, request, answer), metadata, annotations(trace.found))


def _messages(trace: Trace, request: Request, answer: Response | None) -> list[JsonObject]:
    """A whole answer that its client was given in OpenAI's own form is told as it was given."""
    if trace.client_dialect == "openai_chat" and trace.operation == "generate" and answer is not None:
        told = as_answered(trace.answer.body)
        if told is not None:
            return [*messages_of(request, None, "openai_chat"), *told]
    return messages_of(request, answer, trace.client_dialect)


def annotations(found: Sequence[Finding]) -> list[Annotation]:
    """Of what the guards had to say; rules that only try out are left out."""
    return annotations_of([_error(finding) for finding in found if not finding.dry])


def _error(finding: Finding) -> PolicyError:
    """A path of ours names a place in the client's document; Explorer's are places in the messages."""
    span = f":{finding.start}-{finding.end}" if finding.end > finding.start else ""
    ranges = (f"{finding.path}{span}",) if finding.path.startswith("messages.") else ()
    words = finding.message or f"{finding.rule}: {finding.kind}"
    return PolicyError((words,), {}, ranges, Guardrail(finding.rule, finding.rule, "", finding.action))


class _Way:
    """One kept connection, from one thread."""

    def __init__(self, rule: PushRule, environ: Mapping[str, str]) -> None:
        parts = urlsplit(rule.url)
        self.where = parts.netloc.rpartition("@")[2]
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._under = parts.path.rstrip("/")
        self._proxy = proxy_for(rule.url, environ)
        self._deadline_s = rule.deadline_s
        self._headers = {
            "authorization": f"Bearer {rule.key}",
            "accept": "application/json",
            "content-type": "application/json",
            "user-agent": "gatewright",
        }
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, body: bytes) -> int:
        """The status. Raises OSError, HTTPException."""
        kept = self._connection
        connection: http.client.HTTPConnection | None = kept or self._connected()
        assert connection is not None
        try:
            connection.request("POST", self._target(path), body, self._headers)
            answer = connection.getresponse()
            answer.read(MAX_ANSWER)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            connection.close()
            self._connection = None
            if kept is None:
                raise
            return self.post(path, body)  # it had been kept for too long
        except BaseException:
            connection.close()
            self._connection = None
            raise
        if answer.will_close or not answer.isclosed():
            connection.close()
            connection = None
        self._connection = connection
        return answer.status

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _target(self, path: str) -> str:
        through = self._proxy is not None and not self._secure
        return (f"http://{self.where}" if through else "") + self._under + path

    def _connected(self) -> http.client.HTTPConnection:
        proxy = None if self._proxy is None else urlsplit(self._proxy)
        host, port = (self._host, self._port) if proxy is None else (proxy.hostname or "", proxy.port)
        login: dict[str, str] = {}
        if proxy is not None and proxy.username is not None:
            login = _basic(unquote(proxy.username), unquote(proxy.password or ""))
        if not self._secure:
            self._headers |= login
            return http.client.HTTPConnection(host, port, timeout=self._deadline_s)
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, timeout=self._deadline_s, context=context)
        if proxy is not None:
            connection.set_tunnel(self._host, self._port or 443, login)
        return connection


def _basic(user: str, password: str) -> dict[str, str]:
    return {"proxy-authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
