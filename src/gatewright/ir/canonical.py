"""What a request means, as bytes: the same for every dialect that says the same, another for everything else.

One rule: in doubt two requests differ. Left out is only what cannot change the answer: whether it is streamed, where in the
document something stood, and spellings that are known to be equal (`_EQUAL`).
Keys of objects within extras, schemas and metadata keep their order: a model is shown them in it.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from gatewright.ir.blocks import DialectName, Node
from gatewright.ir.request import Request
from gatewright.jsontypes import JsonValue

_SKIPPED: Final[Mapping[str, frozenset[str]]] = {
    "Request": frozenset(("origin", "model", "stream", "client", "answer")),
    "Text": frozenset(("bare",)),
}
"""Type → fields that are no part of the meaning. The name asked for belongs to the key, but is the caller's to say."""
_ANYWHERE: Final = frozenset(("extras", "form", "at"))

_BACK: Final = frozenset(("alt", "stream_options"))
"""Of `Request.client`: what concerns the framing of the answer alone, …"""
_FRAMING: Final = frozenset(("include_usage", "include_obfuscation"))
"""… if nothing but these stands in `stream_options`."""

_SNAKE: Final = re.compile(r"[a-z]+(_[a-z]+)+")
"""Google's other spelling of a key."""
_GROUP: Final = re.compile(r"g\d+")

_EQUAL: Final[Mapping[tuple[DialectName, str], frozenset[str]]] = {
    ("openai_chat", "Request"): frozenset(("max_tokens",)),
    ("openai_chat", "Sampling"): frozenset(("stop_string",)),
    ("openai_chat", "Message"): frozenset(("tool",)),
    ("openai_chat", "ToolResult"): frozenset(("tool",)),
    ("openai_chat", "Media"): frozenset(("image_url",)),
    ("openai_responses", "Message"): frozenset(("instructions", "input", "easy", "message", "user", "system", "assistant")),
    ("openai_responses", "ToolChoice"): frozenset(("function",)),
    ("anthropic", "Message"): frozenset(("system",)),
    ("gemini", "Message"): frozenset(("systemInstruction", "bare", "norole", "parts{}")),
    ("gemini", "Request"): frozenset(("contents{}",)),
    ("gemini", "Media"): frozenset(("inlineData", "fileData")),
    ("gemini", "Tool"): frozenset(("functionDeclarations", "parameters", "one")),
    ("gemini", "OutputFormat"): frozenset(("responseJsonSchema", "responseSchema")),
    ("bedrock_converse", "Message"): frozenset(("system",)),
    ("bedrock_converse", "Sampling"): frozenset(("inferenceConfig",)),
}
"""Words of `form` that say how, not what: a place, a shorthand, one of two names. All others count, with their origin."""


class Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def fingerprint(request: Request) -> bytes:
    """32 bytes: SHA-256 over what `request` means."""
    digest = hashlib.sha256()
    write_request(request, digest)
    return digest.digest()


def write_request(request: Request, out: Hash) -> None:
    """Write what `request` means to `out`. No two meanings give the same bytes: every piece has its type and length before it."""
    _Writer(request.origin, out).request(request)


class _Writer:
    __slots__ = ("_origin", "_out")

    def __init__(self, origin: DialectName, out: Hash) -> None:
        self._origin: DialectName = origin
        self._out = out

    def request(self, request: Request) -> None:
        self.value(request)
        kept = {key: value for key, value in request.client.items() if not _only_framing(key, value)}
        if kept:
            self._object(kept)
            self.value(self._origin)

    def value(self, value: object) -> None:
        """Any part of a request, or of a document in it."""
        match value:
            case None:
                self._out.update(b"n")
            case bool():
                self._out.update(b"t" if value else b"f")
            case str():
                encoded = value.encode("utf-8", "surrogatepass")
                self._out.update(b"s%d:" % len(encoded))
                self._out.update(encoded)
            case int():
                self._out.update(b"i%d;" % value)
            case float():  # 1.0 is 1 to every API
                self._out.update(b"i%d;" % int(value) if value.is_integer() else b"d%s;" % repr(value).encode())
            case tuple() | list():
                self._out.update(b"l%d:" % len(value))
                for item in value:
                    self.value(item)
            case dict():
                self._object(value)
            case msgspec.Struct():
                self._struct(value)
            case _:
                raise TypeError(f"a request holds no {type(value).__name__}")

    def _object(self, value: Mapping[str, JsonValue]) -> None:
        self._out.update(b"o%d:" % len(value))
        for key, item in value.items():
            self.value(key)
            self.value(item)

    def _struct(self, node: msgspec.Struct) -> None:
        """Type, then the fields that are set, by name: a field that comes new to a type changes no old key."""
        kind = type(node).__name__
        skipped = _SKIPPED.get(kind, frozenset())
        defaults = _defaults(type(node))
        self._out.update(b"<%s:" % kind.encode())
        for name in node.__struct_fields__:
            value = getattr(node, name)
            if name in _ANYWHERE or name in skipped or (name in defaults and self._unsaid(value, defaults[name])):
                continue
            self.value(name)
            self.value(_without_blanks(value) if name == "arguments" and getattr(node, "kind", "") == "function" else value)
        if isinstance(node, Node):
            self._node(node, kind)
        self._out.update(b">")

    def _unsaid(self, value: object, default: object) -> bool:
        """Whether a field says no more than its default, which is not only equal: 0 equals False."""
        if isinstance(default, Node):  # it may know where it stood
            return self._bytes(value) == self._bytes(default)
        return type(value) is type(default) and value == default

    def _bytes(self, value: object) -> bytes:
        written = _Bytes()
        _Writer(self._origin, written).value(value)
        return bytes(written.bytes)

    def _node(self, node: Node, kind: str) -> None:
        """What only the origin has words for, with the origin's name."""
        form = tuple(word for word in node.form if not _is_spelling(self._origin, kind, word))
        if not form and not node.extras:
            return
        self.value(self._origin)
        self.value(form)
        self._object(dict(sorted(node.extras.items())))


class _Bytes:
    """A `Hash` that keeps what it is given."""

    def __init__(self) -> None:
        self.bytes = bytearray()

    def update(self, data: bytes, /) -> None:
        self.bytes += data


_told: dict[type[msgspec.Struct], dict[str, object]] = {}


def _defaults(kind: type[msgspec.Struct]) -> dict[str, object]:
    """Field → its default, of those that have one."""
    found = _told.get(kind)
    if found is None:
        found = _told[kind] = {
            field.name: field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            for field in msgspec.structs.fields(kind)
            if not field.required
        }
    return found


def _is_spelling(origin: DialectName, kind: str, word: str) -> bool:
    if word in _EQUAL.get((origin, kind), frozenset()):
        return True
    return origin == "gemini" and (_SNAKE.fullmatch(word) is not None or (kind == "Tool" and _GROUP.fullmatch(word) is not None))


def _only_framing(key: str, value: JsonValue) -> bool:
    return key in _BACK and (not isinstance(value, dict) or _FRAMING.issuperset(value))


def _without_blanks(arguments: object) -> object:
    """JSON text without the blanks between its words; any other text as it is. Numbers and strings stay as they are spelt."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return msgspec.json.format(arguments, indent=-1)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return arguments
