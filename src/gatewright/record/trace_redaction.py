"""What is secret is replaced before anything of a trace is written: credentials always, and what the operator's rules find.

    known      every secret of the configuration, exactly, also as JSON and URLs write it; the client's own key
    formats    keys of vendors, tokens, private keys, by their form; keys only where a word begins, for sealed content is base64
    rules      detectors of the operator's choice, asked about every text of a body

One rule: what is replaced names its kind and never its content. A body that needs no change is the very same object.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import msgspec
import re2  # type: ignore[import-untyped]

from gatewright.guards.terms import Detector
from gatewright.record.trace_look import byte_options, look_for
from gatewright.record.trace_streams import Stream, stream_of
from gatewright.stores.trace_document import FRAMES
from gatewright.stores.trace_terms import Fields, Message, Trace

SHORTEST: Final = 6
"""Characters of a secret that is looked for: a shorter one would be found everywhere."""
KEYS: Final = (
    r"sk-[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic, OpenRouter, DeepSeek and whoever does as they do
    r"gw-[A-Za-z0-9_-]{43}",
    r"AIza[0-9A-Za-z_-]{35}",
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",
    r"gh[pousr]_[A-Za-z0-9]{36,}",
    r"github_pat_[A-Za-z0-9_]{22,}",
    r"glpat-[A-Za-z0-9_-]{20,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}",
    r"hf_[A-Za-z0-9]{30,}",
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[A-Za-z0-9_-]{50,}",
    r"gsk_[A-Za-z0-9]{40,}",
    r"xai-[A-Za-z0-9]{40,}",
    r"pplx-[A-Za-z0-9]{32,}",
    r"nvapi-[A-Za-z0-9_-]{40,}",
)
"""Of credentials that are one word. Chance writes such into url-safe base64, so they count at the beginning of a run alone."""
BEGINS: Final = r"(?:\A|[^A-Za-z0-9_-]|\\[bfnrt]|\\u[0-9A-Fa-f]{4}|%[0-9A-Fa-f]{2}|\[[0-9;]{0,9}m)[_-]{0,3}"
"""Where a word does: behind what is no letter of such a run, an escape of JSON, a URL or a terminal, marks of emphasis."""
OTHERS: Final = (
    r"ya29\.[0-9A-Za-z_-]{20,}",
    r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}",
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[^-]*(?:-----END (?:[A-Z]+ )*PRIVATE KEY-----)?",
    r"(?i:bearer) [A-Za-z0-9._~+/-]{20,}=*",
)
"""Of credentials that base64 does not write by chance, wherever they stand."""
UNSEEN: Final = re2.compile(
    rb'"previous_response_id"|"conversation"|"prompt"|file_id|file_uri|fileUri|fileData|image|cachedContent|inlineData|inline_data'
    rb"|web_search|web_fetch|googleSearch|google_search|urlContext|code_execution|codeExecution|code_interpreter|file_search"
    rb'|"mcp|"computer|input_audio|"document"|"container"'
)
"""Words of a request whose model sees more than stands in it."""
PLACEHOLDER: Final = "[redacted:{}]"
Own: TypeAlias = tuple[bytes, ...]
"""Secrets that are not the configuration's."""
_SECRET: Final = PLACEHOLDER.format("secret").encode()


