"""Mutations of JSON documents that know what a document is: fields, items, roles, ids.

One rule: a mutation changes the document in place and draws only from the `Random` it is given, so that a seed is a mutant.
"""

from collections.abc import Callable
from copy import deepcopy
from random import Random

from gatewright.jsontypes import JsonValue
from tests.fuzz import words

Slot = tuple[dict | list, str | int]
"""A container and the key of one value in it."""

MAX_SLOTS = 4000


def slots(document: JsonValue) -> list[Slot]:
    """Every field and item, at any depth."""
    found: list[Slot] = []
    waiting: list[JsonValue] = [document]
    while waiting and len(found) < MAX_SLOTS:
        value = waiting.pop()
        if isinstance(value, dict):
            found += [(value, key) for key in value]
            waiting += value.values()
        elif isinstance(value, list):
            found += [(value, i) for i in range(len(value))]
            waiting += value
    return found


def _drop(random: Random, at: Slot, others: list[Slot]) -> None:
    holder, key = at
    del holder[key]


def _repeat(random: Random, at: Slot, others: list[Slot]) -> None:
    holder, key = at
    if isinstance(holder, list):
        holder[key:key] = [deepcopy(holder[key]) for _ in range(random.choice((1, 1, 2, 40)))]
    else:
        holder[random.choice(words.KEYS)] = deepcopy(holder[key])


def _retype(random: Random, at: Slot, others: list[Slot]) -> None:
    holder, key = at
    holder[key] = words.anything(random)


def _swap(random: Random, at: Slot, others: list[Slot]) -> None:
    other, place = random.choice(others)
    holder, key = at
    one, two = holder[key], other[place]
    if not _holds(one, other) and not _holds(two, holder):  # a document is a tree
        holder[key], other[place] = two, one


def _holds(value: JsonValue, container: dict | list) -> bool:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if one is container:
            return True
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return False


def _nest(random: Random, at: Slot, others: list[Slot]) -> None:
    holder, key = at
    for _ in range(random.choice((1, 1, 1, 2, 30))):
        holder[key] = [holder[key]] if random.random() < 0.5 else {random.choice(words.KEYS): holder[key]}


def _unwrap(random: Random, at: Slot, others: list[Slot]) -> None:
    holder, key = at
    value = holder[key]
    if isinstance(value, dict) and value:
        holder[key] = value[random.choice(list(value))]
    elif isinstance(value, list) and value:
        holder[key] = random.choice(value)


def _rename(random: Random, at: Slot, others: list[Slot]) -> None:
    holder, key = at
    if isinstance(holder, dict):
        value = holder.pop(key)
        spelled = random.choice((random.choice(words.KEYS), str(key).upper(), str(key) + " ", _other_case(str(key))))
        holder[spelled] = value


def _other_case(key: str) -> str:
    if "_" in key:
        first, *rest = key.split("_")
        return first + "".join(part.title() for part in rest)
    return "".join("_" + c.lower() if c.isupper() else c for c in key)


def _add(random: Random, at: Slot, others: list[Slot]) -> None:
    holder, _ = at
    if isinstance(holder, dict):
        holder[random.choice(words.KEYS)] = words.anything(random)
    else:
        holder.insert(random.randrange(len(holder) + 1), words.anything(random))


def _reword(random: Random, at: Slot, others: list[Slot]) -> None:
    """Another word of the kind: an unknown role, a block of another dialect, a broken id of a pair."""
    holder, key = random.choice([slot for slot in others if slot[1] in words.KINDS_OF_WORD] or [at])
    holder[key] = random.choice(words.WORDS)


def _break_string(random: Random, at: Slot, others: list[Slot]) -> None:
    holder, key = random.choice([slot for slot in others if isinstance(slot[0][slot[1]], str)] or [at])
    value = holder[key]
    if isinstance(value, str) and value:
        cut = random.randrange(len(value))
        holder[key] = random.choice(
            (value[:cut], value[cut:], value[:cut] + words.string(random)[:200] + value[cut:], value * 2, words.string(random))
        )


def _break_number(random: Random, at: Slot, others: list[Slot]) -> None:
    holder, key = random.choice([slot for slot in others if isinstance(slot[0][slot[1]], int | float)] or [at])
    holder[key] = words.number(random)


def _shuffle(random: Random, at: Slot, others: list[Slot]) -> None:
    lists = [holder[key] for holder, key in others if isinstance(holder[key], list)]
    if lists:
        chosen = random.choice(lists)
        random.choice((random.shuffle, list.reverse, lambda value: value.__delitem__(slice(len(value) // 2, None)), list.clear))(
            chosen
        )


def _void(random: Random, at: Slot, others: list[Slot]) -> None:
    holder, key = at
    holder[key] = random.choice((None, "", [], {}, 0, False, [None], [{}], {"type": None}))


MUTATIONS: tuple[Callable[[Random, Slot, list[Slot]], None], ...] = (
    _drop, _drop, _repeat, _retype, _retype, _swap, _nest, _unwrap, _rename, _add, _reword, _reword, _break_string, _break_string,
    _break_number, _shuffle, _void, _void,
)  # fmt: skip


def mutate(random: Random, document: JsonValue, graft: JsonValue = None) -> JsonValue:
    """The document, changed in one to four places; sometimes with a piece of another document put in."""
    for _ in range(random.choice((1, 1, 2, 4))):
        found = slots(document)
        if not found:
            return words.anything(random)
        at = random.choice(found)
        if graft is not None and random.random() < 0.15:
            pieces = slots(graft)
            if pieces:
                holder, key = random.choice(pieces)
                at[0][at[1]] = deepcopy(holder[key])
                continue
        random.choice(MUTATIONS)(random, at, found)
    if random.random() < 0.01:
        return random.choice(([document], {"x": document}, words.anything(random)))
    return document


BAD_BYTES = (
    b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x00", b"\x1f", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":",
    rb"\ud800", rb"\u12", b"NaN", b"1e", b"\xef\xbb\xbf", b"/*", b"'", b"\r\n\r\n", b"\n\n", b"data: ", b"event: error\n",
)  # fmt: skip


def mutate_bytes(random: Random, data: bytes) -> bytes:
    """The bytes, damaged in a few places: whatever a broken client, proxy or disk may do."""
    for _ in range(random.choice((1, 1, 2, 5))):
        if not data:
            return random.choice(BAD_BYTES)
        at = random.randrange(len(data))
        match random.randrange(7):
            case 0:
                data = data[:at]
            case 1:
                data = data[at:]
            case 2:
                data = data[:at] + bytes((data[at] ^ (1 << random.randrange(8)),)) + data[at + 1 :]
            case 3:
                data = data[:at] + data[at + random.choice((1, 2, 10, 200)) :]
            case 4:
                data = data[:at] + random.choice(BAD_BYTES) * random.choice((1, 1, 30)) + data[at:]
            case 5:
                end = at + random.choice((3, 40, 400))
                data = data[:end] + data[at:end] + data[end:]
            case _:
                data = data[:at] + random.randbytes(random.choice((1, 4, 60))) + data[at:]
    return data
