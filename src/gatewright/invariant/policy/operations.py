"""What the operators do with values: compare, add, look for.

One rule: nothing found in nothing, nothing equal to what is not the same; what makes no sense fails with words.
"""

import math
from collections.abc import Sequence

from gatewright.invariant.policy.bounds import MAX_INTEGER_BITS, MAX_MADE, MAX_MARKS
from gatewright.invariant.policy.functions import Asking, as_text, said
from gatewright.invariant.policy.trace import Contents, Placed, Thing, Trace, Value, is_of, texts_of
from gatewright.wire.json import BadJson, decode

Marks = list[str]
"""Places that conditions have found something at."""


def plainly(value: Value) -> Value:
    """Content in parts is compared as its text."""
    return value.whole if isinstance(value, Contents) else value


def same(left: Value, right: Value) -> bool:
    if isinstance(left, Thing) or isinstance(right, Thing):
        return left is right
    try:
        return bool(plainly(left) == plainly(right))
    except RecursionError:
        return False


def compare(asking: Asking, op: str, left: Value, right: Value) -> bool:
    match op:
        case "==" | "is":
            return same(left, right)
        case "!=" | "is not":
            return not same(left, right)
    if left is None or right is None:
        return False
    left, right = plainly(left), plainly(right)
    if isinstance(left, int | float) and isinstance(right, int | float):
        return _ordered(op, left, right)
    if isinstance(left, str) and isinstance(right, str):
        return _ordered(op, left, right)
    raise asking.fail(f'"{op}" cannot compare {said(left)} with {said(right)}')


def _ordered(op: str, left: float | str, right: float | str) -> bool:
    match op:
        case "<":
            return left < right  # type: ignore[operator]
        case "<=":
            return left <= right  # type: ignore[operator]
        case ">":
            return left > right  # type: ignore[operator]
        case _:
            return left >= right  # type: ignore[operator]


