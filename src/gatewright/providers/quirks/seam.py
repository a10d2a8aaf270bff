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
    leaves: frozenset[str] = frozenset()
    """For one that is about any field: those it never looks into."""
    marks: tuple[bytes, ...] = ()
    """For what lies deeper than the top: bytes one of which is in every document that it concerns."""
    models: tuple[str, ...] = ("*",)
    """Patterns of the models it concerns, without a vendor before the name."""
    mend: Mend | None = None
    done_by: str = ""
    """For one without a `mend`: the file of the source that deals with it."""


class Mending:
    """All that is to be mended in one dialect's requests for one model of a host. Made once."""

    __slots__ = ("_about", "_dialect", "_held")

    def __init__(self, dialect: DialectName, quirks: Iterable[Quirk]) -> None:
        self._dialect = dialect
        self._held = tuple((quirk, quirk.mend) for quirk in quirks if quirk.mend is not None)
        keys = [quirk.keys for quirk, _ in self._held]
        self._about = frozenset().union(*keys) if all(keys) else None
        """Without one of these fields there is nothing to mend. None: any may be one."""

    def document(self, body: JsonObject, where: Callable[[str], str]) -> tuple[Loss, ...]:
        """Mend a rendered document in place; what it lost."""
        tell = Tell(self._dialect, where)
        for _, mend in self._held:
            mend(body, tell)
        return tell.losses.done()

    def raw(self, body: bytes) -> tuple[bytes, tuple[Loss, ...]]:
        """A client's own document, mended; all that is not touched keeps its bytes. Raises BadJson.

        The values of a body that is not concerned are passed over: 1 µs for 780 bytes, 1 ms for 2 MB (Python 3.11, 2026-11-21);
        searching for the names of fields takes three times as long.
        """
        try:
            fields = _fields(body)
            if self._about is not None and self._about.isdisjoint(fields):
                return body, ()
            active = [(quirk, mend) for quirk, mend in self._held if _is_about(quirk, fields, body)]
            if not active:
                return body, ()
            keys = fields.keys() & frozenset().union(*(_read_by(quirk, fields) for quirk, _ in active))
            read: JsonObject = {key: _value(fields[key]) for key in fields if key in keys}
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise BadJson(f"not a JSON object: {error}") from None
        before = dict(read)
        tell = Tell(self._dialect, _as_it_is)
        for _, mend in active:
            mend(read, tell)
        changed = False
        for key in before.keys() | read.keys():
            if key not in read:
                del fields[key]
            elif key in before and read[key] is before[key]:
                continue
            else:
                fields[key] = msgspec.Raw(encode(read[key]))
            changed = True
        return (encode(fields) if changed else body), tell.losses.done()


def _is_about(quirk: Quirk, fields: Iterable[str], body: bytes) -> bool:
    """Whether a body may have what the quirk is about."""
    if quirk.keys and quirk.keys.isdisjoint(fields):
        return False
    return not quirk.marks or any(mark in body for mark in quirk.marks)


def _read_by(quirk: Quirk, fields: Iterable[str]) -> frozenset[str]:
    """The fields whose values its mend is to be given."""
    return quirk.keys | quirk.beside if quirk.keys else frozenset(fields) - quirk.leaves


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
