"""What a quirk is: one way in which a host deviates from the dialect it speaks, with its reason and its evidence.

One rule: a quirk never acts in silence. What it leaves out or bends is a loss; a mere change of spelling is not.
"""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TypeAlias

import msgspec

from gatewright.ir.blocks import DialectName
from gatewright.ir.loss import Loss, Losses
from gatewright.jsontypes import JsonObject, JsonValue
from gatewright.wire.json import BadJson, encode

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode


class Tell:
    """Where a mend tells what it took away; knows how the client spells a field."""

    __slots__ = ("losses", "where")

    def __init__(self, dialect: DialectName, where: Callable[[str], str]) -> None:
        self.losses = Losses(dialect)
        self.where = where
        """Field of the host's document → path in the client's."""


Mend: TypeAlias = Callable[[JsonObject, Tell], None]
"""Makes a request's document fit the host. It may hold only the quirk's `keys`; values are replaced, never changed in place."""


class Quirk(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    """As catalogue rows have it."""
    what: str
    """What the host does, in a sentence."""
    link: str
    """Where it is documented, or where people met it."""
    case: str
    """What shows it: a recording's id, or `written` where there is none and a test of ours stands for it."""
    dialect: DialectName | None = None
    """Whose documents it mends. None: nothing is mended; the dialects read it from everybody."""
    keys: frozenset[str] = frozenset()
    """Top-level fields that it is about: without one of them there is nothing to mend. Empty: any field may be one."""
    beside: frozenset[str] = frozenset()
    """Top-level fields that it reads or sets beside them."""
    marks: tuple[bytes, ...] = ()
    """For what lies deeper than the top: bytes one of which is in every document that it concerns."""
    models: tuple[str, ...] = ("*",)
    """Patterns of the models it concerns, without a vendor before the name."""
    mend: Mend | None = None
    done_by: str = ""
    """For one without a `mend`: the file of the source that deals with it."""


class Mending:
    """All that is to be mended in one dialect's requests for one model of a host. Made once."""

    __slots__ = ("_dialect", "_keys", "_marks", "_mends", "_probe")

    def __init__(self, dialect: DialectName, quirks: Iterable[Quirk]) -> None:
        held = [quirk for quirk in quirks if quirk.mend is not None]
        self._dialect = dialect
        self._mends: list[Mend] = [quirk.mend for quirk in held if quirk.mend is not None]
        self._keys = (
            frozenset() if any(not quirk.keys for quirk in held) else frozenset().union(*(q.keys | q.beside for q in held))
        )
        """What the mends read; empty: all."""
        self._marks = tuple(dict.fromkeys(mark for quirk in held for mark in quirk.marks))
        simple = frozenset().union(*(quirk.keys for quirk in held if not quirk.marks))
        self._probe = _probe_for(simple) if self._keys else None

    def document(self, body: JsonObject, where: Callable[[str], str]) -> tuple[Loss, ...]:
        """Mend a rendered document in place; what it lost."""
        tell = Tell(self._dialect, where)
        for mend in self._mends:
            mend(body, tell)
        return tell.losses.done()

    def raw(self, body: bytes) -> tuple[bytes, tuple[Loss, ...]]:
        """A client's own document, mended; all that is not touched keeps its bytes. Raises BadJson."""
        if self._probe is not None and not self._probe(body) and not any(mark in body for mark in self._marks):
            return body, ()
        try:
            fields = _fields(body)
            read: JsonObject = {key: _value(fields[key]) for key in (self._keys & fields.keys() if self._keys else fields)}
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise BadJson(f"not a JSON object: {error}") from None
        before = dict(read)
        losses = self.document(read, _as_it_is)
        changed = False
        for key in before.keys() | read.keys():
            if key not in read:
                del fields[key]
            elif read[key] is before.get(key) and key in before:
                continue
            else:
                fields[key] = msgspec.Raw(encode(read[key]))
            changed = True
        return (encode(fields) if changed else body), losses


def _probe_for(keys: Iterable[str]) -> Callable[[bytes], bool]:
    """Whether a body has one of these at its top: reads the rest at the speed at which it can be passed over.

    Searching the names' bytes takes three times as long (780 bytes: 0.8 µs; 2 MB: 1 ms). Python 3.11, 2026-11-21.
    """
    names = sorted(keys)
    shape = msgspec.defstruct("Probe", [(f"at_{i}", msgspec.Raw, _ABSENT) for i in range(len(names))], rename=_renamed(names))
    decode = msgspec.json.Decoder(shape).decode

    def has_one(body: bytes) -> bool:
        if not names:
            return False
        try:
            found = decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return True  # whoever reads it says what is wrong
        return any(getattr(found, name) is not _ABSENT for name in shape.__struct_fields__)

    return has_one


_ABSENT = msgspec.Raw()


def _renamed(names: list[str]) -> Callable[[str], str]:
    return lambda field: names[int(field.removeprefix("at_"))]


def _as_it_is(field: str) -> str:
    return field


def concerns(quirk: Quirk, dialect: DialectName, model: str) -> bool:
    """Whether requests of `dialect` for `model` are to be mended by it."""
    if quirk.mend is None or quirk.dialect != dialect:
        return False
    bare = model.lower().rpartition("/")[2]
    return any(fnmatchcase(bare, pattern) for pattern in quirk.models)


def mendings(quirks: Iterable[Quirk], dialects: Iterable[DialectName], model: str) -> Mapping[DialectName, Mending]:
    """For each dialect what is to be mended; empty for nearly all hosts and models."""
    named = tuple(quirks)
    found = {dialect: [quirk for quirk in named if concerns(quirk, dialect, model)] for dialect in dialects}
    return {dialect: Mending(dialect, held) for dialect, held in found.items() if held}


def items(value: JsonValue) -> list[JsonObject]:
    """The objects of an array; whatever is none is the upstream's to refuse."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