def contains(asking: Asking, trace: Trace, marks: Marks, needle: Value, hay: Value) -> Value:
    """`needle in hay`. A list on the left gives a list of answers, as in `any(["a", "b"] in msg.content)`."""
    if isinstance(needle, list | tuple):
        asking.budget.spend(asking.at, len(needle))
        return [contains(asking, trace, marks, one, hay) for one in needle]
    match hay:
        case None:
            return False
        case str():
            return _in_text(asking, marks, needle, hay)
        case Contents() | Thing():
            if not isinstance(needle, str):
                return False
            return _in_texts(asking, marks, needle, hay)
        case dict():
            if isinstance(needle, str) and id(hay) in trace.paths:  # a tool's answer that is an object says its texts, too
                return needle in hay or _in_texts(asking, marks, needle, hay)
            return isinstance(needle, str) and needle in hay
        case list() | tuple() | set():
            asking.budget.spend(asking.at, len(hay) // 16)
            return any(same(one, needle) for one in hay)
        case _:
            raise asking.fail(f'"in" cannot look into {said(hay)}')


def _in_texts(asking: Asking, marks: Marks, needle: str, hay: Value) -> bool:
    """Every text is looked into: each place is told."""
    found = False
    for text in texts_of(hay):
        found = _in_text(asking, marks, needle, text) or found
    return found


def _in_text(asking: Asking, marks: Marks, needle: Value, hay: str) -> bool:
    if needle is None:
        return False
    if isinstance(needle, Contents):
        needle = needle.whole
    if not isinstance(needle, str):
        raise asking.fail(f'"in" cannot look for {said(needle)} in a text')
    asking.budget.scan(asking.at, len(hay))
    start = hay.find(needle)
    if start < 0:
        return False
    if isinstance(hay, Placed) and needle:
        for _ in range(MAX_MARKS):
            marks.append(hay.range(start, start + len(needle)))
            start = hay.find(needle, start + len(needle))
            if start < 0:
                break
    return True


def arithmetic(asking: Asking, op: str, left: Value, right: Value) -> Value:
    if op == "+" and not (isinstance(left, int | float) and isinstance(right, int | float)):
        return _joined(asking, left, right)
    if left is None or right is None:
        return None
    if op == "-" and isinstance(left, set) and isinstance(right, set):
        return left - right
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        raise asking.fail(f'"{op}" cannot take {said(left)} and {said(right)}')
    try:
        made = _calculated(asking, op, left, right)
    except (ZeroDivisionError, OverflowError):
        raise asking.fail(f'"{op}" has no answer for these numbers') from None
    if isinstance(made, complex) or (isinstance(made, float) and math.isnan(made)):
        raise asking.fail(f'"{op}" has no answer for these numbers')
    if isinstance(made, int) and made.bit_length() > MAX_INTEGER_BITS:
        raise asking.fail("this number grows too large")
    return made


def _calculated(asking: Asking, op: str, left: float, right: float) -> float | complex:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "%":
            return left % right
        case _:
            if isinstance(left, int) and isinstance(right, int) and abs(right) * max(left.bit_length(), 1) > MAX_INTEGER_BITS:
                raise asking.fail("this number grows too large")
            power: float | complex = left**right
            return power


def _joined(asking: Asking, left: Value, right: Value) -> Value:
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) + len(right) > MAX_MADE:
            raise asking.fail(f"builds a list of more than {MAX_MADE} items")
        asking.budget.spend(asking.at, 1 + (len(left) + len(right)) // 16)
        return [*left, *right]
    if left is None and right is None:
        return None
    if isinstance(left, int | float | list | dict) or isinstance(right, int | float | list | dict):
        if left is None or right is None:
            return None
        raise asking.fail(f'"+" cannot take {said(left)} and {said(right)}')
    first, second = as_text(asking, left) or "", as_text(asking, right) or ""
    if len(first) + len(second) > MAX_MADE:
        raise asking.fail(f"builds a text of more than {MAX_MADE} characters")
    asking.budget.scan(asking.at, len(first) + len(second))
    return first + second


def field(asking: Asking, value: Value, name: str) -> Value:
    """`value.name`: what is not there is None. A text that is JSON is looked into, as tools answer in it."""
    match value:
        case None:
            return None
        case Thing():
            return value.fields.get(name)
        case dict():
            return value.get(name)
        case str() | Contents():
            inner = read_json(asking, value)
            return inner.get(name) if isinstance(inner, dict) else None
        case _:
            raise asking.fail(f'{said(value)} has no "{name}"')


def key(asking: Asking, value: Value, at: Value) -> Value:
    """`value[at]`: what is not there is None."""
    match value, at:
        case (None, _):
            return None
        case (dict(), str()):
            return value.get(at)
        case (Contents(), str()):
            return field(asking, value, at)
        case (Contents(), int()):
            return value.chunks[at] if -len(value.chunks) <= at < len(value.chunks) else None
        case ((list() | tuple()), int()):
            return value[at] if -len(value) <= at < len(value) else None
        case (str(), int()):
            return value[at] if -len(value) <= at < len(value) else None
        case ((str() | Thing()), str()):
            return field(asking, value, at)
        case _:
            raise asking.fail(f"{said(value)} cannot be asked for {said(at)}")


def piece(asking: Asking, value: Value, start: Value, end: Value) -> Value:
    bounds = slice(_bound(asking, start), _bound(asking, end))
    if value is None:
        return None
    value = plainly(value)
    if not isinstance(value, str | list | tuple):
        raise asking.fail(f"{said(value)} has no ranges")
    asking.budget.scan(asking.at, len(value))
    made = value[bounds]
    if isinstance(value, Placed) and isinstance(made, str):
        return Placed.at(value.path, made, max(value.start, 0) + bounds.indices(len(value))[0])
    return made


def _bound(asking: Asking, value: Value) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise asking.fail(f"a range goes from number to number, not {said(value)}")


def read_json(asking: Asking, value: Value) -> Value:
    """The JSON that a text is; None where it is none."""
    text = as_text(asking, value)
    if not text:
        return None
    asking.budget.detect(asking.at, len(text))
    try:
        return decode(text.encode("utf-8", "surrogatepass"))
    except BadJson:
        return None


def drawn(asking: Asking, value: Value, kind: str) -> Sequence[Value]:
    """Every value of a type in `value`, objects and lists within it looked through; JSON in a text, where an object is wanted."""
    if kind in ("dict", "list") and isinstance(value, str | Contents):
        read = read_json(asking, value)
        if read is not None:
            value = read
    found: list[Value] = []
    waiting = [value]
    while waiting:
        asking.budget.spend(asking.at)
        one = waiting.pop()
        if is_of(one, kind):
            found.append(one)
        elif isinstance(one, list | tuple):
            waiting += reversed(one)
        elif isinstance(one, set):
            waiting += sorted(one, key=repr, reverse=True)
        elif isinstance(one, dict):
            waiting += reversed(one.values())
        elif isinstance(one, Contents):
            waiting += reversed(one.chunks)
        elif isinstance(one, Thing):
            waiting += reversed(one.fields.values())
    return found