class Redactor:
    """Used by one thread at a time."""

    def __init__(self, secrets: Iterable[str] = (), rules: Sequence[Detector] = ()) -> None:
        """`rules`: what the operator wants replaced beside credentials."""
        self.rules = tuple(rules)
        literals = {form.encode("utf-8", "replace") for one in secrets if len(one) >= SHORTEST for form in _forms(one)}
        self._known = frozenset(literals)
        options = byte_options()
        ordered = sorted(literals, key=lambda text: (-len(text), text))  # the longest that begins somewhere wins
        every = (*map(re2.escape, ordered), *(form.encode() for form in OTHERS))
        anywhere = b"|".join(every)
        keys = "|".join(KEYS).encode()
        at_begin = b"%b(%b)" % (BEGINS.encode(), keys)
        self._anywhere = re2.compile(anywhere, options)
        self._keys = re2.compile(at_begin, options)
        self._either = re2.compile(b"%b|%b" % (anywhere, at_begin), options)
        """For a look at what has none, as nearly all: it says whether, and not where."""
        self._is_in = look_for((*every, at_begin, b"%b(?:%b)" % (FRAMES, keys)))
        """The same for documents."""
        self._words = re2.compile(keys, options)
        """For texts that are joined with others, so that nobody knows where a word begins."""

    def shows(self, documents: bytes | bytearray, own: Iterable[bytes] = ()) -> bool:
        """Whether there may be anything to replace in documents of traces, one behind the other. What was streamed in parts is
        not found so: `streams`. `own`: secrets that are not the configuration's: what their clients have shown for a key.

        Nearly none has anything secret, so many are looked at in one search: each gives up the interpreter's lock, which other
        threads then hold for a while.
        """
        if self.rules or self._is_in(documents):
            return True
        return any(documents.find(one) >= 0 for one in self._unknown(own))

    def streams(self, trace: Trace, own: Iterable[bytes] = ()) -> bool:
        """Whether a secret may stand in a stream though nowhere in one piece.

        A model tells what it was told, so that is looked for where what it was told cannot be read here: it is kept elsewhere,
        fetched by a tool of the provider's, or a picture.
        """
        bodies = [body for body in _bodies(trace) if body[:1] not in b"{["]  # nearly all others are documents
        if not bodies:
            return False
        streams = [stream for body in bodies if (stream := stream_of(body)) is not None]
        asked = trace.request
        if not streams or not (asked.is_cut or UNSEEN.search(asked.body) is not None):
            return False
        unknown = self._unknown(own)
        return any(self._is_told_in_parts(stream, unknown) for stream in streams)

    def redacted(self, trace: Trace, *own: bytes) -> Trace:
        """The trace as it may be written. `own`: what its client has shown for a key, and providers were shown."""
        unknown = self._unknown(own)
        if not self.rules:
            everything = b"\0".join((*_bodies(trace), _texts(trace)))
            found = self._either.search(everything) is not None or any(one in everything for one in unknown)
            if not found and not self.streams(trace, unknown):
                return trace
        return _Cleaning(self, unknown).trace(trace)

    def _unknown(self, own: Iterable[bytes]) -> tuple[bytes, ...]:
        """Those that are not looked for anyway: long ones first, for one may stand in another."""
        return tuple(sorted((one for one in own if len(one) >= SHORTEST and one not in self._known), key=len, reverse=True))

    def _is_told_in_parts(self, stream: Stream, own: Own) -> bool:
        """Whether a secret was streamed a few letters at a time, so that no event holds all of it."""
        told = stream.told()
        if told is None:
            return True  # perhaps
        found = self._anywhere.search(told) is not None or self._words.search(told) is not None
        return found or any(one in told for one in own)

    def text(self, text: str, own: Own = ()) -> tuple[str, int]:
        """A text without what is secret in it, and how often something was replaced."""
        spans = self.spans(text, own)
        if not spans:
            return text, 0
        parts, at = [], 0
        for start, end, kind in spans:
            parts += [text[at:start], PLACEHOLDER.format(kind)]
            at = end
        return "".join((*parts, text[at:])), len(spans)

    def spans(self, text: str, own: Own = ()) -> list[tuple[int, int, str]]:
        """What is to be replaced in a text: in order, not overlapping."""
        encoded = text.encode("utf-8", "surrogatepass")
        plain = len(encoded) == len(text)
        found = [(*_characters(encoded, span, plain=plain), "secret") for span in self._found(encoded, own)]
        for rule in self.rules:
            found += [(span.start, span.end, span.kind) for span in rule.find(text)]
        return _apart(found)

    def _found(self, data: bytes, own: Own) -> list[tuple[int, int]]:
        """Where credentials stand: in no order, and perhaps one over another."""
        found = []
        if self._either.search(data) is not None:
            found += [match.span() for match in self._anywhere.finditer(data)]
            found += [match.span(1) for match in self._keys.finditer(data)]
        for one in own:
            at = data.find(one)
            while at >= 0:
                found.append((at, at + len(one)))
                at = data.find(one, at + len(one))
        return found

    def raw(self, data: bytes, own: Own = ()) -> tuple[bytes, int]:
        """Bytes of any kind without credentials; rules are not asked about them."""
        spans = _apart([(*span, "secret") for span in self._found(data, own)])
        if not spans:
            return data, 0
        parts, at = [], 0
        for start, end, _ in spans:
            parts += [data[at:start], _SECRET]
            at = end
        return b"".join((*parts, data[at:])), len(spans)


