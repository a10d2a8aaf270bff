"""What a request means, as bytes: the same for every dialect that says the same, another for everything else.

One rule: in doubt two requests differ. Left out is only what cannot change the answer: whether it is streamed, where in the
document something stood, and spellings that are known to be equal (`_EQUAL`).
Keys of objects within extras, schemas and metadata keep their order: a model is shown them in it.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from gatewright.ir.blocks import DialectName, Node, ToolCall
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


def fingerprint(request: Request) -> bytes:
    """32 bytes: SHA-256 over what `request` means."""
    return hashlib.sha256(meaning(request)).digest()


def meaning(request: Request) -> bytes:
    """What `request` means. No two meanings give the same bytes: every piece has its type and length before it."""
    writer = _Writer(request.origin)
    writer.value(request)
    kept = {key: value for key, value in request.client.items() if not _only_framing(key, value)}
    if kept:
        writer.value(kept)
        writer.value(request.origin)
    return b"".join(writer.parts)


class _Field(msgspec.Struct, frozen=True):
    """One field of a type, as it is written."""

    name: str
    head: bytes
    default: object
    """`NODEFAULT`: it is always written."""
    positioned: bool
    """Its default is a node, which differs from another that says as little by where it stood."""


class _Writer:
    """Collects the pieces. Speed counts here: a request of a long conversation has thousands."""

    __slots__ = ("_origin", "parts")

    def __init__(self, origin: DialectName) -> None:
        self._origin: DialectName = origin
        self.parts: list[bytes] = []

    def value(self, value: object) -> None:
        """Any part of a request, or a document in it."""
        kind = type(value)
        if kind is str:
            assert isinstance(value, str)
            self._text(value)
        elif kind is tuple:
            assert isinstance(value, tuple)
            self.parts.append(b"l%d:" % len(value))
            for item in value:
                self.value(item)
        elif isinstance(value, msgspec.Struct):
            self._struct(value)
        elif kind is float and value.is_integer():  # type: ignore[attr-defined] # a float; 1.0 is 1 to every API
            self.parts.append(b"j%d;" % int(value))  # type: ignore[call-overload] # a float
        else:
            document = _document(value)
            self.parts.append(b"j%b;" % document if kind is int else b"d%d:%b" % (len(document), document))

    def _text(self, text: str) -> None:
        encoded = text.encode("utf-8", "surrogatepass")
        self.parts.append(b"s%d:" % len(encoded))
        self.parts.append(encoded)

    def _struct(self, node: msgspec.Struct) -> None:
        """Type, then the fields that are set, by name: a field that comes new to a type changes no old key."""
        kind = type(node)
        fields = _plans.get(kind)
        if fields is None:
            fields = _plans[kind] = _plan(kind)
        self.parts.append(b"<%b:" % kind.__name__.encode())
        for field in fields:
            value, default = getattr(node, field.name), field.default
            # Equal is not enough: 0 equals False.
            if value is default or (type(value) is type(default) and value == default):
                continue
            if field.positioned and self._same(value, default):
                continue
            self.parts.append(field.head)
            if field.name == "arguments" and isinstance(node, ToolCall) and node.kind == "function":
                value = _without_blanks(node.arguments)
            self.value(value)
        if isinstance(node, Node) and (node.form or node.extras):
            self._own(node, kind.__name__)
        self.parts.append(b">")

    def _same(self, value: object, default: object) -> bool:
        one, other = _Writer(self._origin), _Writer(self._origin)
        one.value(value)
        other.value(default)
        return one.parts == other.parts

    def _own(self, node: Node, kind: str) -> None:
        """What only the origin has words for, with the origin's name."""
        form = tuple(word for word in node.form if not _is_spelling(self._origin, kind, word))
        if form or node.extras:
            self._text(self._origin)
            self.value(form)
            self.value(dict(sorted(node.extras.items())))


_plans: dict[type[msgspec.Struct], tuple[_Field, ...]] = {}


def _plan(kind: type[msgspec.Struct]) -> tuple[_Field, ...]:
    """The fields of a type that are part of the meaning."""
    skipped = _SKIPPED.get(kind.__name__, frozenset()) | _ANYWHERE
    fields: list[_Field] = []
    for field in msgspec.structs.fields(kind):
        if field.name in skipped:
            continue
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        head = b"%d=%b" % (len(field.name), field.name.encode())
        fields.append(_Field(field.name, head, default, isinstance(default, Node)))
    return tuple(fields)


def _document(value: object) -> bytes:
    """JSON, its keys in their order; what JSON cannot say, as Python shows it."""
    try:
        return _encode(value)
    except (msgspec.MsgspecError, OverflowError, UnicodeEncodeError, RecursionError, TypeError):
        return b"?" + repr(value).encode("utf-8", "surrogatepass")


_encode = msgspec.json.Encoder().encode


def _is_spelling(origin: DialectName, kind: str, word: str) -> bool:
    if word in _EQUAL.get((origin, kind), frozenset()):
        return True
    return origin == "gemini" and (_SNAKE.fullmatch(word) is not None or (kind == "Tool" and _GROUP.fullmatch(word) is not None))


def _only_framing(key: str, value: JsonValue) -> bool:
    return key in _BACK and (not isinstance(value, dict) or _FRAMING.issuperset(value))


def _without_blanks(arguments: str) -> str:
    """JSON text without the blanks between its words; any other text as it is. Numbers and strings stay as they are spelt."""
    try:
        return msgspec.json.format(arguments, indent=-1)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return arguments