class _Cleaning:
    """Of one trace."""

    def __init__(self, redactor: Redactor, own: Own) -> None:
        self._redactor = redactor
        self._own = own
        self._done: dict[bytes, bytes] = {}
        self.count = 0

    def trace(self, trace: Trace) -> Trace:
        cleaned = msgspec.structs.replace(
            trace,
            request=self._message(trace.request),
            answer=self._message(trace.answer),
            upstream=tuple(
                msgspec.structs.replace(
                    call,
                    path=self._text(call.path),
                    request=self._message(call.request),
                    answer=None if call.answer is None else self._message(call.answer),
                )
                for call in trace.upstream
            ),
            tried=tuple(msgspec.structs.replace(one, message=self._text(one.message)) for one in trace.tried),
            problem=self._text(trace.problem),
            path=self._text(trace.path),
            asked=self._text(trace.asked),
            session=self._text(trace.session),
            query=self._fields(trace.query),
        )
        return msgspec.structs.replace(cleaned, redacted=self.count)

    def _message(self, message: Message) -> Message:
        body = self._body(message.body)
        size = message.size + len(body) - len(message.body)  # a placeholder's length is not a cut
        return msgspec.structs.replace(message, headers=self._fields(message.headers), body=body, size=size)

    def _fields(self, fields: Fields) -> Fields:
        return tuple((name, self._text(value)) for name, value in fields)

    def _text(self, text: str) -> str:
        if not text:
            return text
        cleaned, count = self._redactor.text(text, self._own)
        self.count += count
        return cleaned

    def _body(self, body: bytes) -> bytes:
        """The same body twice is cleaned once."""
        cleaned = self._done.get(body)
        if cleaned is None:
            cleaned = self._done[body] = self._cleaned(body)
        return cleaned

    def _cleaned(self, body: bytes) -> bytes:
        if not body:
            return body
        stream = stream_of(body)
        if stream is not None:
            body, count = stream.without(lambda text: self._redactor.spans(text, self._own), PLACEHOLDER)
            self.count += count
        elif self._redactor.rules:
            body = self._document(body)
        cleaned, count = self._redactor.raw(body, self._own)
        self.count += count
        return _SECRET if count and body.startswith(b"\0") else cleaned  # frames with checksums: what is changed opens no more

    def _document(self, body: bytes) -> bytes:
        """A JSON document with each of its texts cleaned; what is none is cleaned as a text."""
        try:
            document = msgspec.json.decode(body)
        except (msgspec.MsgspecError, RecursionError):
            cleaned = self._text(body.decode("utf-8", "surrogateescape"))
            return cleaned.encode("utf-8", "surrogateescape")
        before = self.count
        try:
            document = self._value(document)
        except RecursionError:
            self.count += 1
            return PLACEHOLDER.format("too_deep").encode()
        return msgspec.json.encode(document) if self.count > before else body

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return {name: self._value(one) for name, one in value.items()}
        return [self._value(one) for one in value] if isinstance(value, list) else value


def _apart(spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """In order; where some overlap, all of them goes as one."""
    kept: list[tuple[int, int, str]] = []
    for span in sorted(spans):
        if kept and span[0] < kept[-1][1]:
            if span[1] > kept[-1][1]:
                kept[-1] = (kept[-1][0], span[1], kept[-1][2])
        elif span[1] > span[0]:
            kept.append(span)
    return kept


def _bodies(trace: Trace) -> list[bytes]:
    """What has passed is there twice, and here once."""
    asked, told = trace.request.body, trace.answer.body
    found = [asked, told]
    for call in trace.upstream:
        if not call.sent_on and call.request.body != asked:
            found.append(call.request.body)
        if not call.passed and call.answer is not None and call.answer.body != told:
            found.append(call.answer.body)
    return found


def _texts(trace: Trace) -> bytes:
    """Whatever in a trace somebody else has written, beside its bodies."""
    fields = [trace.request.headers, trace.answer.headers, trace.query]
    texts = [trace.path, trace.asked, trace.problem, trace.session]
    for call in trace.upstream:
        fields.append(call.request.headers)
        if call.answer is not None:
            fields.append(call.answer.headers)
        texts.append(call.path)
    texts += [one.message for one in trace.tried]
    texts += [value for some in fields for _, value in some]
    return "\0".join(texts).encode("utf-8", "replace")


def _forms(secret: str) -> set[str]:
    """As it may stand in a text: as it is, in JSON, in a URL."""
    plain = json.dumps(secret)[1:-1]
    return {secret, plain, plain.replace("/", "\\/"), json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe="")}


def _characters(encoded: bytes, span: tuple[int, int], *, plain: bool) -> tuple[int, int]:
    """From bytes to characters."""
    if plain:
        return span
    start = len(encoded[: span[0]].decode("utf-8", "replace"))
    return start, start + len(encoded[span[0] : span[1]].decode("utf-8", "replace"))
